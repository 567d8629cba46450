"""GPUs as their datasheets describe them, and meshes of them for a compiler without a device."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple


class Device(NamedTuple):
    """What is published of a GPU.

    Attributes:
        name: as CUDA reports it.
        architecture: as the assembler calls it.
        capability: major and minor.
        cores: streaming multiprocessors.
        lanes: float32 and float64 units of a multiprocessor.
        shared: bytes of shared memory of a multiprocessor, and the most of a program.
        cache: bytes of the second cache.
        memory: bytes.
        bandwidth: bytes a second.
        clock: boost clock in Hz.
        matrix: dense matrix rate in flop/s of tf32 and of bfloat16.
    """

    name: str
    architecture: str
    capability: tuple[int, int]
    cores: int
    lanes: tuple[int, int]
    shared: tuple[int, int]
    cache: int
    memory: int
    bandwidth: float
    clock: float
    matrix: dict[str, float]


# Threads and registers of a multiprocessor, alike on all three.
THREADS, REGISTERS, PROGRAMS = 2048, 65536, 32
DEVICES = {
    "A100": Device(
        "NVIDIA A100-SXM4-80GB", "sm_80", (8, 0), 108, (64, 32), (167936, 166912), 41943040,
        85899345920, 2.039e12, 1.41e9, {"tf32": 156e12, "bfloat16": 312e12},
    ),
    "H100": Device(
        "NVIDIA H100 80GB HBM3", "sm_90a", (9, 0), 132, (128, 64), (233472, 232448), 52428800,
        84929347584, 3.35232e12, 1.98e9, {"tf32": 494.7e12, "bfloat16": 989.4e12},
    ),
    "B200": Device(
        "NVIDIA B200", "sm_100a", (10, 0), 148, (128, 64), (233472, 232448), 132644864,
        191126044672, 8e12, 1.965e9, {"tf32": 1100e12, "bfloat16": 2250e12},
    ),
}  # fmt: skip


# With the multiprocessors of an H100, for which it is compiled.
H200 = DEVICES["H100"]._replace(name="NVIDIA H200", memory=151397597184, bandwidth=4.8e12)


def target(device: Device) -> str:
    """The device as XLA's compiler wants it described: a protobuf as text."""
    major, minor = device.capability
    fields = {
        "threads_per_block_limit": 1024,
        "threads_per_warp": 32,
        "threads_per_core_limit": THREADS,
        "shared_memory_per_block": 49152,
        "shared_memory_per_block_optin": device.shared[1],
        "shared_memory_per_core": device.shared[0],
        "core_count": device.cores,
        "fpus_per_core": device.lanes[0],
        "block_dim_limit_x": 2147483647,
        "block_dim_limit_y": 65535,
        "block_dim_limit_z": 65535,
        "memory_bandwidth": int(device.bandwidth),
        "l2_cache_size": device.cache,
        "clock_rate_ghz": device.clock / 1e9,
        "device_memory_size": device.memory,
        "registers_per_core_limit": REGISTERS,
        "registers_per_block_limit": REGISTERS,
    }
    info = " ".join(f"{name}: {value}" for name, value in fields.items())
    return (
        f"gpu_device_info {{ cuda_compute_capability {{ major: {major} minor: {minor} }} {info} }} "
        'platform_name: "CUDA" dnn_version_info { major: 9 minor: 7 } '
        "runtime_version { major: 12 minor: 8 patch: 0 } "
        f'device_description_str: "{device.name}"'
    )


def mesh(device: Device, count: int) -> Any:
    """A mesh of `count` such devices, none of which is there, with one axis `problems`."""
    from jax.experimental import topologies

    topology = topologies.get_topology_desc(
        platform="cuda", target_config=target(device), topology=f"1x1x{count}"
    )
    return topologies.make_mesh(topology, (count,), ("problems",))


def known_while_lowering(device: Device, count: int) -> AbstractContextManager[Any]:
    """Tells Pallas the device, for which it asks while lowering since JAX 0.11."""
    import jax
    from jax import sharding

    if jax.__version_info__ < (0, 11):
        return nullcontext()
    named = sharding.AbstractDevice(device.name, device.cores, "gpu")
    return sharding.use_abstract_mesh(
        sharding.AbstractMesh(
            (count,), ("problems",), axis_types=(sharding.AxisType.Auto,), abstract_device=named
        )
    )
