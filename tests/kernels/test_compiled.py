"""What is read of compiled kernels, and the limits that a kernel must keep."""

from itertools import pairwise

import pytest
from compiled import limits, tables
from compiled.devices import DEVICES
from compiled.machine_code import (
    entries,
    instructions,
    loops,
    occupancy,
    read_assembler,
    threads_of,
)

PTX = """
.version 8.5
.visible .entry other(
    .param .u64 p0
)
{
    ret;
}
.visible .entry similarity_sums(
    .param .u64 p0
)
.reqntid 64, 2, 1
{
    .reg .f32 %f<9>;
    mov.u32 %r1, 0;
    ld.global.f32 %f1, [%rd1];
$L__BB0_1:
    add.f32 %f2, %f1, %f1;
    ex2.approx.f32 %f3, %f2;
$L__BB0_2:
    mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1}, {%r1}, {%r2}, {%f1};
    fma.rn.f32 %f4, %f1, %f2, %f3;
    @%p1 bra $L__BB0_2;
    div.full.f32 %f5, %f4, %f3;
    @%p2 bra $L__BB0_1;
    bar.sync 0;
    st.global.f32 [%rd1], %f5;
    ret;
}
"""
SAID = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'similarity_sums' for 'sm_90a'
ptxas info    : Function properties for similarity_sums
    8 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 168 registers, used 1 barriers, 8 bytes cumulative stack size, 64 bytes smem
ptxas info    : Compiling entry function 'other' for 'sm_90a'
ptxas info    : Function properties for other
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers
"""
GOOD = {
    "kernel": "similarity_sums", "case": "k = 8", "backend": "triton", "jax": "0.0",
    "device": "H100", "devices": 1, "precision": "tf32", "in_program": True, "spilled": 8,
    "tensor": {"mma.sync": 4}, "kept": 10, "linear": 10, "gathers": [], "warnings": [],
    "registers": 64, "shared": 0, "occupancy": 0.5, "read": 8, "written": 4, "seconds": 1.0,
}  # fmt: skip


def test_kernels_are_read_loop_by_loop():
    bodies = entries(PTX)
    assert list(bodies) == ["other", "similarity_sums"]
    body = bodies["similarity_sums"]
    assert threads_of(body) == 128
    outside, outer, inner = loops(body)
    assert dict(outside.counts) == {"global": 2, "barrier": 1}
    assert dict(outer.counts) == {"arithmetic": 1, "special": 2}
    assert dict(inner.counts) == {"tensor": 1, "arithmetic": 1}
    assert [each.depth for each in (outside, outer, inner)] == [0, 1, 2]
    assert dict(instructions(body, "tensor")) == {"mma.sync": 1}


def test_instructions_written_as_assembly_are_counted():
    line = "{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.m64n128k16 {%r1,%r2}, p; }"
    assert dict(instructions(line, "tensor")) == {"wgmma.mma_async": 1}


def test_the_assembler_s_word_is_read():
    found = read_assembler(SAID)
    assert found["similarity_sums"] == {
        "registers": 168, "spilled": 20, "stack": 8, "shared": 64,
    }  # fmt: skip
    assert found["other"] == {"registers": 10, "spilled": 0, "stack": 0, "shared": 0}


def test_occupancy_is_what_the_datasheet_allows():
    """Of an H100: 2048 threads, 65,536 registers, 228 KiB of shared memory, 32 programs."""
    h100 = DEVICES["H100"]
    assert occupancy(32, 0, 1024, h100) == 1
    assert occupancy(33, 0, 1024, h100) == 0.5
    assert occupancy(128, 0, 128, h100) == 0.25
    assert occupancy(255, 0, 256, h100) == 0.125
    assert occupancy(32, 0, 32, h100) == 0.5
    assert occupancy(32, 100_000, 256, h100) == 0.25
    assert occupancy(32, 0, 48, h100) == 1
    by_registers = [occupancy(n, 0, 256, h100) for n in range(16, 256, 8)]
    assert all(a >= b for a, b in pairwise(by_registers))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"spilled": 40}, "spills 40 bytes a thread, more than 32"),
        ({"tensor": {}}, "has no tensor-core instruction for tf32"),
        ({"kept": 11}, "keeps 11 bytes, more than the 10 of O(k d)"),
        ({"in_program": False}, "falls back silently: no kernel similarity_sums in the program"),
        ({"devices": 8, "gathers": ["all-gather"]}, "gathers the batch"),
        ({"warnings": ["will go"]}, "warns its user: will go"),
        ({"error": "ValueError: no"}, "does not compile: ValueError: no"),
    ],
)
def test_each_limit_can_fail(change, fault):
    assert not list(limits.broken(GOOD))
    (found,) = limits.broken(GOOD | change)
    assert found.startswith(fault)


def test_full_precision_needs_no_tensor_core_and_a_flag_may_be_reduced():
    full = {"precision": "full", "tensor": {}}
    assert not list(limits.broken(GOOD | full | {"devices": 8, "gathers": ["all-reduce"]}))


def test_the_table_has_a_row_for_each_program_and_says_that_nothing_was_measured():
    wrong = GOOD | {"error": "ValueError: no", "device": "A100"}
    text = tables.compiled([GOOD, wrong], [GOOD | {"spilled": 1028}])
    assert "Nothing here was measured" in text
    assert "## H100, JAX 0.0" in text
    assert "ValueError: no" in text
    assert "spill 1028 bytes" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 2
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1
