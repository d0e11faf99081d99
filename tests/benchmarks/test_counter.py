"""The counting plugin against programs whose instructions and memory traffic are known."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.compiled import program
from benchmarks.counter import Caches, Counts, count
from edgeort import toolchain
from edgeort.toolchain.musl import musl_units
from edgeort.toolchain.objects import compile_all

SOURCE = r"""
long atol(const char* text);
static float data[1 << 20] __attribute__((aligned(64)));
int main(int argc, char** argv) {
  const long passes = atol(argv[2]), floats = atol(argv[3]);
  for (long pass = 0; pass < passes; ++pass) {
    for (float *at = data, *end = data + floats; at < end; at += 4) {
      if (argv[1][0] == 'r') __asm__ volatile("ldr q0, [%0]" ::"r"(at) : "v0", "memory");
      if (argv[1][0] == 'w') __asm__ volatile("str q0, [%0]" ::"r"(at) : "memory");
      if (argv[1][0] == 's') __asm__ volatile("ldr q0, [%0, #56]" ::"r"(at) : "v0", "memory");
      if (argv[1][0] == 'f') __asm__ volatile("fmla v0.4s, v1.4s, v2.s[3]\n fmla v0.4s, v1.4s, v2.4s" ::: "v0");
      if (argv[1][0] == 'x') __asm__ volatile("fmul v0.4s, v1.4s, v2.s[3]\n fadd v0.4s, v1.4s, v2.4s" ::: "v0");
    }
  }
  return argc != 4;
}
"""
FLOATS = 1 << 20  # 4 MiB: four times the modelled level 2
LINES = FLOATS * 4 // 64
SLACK = 16  # lines that the loop over the passes touches besides

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 (qemu-user) is not installed"
)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("counter") / "passes.c"
    source.write_text(SOURCE)
    libc = compile_all(musl_units(toolchain.target("linux", "aarch64")))
    return program(source, "-target", "aarch64-linux-musl", "-static", "-nostdlib", *map(str, libc))


def one_pass(binary: Path, kind: str, floats: int = FLOATS, caches: Caches | None = None) -> Counts:
    two, three = (count([str(binary), kind, n, str(floats)], "cortex-a72", caches or Caches())[0] for n in "23")
    return three - two


def test_reading_more_than_the_cache_fills_every_line_and_writes_none(binary: Path):
    found = one_pass(binary, "r")
    assert LINES <= found.fills <= LINES + SLACK
    assert found.write_backs <= SLACK
    assert found.loads >= FLOATS // 4
    assert found.memory_mb == pytest.approx(FLOATS * 4e-6, rel=1e-3)


def test_writing_more_than_the_cache_moves_every_line_both_ways(binary: Path):
    found = one_pass(binary, "w")
    assert LINES <= found.fills <= LINES + SLACK
    assert LINES <= found.write_backs <= LINES + SLACK


def test_what_fits_level_2_stays_there(binary: Path):
    found = one_pass(binary, "w", FLOATS // 8)
    assert found.fills <= SLACK
    assert found.write_backs <= SLACK
    assert found.l1_misses >= LINES // 8


def test_a_larger_level_2_holds_more(binary: Path):
    assert one_pass(binary, "r", FLOATS, Caches(l2_kib=8192)).fills <= SLACK


def test_a_load_across_two_lines_touches_both(binary: Path):
    # Level 1 alone: 4 floats, a single load, from byte 56 to byte 72.
    assert one_pass(binary, "s", 4).loads >= 1
    cold = [count([str(binary), kind, "1", "4"], "cortex-a72", Caches())[0].l1_misses for kind in ("s", "r")]
    assert cold[0] == cold[1] + 1


def test_vector_multiply_adds_are_told_from_other_arithmetic(binary: Path):
    assert one_pass(binary, "f").multiply_adds == 2 * (FLOATS // 4)
    assert one_pass(binary, "x").multiply_adds == 0


def test_instructions_are_counted_one_by_one(binary: Path):
    with_work, without = one_pass(binary, "f").instructions, one_pass(binary, "f", FLOATS // 2).instructions
    assert (with_work - without) % (FLOATS // 8) == 0
    assert with_work > 2 * (FLOATS // 4)


def test_counts_are_repeatable(binary: Path):
    assert one_pass(binary, "r") == one_pass(binary, "r")
