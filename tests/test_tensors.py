"""Tensors of other libraries, which speak DLPack, are taken as arrays are.

Torch itself is not needed: what it offers (`__dlpack__`, `__dlpack_device__`, `shape`, `detach`, no
export while a gradient is kept, no bfloat16 in NumPy) is built here; with torch it is tried too.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dora_theory as dt
from dora_theory import _arrays
from dora_theory._checks import Argument, check_vectors, checked, host_float
from dora_theory.adapters.rules import allocator
from dora_theory.allocation.optimal import optimal_allocation
from dora_theory.allocation.rules import dora_allocation, rebase_allocation


class Tensor:
    """A tensor that keeps a gradient unless it is detached."""

    def __init__(self, array, *, keeps_gradient=False):
        self.array, self.keeps_gradient = array, keeps_gradient

    @property
    def shape(self):
        return self.array.shape

    def detach(self):
        return Tensor(self.array)

    def __dlpack__(self, **options):
        if self.keeps_gradient:
            raise BufferError("Can't export tensors that require gradient")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def unchecked(function):
    """Without the run-time checks of types that tests turn on."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


SCORES, VECTORS = np.array([0.9, 0.5, 0.5], np.float32), np.eye(3, dtype=np.float32)


def test_a_tensor_on_the_cpu_is_numpy_s_without_a_copy():
    x = np.arange(4.0)
    found = _arrays.array_of(Tensor(x, keeps_gradient=True))
    assert isinstance(found, np.ndarray)
    assert np.shares_memory(found, x)


def test_bfloat16_is_read_too():
    x = jnp.array([0.9, 0.5], jnp.bfloat16)
    found = host_float("x", Tensor(x))
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, np.asarray(x, np.float32))
    assert host_float("x", Tensor(x)).dtype == jnp.result_type(float)


def test_a_tensor_on_a_device_is_jax_s_and_not_looked_at(monkeypatch):
    # As if what has this memory were a device: there is none other here.
    monkeypatch.setattr(_arrays, "_CPU", -1)
    there = Tensor(jnp.array([np.nan, 0.5]))
    assert not _arrays.is_host(there)
    r, m = checked(None, x=Argument(there))
    assert isinstance(r, jax.Array)
    assert m.shape == (2,)
    found = unchecked(rebase_allocation)(there, 3)
    np.testing.assert_array_equal(found, [-1, -1])


def test_rules_take_them_beside_arrays():
    for make in (Tensor, lambda x: Tensor(jnp.asarray(x, jnp.bfloat16))):
        scores, vectors = make(SCORES), make(VECTORS)
        given = unchecked(dora_allocation)(scores, vectors, 12)
        expected = jax.jit(dora_allocation)(SCORES, VECTORS, 12)
        np.testing.assert_array_equal(given, expected)
        many = make(np.stack([SCORES, SCORES])), make(np.stack([VECTORS, VECTORS]))
        mask = Tensor(np.array([[True, True, False]] * 2))
        given = unchecked(dora_allocation)(*many, 12, mask=mask)
        assert np.asarray(given)[:, 2].sum() == 0
    w, n = Tensor(np.array([[0.5, 0.4]])), Tensor(np.array([5]))
    assert unchecked(optimal_allocation)(w, 1.0, n).tolist() == [[3, 2]]


def test_values_are_looked_at_though_a_gradient_is_kept():
    def kept(x):
        return Tensor(np.asarray(x, np.float32), keeps_gradient=True)

    w, there = kept([0.5, 0.4]), Tensor(np.array([True, True]))
    assert unchecked(dt.cost_allocation)(w, 1.0, w, kept(3.0)).allocation.shape == (2,)
    prior = dt.KnownPrior(np.array([0.5, 0.4]))
    assert unchecked(dt.allocate_problems)(1.0, prior, kept(3.0), costs=w).rollouts.shape == (2,)
    apart = [[1, 0.5], [0.4, 1]]
    for mask in (None, there):
        with pytest.raises(ValueError, match="symmetric"):
            unchecked(dt.root_weights)(w, kept(apart), mask=mask)
        with pytest.raises(ValueError, match="w < 1"):
            unchecked(dt.optimal_set)(kept([1.0, 0.4]), 1.0, 3, mask=mask)
    given = unchecked(dt.direction_totals)(w, Tensor(np.array([0, 0])), 1)
    np.testing.assert_allclose(given, [0.9], rtol=1e-6)


def test_a_bad_value_is_named():
    with pytest.raises(ValueError, match=r"scores\[1\] = nan"):
        unchecked(rebase_allocation)(Tensor(np.array([0.1, np.nan])), 3)
    zero = Tensor(jnp.zeros((2, 2), jnp.bfloat16))
    with pytest.raises(ValueError, match=r"embeddings\[0\] is zero"):
        check_vectors("embeddings", zero, np.dtype("float32"))


def test_torch_itself():
    torch = pytest.importorskip("torch")
    scores = torch.tensor(SCORES, requires_grad=True)
    vectors = torch.tensor(VECTORS, dtype=torch.bfloat16)
    given = unchecked(dora_allocation)(scores, vectors, 12)
    assert torch.from_dlpack(given).tolist() == given.tolist()
    plain = scores.detach()
    # Strides in a dtype that NumPy has not, a view that is negated when it is read, a list.
    others = (
        torch.stack([plain, plain], 1).bfloat16()[:, 0],
        torch._neg_view(-plain),
        list(plain.bfloat16()),
    )
    for same in others:
        assert unchecked(dora_allocation)(same, vectors, 12).tolist() == given.tolist()
    dt.check(scores=plain.bfloat16(), embeddings=vectors)
    rule = allocator("dora", embed=lambda texts: vectors)
    assert rule(plain.bfloat16(), ["a", "b", "c"], 12).tolist() == given.tolist()
