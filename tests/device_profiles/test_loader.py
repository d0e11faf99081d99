"""What is wrong with a profile is said with file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeort import device_profiles
from edgeort.errors import ProfileError

BOARD = """
[device]
title = "Board"
summary = "a board for tests"
[target]
os = "linux"
arch = "aarch64"
[cpu]
isa = ["neon", "dotprod"]
[[cpu.cluster]]
name = "big"
cores = 2
mhz = 2000
l1d_kb = 64
l2_kb = 512
[[cpu.cluster]]
name = "little"
cores = 2
mhz = 1000
l1d_kb = 32
l2_kb = 128
[memory]
ram_mb = 1024
bandwidth_gbs = 8
[runtime]
threads = 2
providers = ["cpu"]
"""


def write(folder: Path, text: str | bytes, name: str = "board.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def failure(path: str | Path) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        device_profiles.load(path)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_path_loads(tmp_path: Path):
    path = write(tmp_path, BOARD)
    by_path, by_text = device_profiles.load(path), device_profiles.load(str(path))
    assert by_path == by_text
    assert by_path.name == "board"
    assert by_path.memory.bandwidth_gbs == 8.0 and isinstance(by_path.memory.bandwidth_gbs, float)
    assert by_path.cpu.cores == 4


def test_a_bare_file_name_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, BOARD)
    monkeypatch.chdir(tmp_path)
    assert device_profiles.load("board.toml").name == "board"


def test_optional_sections(tmp_path: Path):
    extra = '[budget]\nlatency_ms = 20\nmax_drop = 0.5\n[transport]\nkind = "ssh"\nhint = "ssh:pi@pi"\n'
    profile = device_profiles.load(write(tmp_path, BOARD + extra))
    assert (profile.budget.latency_ms, profile.budget.max_drop, profile.budget.size_kb) == (20.0, 0.5, None)
    assert (profile.transport.kind, profile.transport.hint) == ("ssh", "ssh:pi@pi")


def test_unknown_device_names_the_nearest():
    error = failure("rasberrypi4")
    assert str(error).startswith("unknown device 'rasberrypi4'; nearest: raspberrypi4")
    assert error.hint == "edgeort profiles list"


def test_unknown_device_without_a_near_one():
    error = failure("zzzzzz")
    assert str(error) == "unknown device 'zzzzzz'"
    assert error.hint == "edgeort profiles list"


# old text of BOARD, its replacement, the whole message after the file's path
BAD_VALUES = [
    ('os = "linux"', 'os = "beos"', "target.os: 'beos' is not possible; allowed: linux, android, ios, macos, windows"),
    ('os = "linux"', 'os = "ios"\nglibc = "2.28"', "target.glibc: there is no glibc on ios"),
    ('os = "linux"', "os = 3", "target.os: 3 is not text; allowed: linux, android"),
    ('os = "linux"', 'ox = "linux"', "target.ox: unknown key; allowed: os, arch, min_os, glibc"),
    ('os = "linux"\n', "", "target.os: missing; allowed: linux, android, ios, macos, windows, browser"),
    ('os = "linux"', 'os = "linux"\nglibc = "3"', "target.glibc: '3' is not possible; allowed: text (oldest glibc"),
    ('os = "linux"', 'os = "ios"\nmin_os = "x"', "target.min_os: 'x' is not possible; allowed: text (oldest OS"),
    ('arch = "aarch64"', 'arch = "x86_64"', "cpu.isa[0]: 'neon' does not exist on x86_64; allowed: v3, v4"),
    ('os = "linux"\narch = "aarch64"', 'os = "ios"\narch = "armv7"', "target.arch: 'armv7' does not exist on ios"),
    ('"neon", "dotprod"', '"neon", "avx"', "cpu.isa[1]: 'avx' is not possible; allowed: neon, dotprod, fp16, i8mm"),
    ('"neon", "dotprod"', '"neon", "i8mm"', "cpu.isa[1]: 'i8mm' stands on 'dotprod', which is not listed; allowed"),
    ('"neon", "dotprod"', '"neon", "neon"', "cpu.isa[1]: 'neon' stands in the list twice; allowed: each item once"),
    ('["neon", "dotprod"]', "[]", "cpu.isa: [] is not a list with at least one item; allowed: a list of neon, dotprod"),
    ('["neon", "dotprod"]', '"neon"', "cpu.isa: 'neon' is not a list with at least one item; allowed: a list of neon"),
    ("cores = 2", "cores = 0", "cpu.cluster[0].cores: 0 is not possible; allowed: a whole number from 1 to 1,024"),
    ("cores = 2", "cores = true", "cpu.cluster[0].cores: true is not a whole number; allowed: a whole number from 1"),
    ("cores = 2", "cores = 2.0", "cpu.cluster[0].cores: 2.0 is not a whole number; allowed: a whole number from 1"),
    ("mhz = 1000", "mhz = 2001", "cpu.cluster[1].mhz: faster than the cluster before it; allowed: at most 2000"),
    ("mhz = 2000", "mhz = 2000\nghz = 2", "cpu.cluster[0].ghz: unknown key; allowed: name, cores, mhz, l1d_kb, l2_kb"),
    ("l1d_kb = 64\n", "", "cpu.cluster[0].l1d_kb: missing; allowed: a whole number from 0 to 4,096 (level-1 data"),
    ("l2_kb = 512", "l2_kb = 512\nl2_shared = 1", "cpu.cluster[0].l2_shared: 1 is not true or false"),
    ('title = "Board"', 'title = " "', "device.title: ' ' is not possible; allowed: text (name for people"),
    ("bandwidth_gbs = 8", "bandwidth_gbs = nan", "memory.bandwidth_gbs: nan is not possible; allowed: a number from"),
    ("bandwidth_gbs = 8", "bandwidth_gbs = inf", "memory.bandwidth_gbs: inf is not possible; allowed: a number from"),
    ("bandwidth_gbs = 8", 'bandwidth_gbs = "8"', "memory.bandwidth_gbs: '8' is not a number; allowed: a number"),
    ("threads = 2", "threads = 5", "runtime.threads: 5 is more than the 4 cores; allowed: 1 to 4"),
    ('["cpu"]', '["coreml"]', "runtime.providers[0]: 'coreml' does not exist on linux; allowed: cpu, openvino, litert"),
    ('["cpu"]', '["gpu"]', "runtime.providers[0]: 'gpu' is not possible; allowed: cpu, openvino, coreml, litert"),
    ("[memory]\nram_mb = 1024\nbandwidth_gbs = 8\n", "", "memory: missing; allowed: a table with ram_mb, bandwidth"),
    ("\n[device]", 'memory = 3\n[device]', "memory: 3 is not a table; allowed: a table [memory]"),
    ("[runtime]", "[run]\n[runtime]", "run: unknown key; allowed: device, target, cpu, memory, runtime, budget"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BAD_VALUES)
def test_message_names_file_key_and_what_is_allowed(tmp_path: Path, old: str, new: str, message: str):
    assert old in BOARD
    text = BOARD.replace(old, new, 1)
    if new.startswith("memory = 3"):
        text = text.replace("[memory]\nram_mb = 1024\nbandwidth_gbs = 8\n", "")
    path = write(tmp_path, text)
    assert str(failure(path)).startswith(f"{path}: {message}")


def test_misspelt_key_gets_a_hint(tmp_path: Path):
    assert failure(write(tmp_path, BOARD.replace("ram_mb", "ram_mbs"))).hint == "did you mean ram_mb?"


def test_long_values_are_cut_short(tmp_path: Path):
    message = str(failure(write(tmp_path, BOARD.replace('os = "linux"', f'os = "{"x" * 5000}"'))))
    assert len(message) < 400


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[device]\ntitle = \n", "board.toml:2: not valid TOML: "),
        ("[device]\ntitle = 'a'\ntitle = 'b'\n", "board.toml:3: not valid TOML: "),
        ("[device]\ntitle = [1,\n", "board.toml:3: not valid TOML: "),
        (b"[device]\ntitle = '\xff'\n", "board.toml:2: not UTF-8 text"),
        ("x = " + "[" * 100_000, "board.toml: nested too deeply"),
        ("x = " + "9" * 5000, "board.toml: not valid TOML: "),
        ("#" * (1 << 20) + "\n", "board.toml: over 1048576 bytes"),
    ],
)
def test_a_file_that_is_not_toml(tmp_path: Path, text: str | bytes, place: str):
    assert str(failure(write(tmp_path, text))).startswith(str(tmp_path / place))


def test_a_file_that_is_not_there(tmp_path: Path):
    assert str(failure(tmp_path / "no.toml")).endswith("no.toml: No such file or directory")
    assert "Is a directory" in str(failure(tmp_path))


@pytest.mark.parametrize("name", ["my board.toml", "-x.toml", ".toml"])
def test_a_file_name_that_cannot_name_a_bundle(tmp_path: Path, name: str):
    assert "a profile's file name may have letters" in str(failure(write(tmp_path, BOARD, name)))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("linux")
keys = st.sampled_from(["device", "target", "cpu", "cluster", "isa", "os", "title", "memory", "runtime"]) | st.text(
    max_size=4
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


@given(st.dictionaries(keys, values, max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_table_is_a_profile_or_a_profile_error(table: dict[str, object]):
    with pytest.raises(ProfileError):  # `device.summary` is not among the keys, so none can be complete
        device_profiles.parse(table, name="any", file="any")


@pytest.mark.parametrize(
    ("text", "name"), [("pi4", "raspberrypi4"), ("pixel", "pixel8"), ("Zero-2W", "raspberrypi-zero-2w")]
)
def test_a_part_of_a_name_suggests_it(text: str, name: str) -> None:
    with pytest.raises(ProfileError, match=f"nearest: {name}"):
        device_profiles.load(text)


MEASURED = """
[measured]
on = "2026-11-29"
threads = 4
float32_gflops = 12.5
float32_gflops_all = 49
int8_gops = 25.0
int8_gops_all = 98.0
bandwidth_gbs = 3.1
bandwidth_gbs_all = 4.2
error = 0.07

