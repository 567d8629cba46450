"""Pallas kernels for NVIDIA GPUs, each beside the `jax.numpy` reference whose meaning it has."""
