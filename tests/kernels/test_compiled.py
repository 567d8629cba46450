"""What is read of compiled kernels, the limits they must keep, and what is predicted of them."""

from itertools import pairwise

import pytest
import roofline_table
import workloads
from compiled import limits, predict, tables
from compiled.devices import DEVICES, H200
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
    "threads": 128, "special": {"ex2.approx": 2}, "clear": {}, "settled": {}, "loops": [
        {"depth": 0, "float": 100}, {"depth": 1, "float": 64, "special": 4, "tensor": 1},
    ],
    "work": {
        "programs": 133, "turns": [10], "courses": [], "product": 4e9, "useful": 3e9,
        "copied": 0, "few": 0, "many": 0, "asked": True, "draws": 0,
    },
}  # fmt: skip


def test_kernels_are_read_loop_by_loop():
    bodies = entries(PTX)
    assert list(bodies) == ["other", "similarity_sums"]
    body = bodies["similarity_sums"]
    assert threads_of(body) == 128
    outside, outer, inner = loops(body)
    assert dict(outside.counts) == {"global": 2, "barrier": 1}
    # A quotient scales its operands.
    assert dict(outer.counts) == {"float": 1 + 5, "special": 2, "integer": 2}
    assert dict(inner.counts) == {"tensor": 1, "float": 1}
    assert [each.depth for each in (outside, outer, inner)] == [0, 1, 2]
    assert dict(instructions(body, "tensor")) == {"mma.sync": 1}


def test_instructions_written_as_assembly_are_counted():
    line = "{ .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.mma_async.sync.m64n128k16 {%r1,%r2}, p; }"
    assert dict(instructions(line, "tensor")) == {"wgmma.mma_async": 1}


def test_logical_operations_are_half_an_instruction_and_halves_of_registers_none():
    body = """xor.b32 %r1, %r2, %r3;
    and.b64 %rd1, %rd2, %rd3;
    shr.u64 %rd4, %rd1, 32;
    cvt.u32.u64 %r4, %rd4;
    sqrt.approx.ftz.f32 %f1, %f2;"""
    (only,) = loops(body)
    assert dict(only.counts) == {"logic": 2, "special": 1}
    work = GOOD["work"] | {"turns": []}
    row = GOOD | {"work": work, "loops": [only.counts]}
    assert predict.counts(row)["integer"] == 1


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


def test_a_prediction_is_what_the_busiest_unit_needs():
    """By hand, for an H100: 133 programs, so that one of 132 multiprocessors has two of them."""
    h100 = DEVICES["H100"]
    seconds = predict.limits_of(GOOD, h100)
    warps = 2 * 128 / 32
    assert seconds["floats"] == pytest.approx(warps * 740 * 32 / 128 / 1.98e9)
    assert seconds["special functions"] == pytest.approx(warps * 40 * 32 / 16 / 1.98e9)
    assert seconds["instructions"] == pytest.approx(warps * (740 + 40 + 10) / 4 / 1.98e9)
    assert seconds["memory"] == pytest.approx(12 / 3.35232e12)
    assert seconds["matrix unit"] == pytest.approx(4e9 * 264 / 133 / (predict.OLDER * 494.7e12))
    found = predict.predicted(GOOD, h100)
    assert found["binds"] == "matrix unit"
    assert found["milliseconds"] == pytest.approx(1e3 * seconds["matrix unit"], rel=1e-3)
    assert found["figure"] == pytest.approx(3 / 4 * 133 / 264 * predict.OLDER, rel=5e-3)
    assert found["bar"] == "too few programs"
    operations = 133 * 128 * 780 + 4e9
    assert predict.operations_a_byte(GOOD) == pytest.approx(operations / 12)
    newer = GOOD | {"tensor": {"wgmma.mma_async": 4}}
    faster = predict.limits_of(newer, h100)["matrix unit"]
    assert faster == pytest.approx(predict.OLDER * seconds["matrix unit"])


def test_what_is_laid_out_is_added_and_what_is_mostly_latency_has_no_bar():
    h100, work = DEVICES["H100"], GOOD["work"]
    laid_out = predict.predicted(GOOD | {"kept": 3.35232e9}, h100)
    alone = predict.predicted(GOOD, h100)
    assert laid_out["milliseconds"] - alone["milliseconds"] == pytest.approx(2, rel=1e-3)
    few = {"case": "64 × k = 8", "work": work | {"few": 8, "many": 64, "programs": 132 * 64}}
    many, less = predict.all_predicted([GOOD | few])[:2]
    assert less["case"] == "8 × k = 8"
    assert less["milliseconds"] < many["milliseconds"] / 2
    assert less["bar"] == "latency"
    assert alone["bar"] == "too few programs"
    odd = GOOD | {"work": work | {"asked": False}}
    assert predict.predicted(odd, h100)["bar"] == "not asked of this size"


