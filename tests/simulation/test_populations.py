"""Synthetic problems: sizes, qualities, scores, similarities against what they are said to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from dora_theory.simulation.populations import Population, draw_problems, problems_at

KEY = jax.random.key(11)


def sizes(problems, directions):
    labels = np.asarray(problems.directions)
    return np.stack([np.bincount(row, minlength=directions) for row in labels])


def test_sizes_equal_zipf_and_given():
    equal = draw_problems(KEY, Population(num_candidates=11, num_directions=4, sizes="equal"), 3)
    assert np.all(sizes(equal, 4) == [3, 3, 3, 2])
    given = draw_problems(KEY, Population(num_candidates=9, num_directions=3, sizes=(1, 6, 2)), 3)
    assert np.all(sizes(given, 3) == [1, 6, 2])
    # Adams: of shares 6 : 3 : 2, ten seats are 5, 3, 2, since 6/5 > 3/3 = 1 = 2/2 are left over.
    zipf = draw_problems(KEY, Population(num_candidates=10, num_directions=3, sizes="zipf"), 3)
    assert np.all(sizes(zipf, 3) == [5, 3, 2])
    steep = draw_problems(
        KEY, Population(num_candidates=10, num_directions=4, sizes="zipf", skew=9.0), 3
    )
    assert np.all(sizes(steep, 4) == [7, 1, 1, 1])
    # j^-skew is 0 in floats, and each direction has its candidate all the same.
    steepest = draw_problems(KEY, Population(num_candidates=10, num_directions=4, skew=1e12), 3)
    assert np.all(sizes(steepest, 4) == [7, 1, 1, 1])


def test_the_restaurant_seats_guests_as_chinese_restaurants_do():
    """Tables by Antoniak's law: P(t tables) = |s(n, t)| θ^t / (θ)_n, Stirling's first kind."""
    n, theta, count = 6, 1.7, 40_000
    made = Population(num_candidates=n, num_directions=n, sizes="crp", skew=theta)
    tables = (sizes(draw_problems(KEY, made, count), n) > 0).sum(1)
    stirling = np.abs(np.poly(np.arange(0, -n, -1)))[-2::-1]
    expected = stirling * theta ** np.arange(1, n + 1) / scipy.special.poch(theta, n)
    np.testing.assert_allclose(expected.sum(), 1)
    seen = np.bincount(tables, minlength=n + 1)[1:]
    assert scipy.stats.chisquare(seen, expected * count).pvalue > 1e-5


def test_a_discount_makes_it_pitman_and_yors():
    """P(same table) = (1 - d)/(1 + θ), and (θ/d)(Π (θ + d + i)/(θ + i) - 1) tables on average."""
    n, theta, discount, count = 6, 0.8, 0.4, 40_000
    made = Population(
        num_candidates=n, num_directions=n, sizes="crp", skew=theta, discount=discount
    )
    seen = sizes(draw_problems(KEY, made, count), n)
    same = (seen * (seen - 1)).sum(1) / (n * (n - 1))
    steps = np.prod([(theta + discount + i) / (theta + i) for i in range(n)])
    for values, expected in (
        (same, (1 - discount) / (1 + theta)),
        ((seen > 0).sum(1), theta / discount * (steps - 1)),
    ):
        assert abs(values.mean() - expected) < 4.5 * values.std() / np.sqrt(count)


def test_no_more_tables_than_directions():
    made = Population(num_candidates=12, num_directions=3, sizes="crp", skew=50.0)
    assert np.all(sizes(draw_problems(KEY, made, 50), 3).sum(1) == 12)


def test_candidates_are_shuffled():
    """Each place holds each direction in proportion to its size."""
    made = Population(num_candidates=6, num_directions=2, sizes=(4, 2))
    share = np.asarray(draw_problems(KEY, made, 20_000).directions).mean(0)
    np.testing.assert_allclose(share, 1 / 3, atol=5 * np.sqrt(2 / 9 / 20_000))


def test_quality_is_the_softmax_of_latent_scores_which_a_calibrated_prm_shows():
    made = Population(num_candidates=8, num_directions=3, spread=0.5, quality_temperature=0.2)
    p = draw_problems(KEY, made, 500)
    scores, labels = np.asarray(p.scores, np.float64), np.asarray(p.directions)
    latent = np.zeros((500, 3))
    np.put_along_axis(latent, labels, scores, 1)
    assert latent.min() >= 0
    assert latent.max() < 0.5
    assert scipy.stats.kstest(latent.ravel() / 0.5, "uniform").pvalue > 1e-5
    np.testing.assert_allclose(p.quality, scipy.special.softmax(latent / 0.2, 1), rtol=2e-5)


def test_a_level_lets_all_directions_be_good_or_bad():
    """Logits are level + shift + r/T: the shift is normal and one for all of a problem."""
    made = Population(
        num_candidates=6,
        num_directions=3,
        min_candidates=1,
        sizes="equal",
        spread=0.5,
        level=-0.7,
        difficulty=1.5,
    )
    p = draw_problems(KEY, made, 4000)
    latent, mask = np.full((4000, 3), np.nan), np.asarray(p.mask)
    rows = np.nonzero(mask)[0]
    latent[rows, np.asarray(p.directions)[mask]] = np.asarray(p.scores)[mask]
    quality = np.asarray(p.quality, np.float64)
    assert np.all((quality > 0) == ~np.isnan(latent))
    shift = scipy.special.logit(quality) - latent / 0.1 + 0.7
    assert np.all(np.nanmax(shift, 1) - np.nanmin(shift, 1) < 5e-3)
    assert scipy.stats.kstest(np.nanmean(shift, 1) / 1.5, "norm").pvalue > 1e-5
    # The same latent scores without it: what strategies see does not change.
    plain = draw_problems(KEY, made.with_changes(level=None, difficulty=0.0), 4000)
    np.testing.assert_array_equal(p.scores, plain.scores)


def test_given_quality_is_the_same_in_every_problem_and_scores_tell_it():
    made = Population(num_candidates=6, num_directions=3, sizes="equal", quality=(0.6, 0.3, 0.1))
    p = draw_problems(KEY, made, 4)
    np.testing.assert_allclose(p.quality, np.tile([0.6, 0.3, 0.1], (4, 1)), rtol=1e-6)
    weights = np.exp(np.asarray(p.scores) / 0.1)
    expected = np.array([0.6, 0.3, 0.1])[np.asarray(p.directions)]
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_scores_are_biased_and_noisy_as_stated():
    """Per direction: offset + slope r + shared noise; inside it, noise of a candidate's own."""
    made = Population(
        num_candidates=4,
        num_directions=1,
        sizes="equal",
        quality=(1.0,),
        slope=0.5,
        offset=-0.2,
        noise=0.3,
        direction_noise=0.4,
    )
    r = np.asarray(draw_problems(KEY, made, 20_000).scores, np.float64)
    assert abs(r.mean() + 0.2) < 5 * 0.5 / np.sqrt(20_000)
    inside, shared = r.var(1, ddof=1).mean(), r.mean(1).var()
    np.testing.assert_allclose(inside, 0.09, rtol=5 * np.sqrt(2 / 60_000))
    np.testing.assert_allclose(shared, 0.16 + 0.09 / 4, rtol=5 * np.sqrt(2 / 20_000))
    half = made.with_changes(quality=None, spread=1.0, noise=0.0, direction_noise=0.0)
    scores = np.asarray(draw_problems(KEY, half, 20_000).scores)[:, 0] + 0.2
    assert scipy.stats.kstest(scores / 0.5, "uniform").pvalue > 1e-5


