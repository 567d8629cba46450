"""The similarity kernel equals its reference, and the reference equations 10 to 12 in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lowering import for_cuda

from dora_theory import uniqueness
from dora_theory.kernels import similarity_parts
from dora_theory.kernels.dispatch import unavailable, with_slope
from dora_theory.kernels.similarities import similarity_reference, similarity_sums
from dora_theory.kernels.similarities_triton import Tiling, similarity_kernel
from dora_theory.kernels.similarity_parts import parts_of

ON_GPU = unavailable() is None
TEMPERATURES = np.array([0.01, 0.1, 0.5], np.float32)
# Two units in the last place of what a matrix unit takes, halved for rounding to nearest.
UNIT = {"full": 0.0, "tf32": 2.0**-11, "bfloat16": 2.0**-8}


@pytest.fixture(scope="module")
def problems():
    """Three of 50 candidates in 40 dimensions: close, with copies, the last ten of one padding."""
    rng = np.random.default_rng(2)
    e = rng.normal(size=(3, 5, 40))[:, rng.integers(5, size=50)]
    e += 0.1 * rng.normal(size=e.shape)
    e[:, 7:11] = e[:, 3:4]
    unit = (e / np.linalg.norm(e, axis=-1, keepdims=True)).astype(np.float32)
    values = rng.uniform(0.5, 2, size=(3, 50)).astype(np.float32)
    unit[1, 40:], values[1, 40:] = 0, 0
    return unit, values, TEMPERATURES


def exponents(unit, temperature):
    """(S - 1)/T_s in float64; a candidate is one with itself."""
    gap = unit.astype(float) @ unit.astype(float).swapaxes(-1, -2) - 1
    gap[..., np.arange(50), np.arange(50)] = 0
    return np.minimum(gap, 0) / temperature.astype(float)[:, None, None]


@pytest.mark.parametrize("precision", UNIT)
def test_kernel_and_reference_err_by_what_is_stated(problems, precision):
    unit, values, temperature = problems
    # Tiles and blocks that 50 and 40 do not fill, rows and columns of different size.
    tile = None if ON_GPU else Tiling(16, 32, 16, 4, 2)
    kernel = partial(similarity_kernel, precision=precision, tile=tile, interpret=not ON_GPU)
    y = np.asarray(similarity_reference(*problems, precision=precision, block=32))
    there = values > 0
    np.testing.assert_allclose(np.asarray(kernel(*problems))[there], y[there], rtol=2e-5)

    x = exponents(unit, temperature)
    away = np.sqrt(-2 * x * temperature[:, None, None])
    off = (2 * UNIT[precision] * away + 44 * 2.0**-24) / temperature[:, None, None]
    v = values[:, None, :].astype(float)
    truth, most = (np.exp(x) * v).sum(-1), (np.exp(x) * np.expm1(off) * v).sum(-1)
    error = np.abs(y - truth)
    assert np.all(error[there] <= most[there])
    if precision != "full":
        # It is rounded, and not more coarsely than it may be: some error is near the bound.
        assert (error[there] / most[there]).max() > 0.01


@pytest.mark.parametrize("precision", UNIT)
def test_a_block_alone_is_read_as_it_is(problems, precision):
    """Of 50 candidates, and four problems of four candidates in one program."""
    unit, values, temperature = problems
    packed = unit[0, :16].reshape(4, 4, 40), values[0, :16].reshape(4, 4), temperature[[0, 1, 2, 0]]
    for given in (problems, packed):
        y = similarity_kernel(*given, precision=precision, interpret=not ON_GPU)
        there = given[1] > 0
        expected = similarity_reference(*given, precision=precision)
        np.testing.assert_allclose(np.asarray(y)[there], np.asarray(expected)[there], rtol=2e-5)


def test_problems_of_one_program_do_not_meet(problems):
    unit, values = problems[0][0, :16].reshape(4, 4, 40), problems[1][0, :16].reshape(4, 4).copy()
    values[1] = np.nan
    temperature = np.full(4, 0.1, np.float32)
    y = np.asarray(similarity_kernel(unit, values, temperature, interpret=not ON_GPU))
    assert np.isnan(y).any(-1).tolist() == [False, True, False, False]


def test_programs_that_share_columns_add_up(problems, monkeypatch):
    monkeypatch.setattr(similarity_parts, "_TOGETHER", 2)
    assert similarity_parts.shares_of(4) == (2, 2)
    tile = Tiling(16, 16, 16, 4, 2)
    y = similarity_kernel(*problems, tile=tile, interpret=not ON_GPU)
    there = problems[1] > 0
    expected = np.asarray(similarity_reference(*problems))
    np.testing.assert_allclose(np.asarray(y)[there], expected[there], rtol=2e-5)


def test_shares_hold_all_blocks_and_none_is_empty():
    for blocks in range(1, 600):
        shares, most = similarity_parts.shares_of(blocks)
        assert (shares - 1) * most < blocks <= shares * most


def test_copies_stay_copies_when_rounded(problems):
    """Alone among strangers, five copies count as five, not as what rounding makes of 5."""
    unit = np.eye(40, dtype=np.float32)[:20].repeat(1, 0)
    unit[:5] = problems[0][0, 3]
    gamma = np.asarray(uniqueness(unit, similarity_temperature=0.01, precision="bfloat16"))
    np.testing.assert_allclose(gamma[:5], 0.2, rtol=1e-4)


def test_derivatives_of_the_kernel_are_the_reference_s(problems):
    kernel = with_slope(partial(similarity_kernel, interpret=not ON_GPU), similarity_reference)
    weights = np.linspace(1, 2, 150, dtype=np.float32).reshape(3, 50)

    def slopes(function):
        return jax.grad(lambda *a: (function(*a) * weights).sum(), (0, 1, 2))(*problems)

    for ours, theirs in zip(slopes(kernel), slopes(similarity_reference), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_vmap_is_the_batch(problems):
    kernel = partial(similarity_kernel, interpret=not ON_GPU)
    np.testing.assert_allclose(jax.vmap(kernel)(*problems), kernel(*problems), rtol=1e-6)
    assert kernel(jnp.zeros((0, 4, 3)), jnp.zeros((0, 4)), jnp.zeros(0)).shape == (0, 4)


@pytest.mark.parametrize("wide", [False, True], ids=["x32", "x64"])
@pytest.mark.parametrize("precision", UNIT)
def test_it_lowers_for_cuda_without_a_matrix_of_all_pairs(precision, wide):
    with jax.enable_x64(wide):
        shapes = [(2, 1000, 384), (2, 1000), (2,)]
        given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        text = for_cuda(partial(similarity_kernel, precision=precision), *given)
    assert "__gpu$xla.gpu.triton" in text
    assert "1000x1000" not in text
    assert "1024x1024" not in text


def test_bad_arguments_are_named(problems):
    with pytest.raises(ValueError, match="'fp8': needs one of 'full', 'tf32', 'bfloat16'"):
        similarity_sums(*problems, precision="fp8")
    with jax.enable_x64(True):
        wide = [jnp.asarray(x, jnp.float64) for x in problems]
        with pytest.raises(ValueError, match="precision = 'tf32': needs float32, and this is"):
            similarity_sums(*wide, precision="tf32")
        with pytest.raises(ValueError, match="implementation='pallas': the kernel has no float64"):
            similarity_sums(*wide, implementation="pallas")


def directions(k, d):
    """Two problems of random directions, at two temperatures."""
    e = np.random.default_rng(k).normal(size=(2, k, d))
    unit = (e / np.linalg.norm(e, axis=-1, keepdims=True)).astype(np.float32)
    return unit, np.ones((2, k), np.float32), np.array([0.01, 0.1], np.float32)


@pytest.mark.skipif(not ON_GPU, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("precision", UNIT)
@pytest.mark.parametrize(("k", "d"), [(8, 384), (100, 16), (1000, 384), (4096, 1024)])
def test_sizes_on_a_gpu(k, d, precision):
    given = directions(k, d)
    ours = jax.jit(partial(similarity_kernel, precision=precision))(*given)
    theirs = similarity_reference(*given, precision=precision)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_float32_is_the_sum_of_its_three_parts():
    """To the last bit, jitted too: a compiler that skipped a conversion would leave no rest."""
    rng = np.random.default_rng(4)
    x = (rng.normal(size=4000) * 10.0 ** rng.uniform(-20, 0, 4000)).astype(np.float32)
    x = np.concatenate([x, np.float32([0, 1, -1, 1 - 2.0**-24, 1 + 2.0**-8, 1 + 2.0**-9])])
    for split in (parts_of, jax.jit(parts_of)):
        parts = split(jnp.asarray(x))
        assert all(part.dtype == jnp.bfloat16 for part in parts)
        np.testing.assert_array_equal(sum(np.asarray(part, np.float64) for part in parts), x)


def test_many_narrow_problems_on_any_scale_are_as_one_by_one():
    """Products of embeddings as they are; by unit vectors again where squares leave the range."""
    rng = np.random.default_rng(2)
    e = rng.normal(size=(600, 16, 64)).astype(np.float32)
    e[:, 3] = e[:, 7]
    mask = rng.uniform(size=e.shape[:2]) < 0.9
    mask[:, 0] = True
    e[~mask] = np.nan
    plain = np.asarray(uniqueness(jnp.asarray(e), similarity_temperature=0.1, mask=mask))
    scaled = e.copy()
    scaled[10], scaled[20], scaled[30] = e[10] * 1e-25, e[20] * 1e30, e[30] * 3e9
    scaled[40, 0], scaled[50, 0] = 0, np.inf
    got = np.asarray(uniqueness(jnp.asarray(scaled), similarity_temperature=0.1, mask=mask))
    assert np.isnan(got[[40, 50]]).all()
    good = np.setdiff1d(np.arange(600), [40, 50])
    np.testing.assert_allclose(got[good], plain[good], rtol=1e-4)
    one_by_one = [
        np.asarray(uniqueness(jnp.asarray(e[i]), similarity_temperature=0.1, mask=mask[i]))
        for i in (0, 10)
    ]
    np.testing.assert_allclose(plain[[0, 10]], one_by_one, rtol=1e-4)
    slope = jax.grad(lambda e: uniqueness(e, similarity_temperature=0.1, mask=mask)[good].sum())
    slopes = np.asarray(slope(jnp.asarray(scaled)))
    assert np.isfinite(slopes[good]).all()
    np.testing.assert_allclose(slopes[20] * 1e30, np.asarray(slope(jnp.asarray(e)))[20], atol=1e-3)
