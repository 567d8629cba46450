"""Kernels of a sharded batch: each device takes its own problems, and none is sent anywhere."""

import os
import socket
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dora_theory.kernels.by_problems import by_problems


def scaled(x, y, shared):
    return (x * shared).sum(-1, keepdims=True) + y, x + 1


def arguments(n):
    rng = np.random.default_rng(0)
    made = (rng.integers(9, size=shape) for shape in ((n, 4), (n, 1), 4))
    return tuple(jnp.asarray(x, jnp.float32) for x in made)


def test_batches_of_batches_are_one_batch():
    x, y, shared = arguments(6)
    expected = scaled(x, y, shared)
    batched = x.reshape(2, 3, 4), y.reshape(2, 3, 1)
    found = jax.jit(jax.vmap(lambda x, y: by_problems(scaled, (x, y), (shared,))))(*batched)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.reshape(theirs.shape), theirs)
    # One of two is the same for all, and what problems share may differ too.
    same = jax.vmap(lambda x: by_problems(scaled, (x, y[:3]), (shared,))[0])(batched[0])
    np.testing.assert_array_equal(same[1], scaled(x[3:], y[:3], shared)[0])
    each = jax.vmap(lambda s: by_problems(scaled, (x, y), (s,))[0])(jnp.stack([shared, 2 * shared]))
    np.testing.assert_array_equal(each[1], scaled(x, y, 2 * shared)[0])


# Kernels are interpreted, and what is compiled for a device is looked at.
SHARDED = """
    import jax, jax.numpy as jnp, numpy as np, sys
    place, rank, processes = sys.argv[1], *map(int, sys.argv[2:])
    if processes > 1:
        jax.distributed.initialize(place, processes, rank)
    from functools import partial
    from jax.sharding import AxisType, NamedSharding, PartitionSpec
    from dora_theory.kernels.random_words import stream
    from dora_theory.kernels.divisor_pallas import Tiling, allocation_kernel
    from dora_theory.kernels.outcomes import Tiling as Samples, expected_outcomes_kernel
    from dora_theory.kernels.similarities_triton import similarity_kernel

    rng, n = np.random.default_rng(0), 16
    mesh = jax.make_mesh((8,), ("problems",), axis_types=(AxisType.Auto,))

    def split(x, *axes):
        placed = NamedSharding(mesh, PartitionSpec(*axes))
        return jax.make_array_from_callback(np.shape(x), placed, lambda at: np.asarray(x)[at])

    def check(name, function, given, places):
        alone = jax.jit(function)(*given)
        sharded = [jax.tree.map(lambda x: split(x, *axes), x)
                   for x, axes in zip(given, places, strict=True)]
        program = jax.jit(function).lower(*sharded).compile()
        text = program.as_text()
        # Inside of an interpreted kernel nothing is sharded either.
        assert "all-gather" not in text and "all-to-all" not in text, name
        for x, y in zip(jax.tree.leaves(program(*sharded)), jax.tree.leaves(alone), strict=True):
            assert len(x.addressable_shards) == 8 // processes
            for part in x.addressable_shards:
                np.testing.assert_array_equal(part.data, np.asarray(y)[part.index])
            assert "problems" in str(x.sharding.spec), (name, x.sharding)
        whole = f"f32[{n},"
        local = [line for line in text.splitlines() if line.lstrip().startswith("ENTRY")]
        assert whole not in local[0], local

    first = ("problems",)
    w = rng.uniform(size=(n, 5)).astype(np.float32)
    check("allocation", partial(allocation_kernel, tile=Tiling(2, 1), interpret=True),
          (w, np.float32(1), np.full(n, 9, np.int32), np.ones((n, 5), bool)),
          (first, (), first, first))
    e = rng.normal(size=(n, 6, 3)).astype(np.float32)
    e /= np.linalg.norm(e, axis=-1, keepdims=True)
    check("similarity", partial(similarity_kernel, interpret=True),
          (e, np.ones((n, 6), np.float32), np.full(n, 0.1, np.float32)), (first, first, first))
    a = rng.uniform(size=(2, n)).astype(np.float32)
    keys = stream(jax.random.key(0), jnp.arange(n, dtype=jnp.uint32)[:, None])
    check("outcomes", partial(expected_outcomes_kernel, tile=Samples(128, 4), interpret=True),
          (keys, a, 1 - a, rng.integers(0, 9, (2, 3, n), np.int32),
           np.arange(200, dtype=np.uint32), np.ones(200, bool)),
          (first, (None, *first), (None, *first), (None, None, *first), (), ()))

    # Without `by_problems` a kernel is opaque, and the first assertion above must say so.
    from dora_theory.kernels import similarities_triton
    similarities_triton.by_problems = lambda call, problems: call(*problems)
    try:
        check("planted", partial(similarity_kernel, interpret=True),
              (e, np.ones((n, 6), np.float32), np.full(n, 0.1, np.float32)), (first, first, first))
    except AssertionError as seen:
        assert seen.args == ("planted",), seen
    else:
        raise AssertionError("a kernel that gathers its batch is not seen")
    print("sharded")
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_no_device_gathers_the_batch_for_a_kernel(processes):
    """Eight devices of one process, and four of each of two."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{s.getsockname()[1]}"
    flags = os.environ | {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // processes}",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", textwrap.dedent(SHARDED), place]
    running = [
        subprocess.Popen(
            [*command, str(rank), str(processes)],
            env=flags, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(processes)
    ]  # fmt: skip
    for each in running:
        out, error = each.communicate(timeout=300)
        # Gloo has its say on standard output too.
        assert out.splitlines()[-1:] == ["sharded"], error[-3000:]