def test_ragged_problems_are_masked():
    made = Population(num_candidates=9, num_directions=5, min_candidates=3, sizes="equal")
    p = draw_problems(KEY, made, 7000)
    counts = np.asarray(p.mask).sum(1)
    assert scipy.stats.chisquare(np.bincount(counts, minlength=10)[3:]).pvalue > 1e-5
    assert np.all(np.asarray(p.mask) == (np.arange(9) < counts[:, None]))
    assert np.all(np.asarray(p.scores)[~np.asarray(p.mask)] == 0)
    # A direction that only padding had is not there, and qualities are over those that are.
    there = np.zeros((7000, 5), bool)
    rows, places = np.nonzero(np.asarray(p.mask))
    there[rows, np.asarray(p.directions)[rows, places]] = True
    assert np.all((np.asarray(p.quality) > 0) == there)
    np.testing.assert_allclose(np.asarray(p.quality).sum(1), 1, rtol=1e-5)


def test_expected_similarities_are_as_stated():
    made = Population(
        num_candidates=5, num_directions=2, similarity_within=0.9, similarity_between=0.4
    )
    p = draw_problems(KEY, made, 3)
    labels = np.asarray(p.directions)
    same = labels[:, :, None] == labels[:, None, :]
    expected = np.where(same, 0.9, 0.4)
    expected[:, np.arange(5), np.arange(5)] = 1
    np.testing.assert_array_equal(p.similarity, expected.astype(np.float32))


