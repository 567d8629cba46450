"""Each public function on one table: shapes, bad values, padding, devices, `vmap`, `shard_map`."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from api_table import (
    ANY_SCALE,
    ELSEWHERE,
    LOOPS_UNDER_VMAP,
    OF_PRIOR,
    TABLE,
    K,
    arguments,
    core,
    leaves,
)
from jax.experimental import checkify
from jax.sharding import PartitionSpec

import dora_theory as dt

each = pytest.mark.parametrize("name", TABLE)


def on_device(given):
    return {name: jnp.asarray(x) for name, x in given.items()}


def shape_of(batch, axes):
    samples = (2,) if axes.startswith("samples") else ()
    return (*samples, *batch, *core(axes.removeprefix("samples").strip()))


def axes_of(x, axes):
    """From a leaf `(..., own)` to `(..., n)`, problems first."""
    x = np.asarray(x)
    if axes.startswith("samples"):
        x, axes = np.moveaxis(x, 0, -1), axes.removeprefix("samples").strip() + " s"
    return x.reshape(*x.shape[: x.ndim - len(axes.split())], -1)


def assert_same(found, expected, entry, where=slice(None)):
    for one, other, axes in zip(leaves(found), leaves(expected), entry.returns, strict=True):
        one, other = axes_of(one, axes)[where], axes_of(other, axes)[where]
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)


def is_void(x):
    if np.issubdtype(x.dtype, np.floating):
        return np.isnan(x)
    return x == (-1 if np.issubdtype(x.dtype, np.integer) else False)


def test_every_exported_name_is_in_the_table_or_has_a_reason_not_to_be():
    elsewhere = {name for names in ELSEWHERE for name in names.split()}
    methods = {name.partition(".")[0] for name in TABLE}
    assert methods | elsewhere == set(dt.__all__)
    assert not {name for name in TABLE if name != "BetaPrior"} & elsewhere


def assert_shapes(entry, cases):
    for batches in cases:
        given = arguments(entry, batches)
        found = leaves(jax.eval_shape(lambda given=given: entry.call(**given)))
        whole = np.broadcast_shapes(*batches.values())
        shapes = [shape_of(whole, axes) for axes in entry.returns]
        assert [x.shape for x in found] == shapes, batches


@each
def test_batches_broadcast_and_may_be_empty(name):
    entry = TABLE[name]
    parts = [*entry.axes, *(["mask"] if entry.masked else [])]
    turns = itertools.cycle([(2, 1), (3,), (1, 1), ()])
    assert_shapes(entry, [dict.fromkeys(parts, (3, 0)), dict(zip(parts, turns, strict=False))])


@pytest.mark.slow
@each
def test_each_argument_may_have_the_batch_alone(name):
    entry = TABLE[name]
    parts = [*entry.axes, *(["mask"] if entry.masked else [])]
    cases = [dict.fromkeys(parts, batch) for batch in ((), (2,), (0,), (2, 2))]
    for part in parts:
        cases += [dict.fromkeys(parts, ()) | {part: batch} for batch in ((2,), (0,), (2, 3))]
    assert_shapes(entry, cases)


@pytest.mark.slow
@each
def test_a_batch_is_its_problems(name):
    entry = TABLE[name]
    if "sample_log_beta" in name or "sample_log_gamma" in name:
        pytest.skip("a problem's number is part of its draws")
    parts = [*entry.axes, *(["mask"] if entry.masked else [])]
    batches = dict(zip(parts, itertools.cycle([(2, 1), (3,)]), strict=False))
    given = arguments(entry, batches)
    found = entry.call(**given)
    whole = np.broadcast_shapes(*batches.values())
    empty = arguments(entry, dict.fromkeys(parts, (0,)))
    assert [x.shape for x in leaves(entry.call(**empty))] == [
        shape_of((0,), axes) for axes in entry.returns
    ]
    own = {part: core(entry.axes.get(part, entry.masked)) for part in parts}
    full = {part: np.broadcast_to(x, (*whole, *own[part])) for part, x in given.items()}
    for place in np.ndindex(*whole):
        alone = entry.call(**{part: x[place] for part, x in full.items()})
        for one, all_ in zip(leaves(alone), leaves(found), strict=True):
            np.testing.assert_allclose(np.asarray(all_)[place], one, rtol=2e-5, atol=1e-7)


@each
@pytest.mark.parametrize("device", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("masked", [False, True], ids=["all", "mask"])
def test_own_axes_match_exactly(name, device, masked):
    entry = TABLE[name]
    parts = {**entry.axes, **({"mask": entry.masked} if entry.masked and masked else {})}
    for part, axes in parts.items():
        for axis, size in itertools.product(set(axes.split()), (1, 3, K + 1)):
            alone = not any(axis in other.split() for o, other in parts.items() if o != part)
            fixed = entry.axes.get("directions") is not None and axis == "g"
            # Problems of a set broadcast.
            if axis == "p" and (size == 1 or alone):
                continue
            if axis == "d" or (alone and axis == "k" and axes != "k k") or (alone and axis == "g"):
                continue
            given = arguments(entry, ())
            if not masked:
                given.pop("mask", None)
            if size == core(axis)[0] or fixed:
                continue
            shape = tuple(
                size if a == axis else n for a, n in zip(axes.split(), core(axes), strict=True)
            )
            if axes == "k k":
                shape = (size, K)
            given[part] = np.resize(given[part], shape)
            # The message names the argument or the one that it does not fit.
            with pytest.raises(ValueError, match=rf"{part}|where {part} has"):
                entry.call(**(on_device(given) if device else given))


def spoilt(name):
    """Rows of sound problems, of which some have a bad value; which, and what they were."""
    entry = TABLE[name]
    cases = [(part, bad) for part in entry.axes for bad in entry.value(part)[1]]
    if name in ANY_SCALE:
        cases.remove(("weights", 1.5))
    rows = 2 * len(cases) + 1
    sound = arguments(entry, (rows,))
    given = {part: x.copy() for part, x in sound.items()}
    for row, (part, bad) in enumerate(cases):
        put(given[part], 2 * row + 1, bad, entry.axes[part])
    return entry, sound, given, np.arange(rows) % 2 == 1, cases


def put(x, row, bad, axes):
    if axes == "k d" and bad == 0:
        x[row, 1] = 0
    elif axes:
        x[(row, *(1,) * (axes == "k k"), 0)] = bad
    else:
        x[row] = bad


@each
def test_a_bad_value_of_the_host_is_named(name):
    entry, sound, given, _, cases = spoilt(name)
    for row, (part, _) in enumerate(cases):
        one = {p: x[2 * row + 1] for p, x in given.items()}
        with pytest.raises(ValueError, match=part):
            entry.call(**one)
    entry.call(**{p: x[0] for p, x in sound.items()})


@pytest.mark.slow
@each
def test_a_bad_value_of_a_device_gives_nothing_and_leaves_its_neighbors(name):
    entry, sound, given, bad, cases = spoilt(name)
    given = on_device(given)
    found = {
        "eager": entry.call(**given),
        "jit": jax.jit(lambda given: entry.call(**given))(given),
        "vmap": jax.jit(jax.vmap(lambda given: entry.call(**given)))(given),
    }
    clean = entry.call(**on_device(sound))
    for way, result in found.items():
        if way == "vmap" and name in ("sample_log_beta", "sample_log_gamma"):
            continue
        assert_same(result, clean, entry, ~bad)
        for x, axes in zip(leaves(result), entry.returns, strict=True):
            void = is_void(axes_of(x, axes)).all(-1)
            assert void[bad].all(), (
                way,
                [c for c, v in zip(cases, void[bad], strict=True) if not v],
            )
            assert not is_void(axes_of(x, axes))[~bad].all(-1).all() or x.dtype == bool, way


@pytest.mark.slow
@each
def test_padding_may_hold_anything(name):
    entry = TABLE[name]
    if not entry.masked or name == "BetaPrior.from_quality":
        pytest.skip("takes no mask, or leaves padding as it is")
    sound = arguments(entry, (3,))
    given = {part: x.copy() for part, x in sound.items()}
    for part, axes in entry.axes.items():
        if "k" not in axes.split() or part == "allocation":
            continue
        junk = np.nan if np.issubdtype(given[part].dtype, np.floating) else -7
        given[part][(slice(None),) * (1 + axes.startswith("p")) + (K - 1,)] = junk
        if axes == "k k":
            given[part][:, :, K - 1] = junk
    clean = entry.call(**sound)
    # What is outside may be padding, too, for what has no candidates of its own.
    if name not in OF_PRIOR:
        assert_same(entry.call(**given), clean, entry)
    assert_same(entry.call(**on_device(given)), clean, entry)


@pytest.mark.slow
@each
def test_shard_map_takes_it_with_its_checks(name):
    entry = TABLE[name]
    mesh = jax.make_mesh((1,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    parts = [*entry.axes, *(["mask"] if entry.masked else [])]
    for split in (parts, *([part] for part in parts)):
        specs = {part: PartitionSpec("x") if part in split else PartitionSpec() for part in parts}
        given = arguments(entry, dict.fromkeys(split, (2,)))
        out = tuple(
            PartitionSpec(*([None] if axes.startswith("samples") else []), "x")
            for axes in entry.returns
        )
        mapped = jax.shard_map(
            lambda given: tuple(leaves(entry.call(**given))),
            mesh=mesh,
            in_specs=(specs,),
            out_specs=out,
        )
        found = jax.eval_shape(mapped, given)
        assert [x.shape for x in found] == [shape_of((2,), axes) for axes in entry.returns]


@pytest.mark.slow
@each
def test_checkify_goes_through(name):
    entry = TABLE[name]
    if name.partition(".")[0] in LOOPS_UNDER_VMAP:
        pytest.skip("JAX's checkify refuses loops under vmap, which this has")
    errors = checkify.nan_checks | checkify.index_checks | checkify.user_checks
    checked = checkify.checkify(lambda given: entry.call(**given), errors=errors)
    jax.eval_shape(checked, arguments(entry, (2,)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scores": [0.1, np.nan]}, r"scores\[1\] = nan"),
        ({"weights": [0.1, -0.5], "concentration": 1.0}, r"weights\[1\] = -0.5"),
        ({"concentration": 0.0}, "concentration = 0.0"),
        ({"scores": [0.1, 0.2], "embeddings": [[1.0, 0.0], [0.0, 0.0]]}, "embeddings"),
        ({"directions": [0, 3], "direction_weights": [0.5, 0.5]}, "directions"),
        ({"alpha": [0.0, 1.0], "beta": [0.0, 1.0]}, r"alpha \+ beta"),
        ({"budget": -1}, "budget = -1"),
        ({"weights": [0.5], "budget": 3, "mask": [False]}, "mask: a problem without candidates"),
        ({"similarity": [[1.0, np.inf], [0.0, 1.0]]}, "similarity"),
    ],
)
def test_check_names_what_is_bad_on_a_device(given, message):
    given = {name: jnp.asarray(x) for name, x in given.items()}
    with pytest.raises(ValueError, match=message):
        dt.check(**given)
    error, _ = checkify.checkify(jax.jit(lambda given: dt.check(**given)))(given)
    assert error.get() is not None
    assert error.get().startswith(message.split("[")[0].split("\\")[0].split(":")[0])


def test_check_passes_what_is_sound_and_padding():
    dt.check(scores=jnp.array([0.1, jnp.nan]), mask=jnp.array([True, False]), budget=jnp.array(4))
    drawn = dt.draw_problems(
        jax.random.key(0), dt.Population(num_candidates=6, num_directions=2), 3
    )
    dt.check(drawn)
    with pytest.raises(TypeError, match="score: is none of scores"):
        dt.check(score=[1.0])
    with pytest.raises(ValueError, match="embeddings: 3 candidates, where scores has 2"):
        dt.check(scores=jnp.ones(2), embeddings=jnp.ones((3, 2)))