[[measured.kernel]]
op = "Conv"
threads = 1
us = 1.5
gmacs = 5.5
"""


def test_what_was_measured(tmp_path: Path):
    text = BOARD + MEASURED
    (tmp_path / "mine.toml").write_text(text)
    profile = device_profiles.load(tmp_path / "mine.toml")
    assert profile.measured is not None
    assert (profile.measured.float32_gflops_all, profile.measured.error) == (49.0, 0.07)
    assert profile.measured.kernels == (device_profiles.KernelRate("Conv", 1, 1.5, 5.5),)
    table = {key: value for key, value in profile.to_dict().items() if key != "name"}
    assert device_profiles.parse(table, name="mine", file="again") == profile


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('on = "2026-11-29"', 'on = "today"', "measured.on: 'today' is not possible"),
        ("threads = 4\nfloat32", "float32", "measured.threads: missing"),
        ("us = 1.5", "us = -1.5", "measured.kernel[0].us: -1.5 is not possible"),
        ("gmacs = 5.5", "gmac = 5.5", "measured.kernel[0].gmac: unknown key"),
        ("int8_gops = 25.0", "int8_gops = nan", "measured.int8_gops: nan is not possible"),
    ],
)
def test_measured_figures_are_checked(tmp_path: Path, old: str, new: str, said: str):
    assert old in MEASURED
    (tmp_path / "mine.toml").write_text(BOARD + MEASURED.replace(old, new))
    with pytest.raises(ProfileError) as caught:
        device_profiles.load(tmp_path / "mine.toml")
    assert said in str(caught.value)