@pytest.mark.parametrize(("inside", "across"), [(0.95, 0.7), (0.3, 0.0), (1.0, 0.5), (0.5, 0.5)])
def test_embeddings_have_exactly_the_stated_expected_cosines(inside, across, float64):
    made = Population(
        num_candidates=4,
        num_directions=2,
        sizes="equal",
        dimension=6,
        similarity_within=inside,
        similarity_between=across,
    )
    p = draw_problems(KEY, made, 20_000)
    e, labels = np.asarray(p.embeddings), np.asarray(p.directions)
    assert e.shape == (20_000, 4, 13)
    np.testing.assert_allclose(np.linalg.norm(e, axis=-1), 1, rtol=1e-12)
    cosines = np.einsum("nid,njd->nij", e, e)
    for i, j in zip(*np.triu_indices(4, 1), strict=True):
        same = labels[:, i] == labels[:, j]
        for rows, expected in ((same, inside), (~same, across)):
            x = cosines[rows, i, j]
            assert abs(x.mean() - expected) < 5 * x.std() / np.sqrt(x.size) + 1e-12, (i, j)


def test_a_problem_depends_on_its_number_alone():
    made = Population(min_candidates=4, noise=0.1, dimension=3, sizes="crp")
    whole = draw_problems(KEY, made, 10)
    part = draw_problems(KEY, made, 4, first=5)
    for name in ("scores", "directions", "mask", "quality", "embeddings"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[5:9])