def test_monte_carlo_is_compared_with_what_its_reference_executes():
    """As many programs' worth of draws, eleven times the instructions: eleven times as long."""
    work = GOOD["work"] | {"programs": 264, "turns": [], "product": 0}
    work |= {"draws": 264 * 128, "copied": 0}
    loops = [{"depth": 0, "integer": 10_000_000}]
    kernel = GOOD | {"kernel": "expected_outcomes", "work": work, "loops": loops, "tensor": {}}
    kernel["kept"] = 0
    drawn = [{"depth": 0, "integer": 110_000_000}]
    reference = kernel | {"loops": drawn, "backend": "xla", "work": None}
    found = predict.all_predicted([kernel, reference])
    assert [row["figure"] for row in found] == [11, 11]
    assert [row["per_draw"] for row in found] == [[10_000_000, 110_000_000]] * 2
    assert "11.0 (10000000 and 110000000)" in tables.predictions(found, "0.0")
    assert found[0]["bar"] == "met"


def test_most_rows_skip_the_certificate():
    """Of 100 programs without ties 10 take a step and 5 of those all of it; a row is as it is."""
    courses = [[5, 0.1, 0.05, 0.2], [7, 1, 0, 0]]
    work = GOOD["work"] | {"turns": [], "courses": courses, "copied": 3352.32, "product": 0}
    row = GOOD | {"kernel": "largest_priorities", "work": work, "tensor": {}}
    row |= {"clear": {"float": 30}, "settled": {"float": 50}}
    row["loops"] = [{"depth": 0, "float": n} for n in (100, 64, 20, 8)]
    apart = 0.9 * 30 + 0.05 * 50 + 0.05 * 100 + 5 * 64 + 0.2 * 20 + 0.05 * 8
    assert predict.counts(row)["float"] == pytest.approx(apart)
    assert predict.counts(row, tied=True)["float"] == 50 + 7 * 64
    found = predict.all_predicted([row | {"jax": "0.0"}])
    assert [r["device"] for r in found] == [DEVICES["H100"].name] * 2 + [H200.name] * 2
    assert found[1]["case"] == "k = 8, with ties"
    assert found[0]["figure"] == pytest.approx(found[0]["milliseconds"] / 1e-6, rel=1e-2)
    assert not predict.all_predicted([row | {"loops": GOOD["loops"][:1]}])


def test_paths_take_jumps_over_rounded_quotients():
    """The first one is over all of it, the second, in it, over all but a step that comes later."""
    body = """mul.f32 %f1, %f1, %f1;
    @%p1 bra $L3;
    div.rn.f32 %f1, %f2, %f3;
    @%p2 bra $L1;
    div.rn.f32 %f1, %f2, %f3;
    add.f32 %f1, %f1, %f1;
    bra.uni $L3;
$L1:
    sub.f32 %f1, %f1, %f1;
    @%p3 bra $L2;
    sub.f32 %f1, %f1, %f1;
$L2:
    bra.uni $L3;
    div.rn.f32 %f1, %f2, %f3;
$L3:
    sub.f32 %f1, %f1, %f1;"""
    assert dict(loops(body)[0].counts) == {"division": 3, "float": 5}
    assert dict(loops(body, "clear")[0].counts) == {"float": 2}
    assert dict(loops(body, "settled")[0].counts) == {"division": 1, "float": 4}


def test_every_measured_row_has_a_prediction_that_is_called_one():
    """`make gpu` prints them side by side, for the devices that are known."""
    measured = set(roofline_table.names(workloads.FULL))
    for device in (*DEVICES.values(), H200):
        predicted = set(roofline_table.predictions(device.name))
        assert measured == {(group, name) for group, name in predicted if "mosaic" not in name}
    assert not roofline_table.predictions("a GPU")
    busy = GOOD | {"work": GOOD["work"] | {"programs": 1000}}
    text = tables.predictions(predict.all_predicted([busy]), "0.0")
    assert "nothing here was measured" in text
    assert "Bars that a prediction misses: 2 of 2" in text