def test_a_population_is_a_pytree_whose_numbers_are_traced():
    seen = []

    @jax.jit
    def first_score(population):
        seen.append(1)
        return draw_problems(KEY, population, 1).scores[0, 0]

    values = [first_score(Population(offset=x)) for x in (0.0, 1.0, 2.0)]
    assert len(seen) == 1
    np.testing.assert_allclose(np.diff(values), 1, rtol=1e-5)
    made = Population(within_concentration=jnp.float32(2.0))
    leaves = jax.tree.leaves(made)
    assert len(leaves) == 13
    # Axes to map over, and what is not checked before it is used.
    axes = jax.tree.map(lambda _: 0, made)
    assert (axes.skew, axes.sizes) == (0, "zipf")
    with pytest.raises(ValueError, match="skew = 0"):
        draw_problems(KEY, axes, 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"num_directions": 20}, "num_directions = 20: needs 1 to 16"),
        ({"min_candidates": 0}, "min_candidates = 0"),
        ({"sizes": "even"}, "sizes = 'even': needs one of equal, zipf, crp"),
        ({"sizes": (10, 4, 1, 2)}, "needs 4 positive numbers of sum 16"),
        ({"quality": (0.5, 0.5)}, "needs a tuple of 4 numbers"),
        ({"quality": (0.5, 1.5, 0.1, 0.1)}, r"quality\[1\] = 1.5"),
        ({"concentration": 0.0}, "concentration = 0.0"),
        ({"within_concentration": -1.0}, "within_concentration = -1.0"),
        ({"noise": float("nan")}, "noise = nan"),
        ({"difficulty": 1.0}, "difficulty without a level = 1.0"),
        ({"level": float("inf")}, "level = inf"),
        ({"level": 0.0, "quality": (0.1,) * 4}, "level = 0.0: quality is given"),
        ({"discount": 1.0}, r"discount = 1.0: needs a finite number in \[0, 1\)"),
        ({"num_candidates": 0}, r"num_candidates = 0: needs an integer in \[1, "),
        ({"num_candidates": 2**31}, "num_candidates = 2147483648: needs an integer"),
        ({"num_candidates": 2.5}, "num_candidates = 2.5: needs an integer"),
        ({"num_directions": 0}, r"num_directions = 0: needs an integer in \[1, "),
        ({"min_candidates": True}, "min_candidates = True: needs an integer"),
        ({"min_candidates": 17}, "min_candidates = 17: needs 1 to 16"),
        ({"sizes": 3}, "sizes = 3: needs a tuple of 4"),
        ({"sizes": [4, 4, 4, 4]}, r"sizes = \[4, 4, 4, 4\]: needs a tuple of 4"),
        ({"sizes": (4, 4, 4.5, 3.5)}, r"sizes\[2\] = 4.5: needs an integer"),
        ({"quality": 0.3}, "quality = 0.3: needs a tuple of 4 numbers"),
        ({"quality": ("a", 0.1, 0.1, 0.1)}, r"quality\[0\] = 'a': needs a number"),
        ({"concentration": [1, 2]}, r"concentration = \[1, 2\]: needs a number"),
        ({"concentration": True}, "concentration = True: needs a number"),
        ({"concentration": None}, "concentration = None: needs a number"),
        ({"concentration": 1e-13}, r"concentration = 1e-13: needs a finite number in \[1e-12, "),
        ({"spread": 1e13}, r"spread = 1\S*: needs a finite number in \[0, 1e\+12\]"),
        ({"offset": "x"}, "offset = 'x': needs a number"),
        ({"similarity_within": None}, "similarity_within = None: needs a number"),
        ({"dimension": 1.5}, "dimension = 1.5: needs an integer"),
        ({"similarity_between": 0.99}, "similarity_within - similarity_between = -0.0"),
        ({"dimension": -1}, "dimension = -1"),
    ],
)
def test_bad_values_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        Population(**changes)


def test_bad_arguments_are_named():
    for count in (0, 2.5, "x", None, True, 2**32):
        with pytest.raises(ValueError, match=f"num_problems = {count!r}: needs an integer in "):
            draw_problems(KEY, Population(), count)
    for first in (-1, 2.5, "x", 2**32 - 1):
        with pytest.raises(ValueError, match=f"first = {first!r}: needs an integer in "):
            draw_problems(KEY, Population(), 2, first=first)
    with pytest.raises(TypeError, match="population = None: needs a Population"):
        draw_problems(KEY, None, 2)
    with pytest.raises(TypeError, match="key = 0: needs one JAX random key"):
        draw_problems(0, Population(), 2)


def test_a_quality_is_at_most_1_in_whatever_program():
    """A single direction has quality 1, also where 1 - Q is fused with what makes Q."""
    made = Population(num_candidates=10, min_candidates=6, sizes="crp", within_concentration=1.5)

    @jax.jit
    def rest(numbers):
        return 1 - problems_at(KEY, made, numbers).quality.astype(jnp.float32).T

    assert (rest(jnp.arange(1024, dtype=jnp.uint32)) >= 0).all()
