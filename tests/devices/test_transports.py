"""The transports of this machine, and what all of them stand on: places, archives, ELF headers."""

from __future__ import annotations

import io
import shutil
import sys
import tarfile
import time
from pathlib import Path

import pytest

from edgeort import toolchain
from edgeort.devices import Transport, archive, can_run, open_transport, where
from edgeort.devices.elf import dynamic_linker
from edgeort.devices.ssh import Destination
from edgeort.errors import DeviceError
from tests.devices.test_devices import HERE

PYTHON = [sys.executable, "-c"]
needs_qemu = pytest.mark.skipif(shutil.which("qemu-aarch64-static") is None, reason="needs qemu-user-static")


@pytest.fixture
def here() -> Transport:
    return open_transport("local")


def test_files_are_used_where_they_lie(here: Transport, tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("x")
    folder = here.push({"a/b": tmp_path / "a/b"})
    assert folder == str(tmp_path)
    here.discard(folder)
    here.close()
    assert (tmp_path / "a/b").exists()


def test_else_they_are_copied_and_the_copies_go(tmp_path: Path):
    (tmp_path / "b").write_text("x")
    with open_transport("local") as here:
        folders = [here.push({"other": tmp_path / "b", "empty/": Path()}) for _ in range(2)]
        assert Path(folders[0], "other").read_text() == "x" and Path(folders[0], "empty").is_dir()
        here.pull(folders[0], tmp_path / "back")
        assert (tmp_path / "back/other").read_text() == "x" and (tmp_path / "back/empty").is_dir()
        here.discard(folders[0])
        assert not Path(folders[0]).exists() and Path(folders[1]).exists()
    assert not Path(folders[1]).exists()


def test_lines_come_while_it_runs(here: Transport):
    lines: list[tuple[str, float]] = []
    code = "import sys, time; print('one', flush=True); time.sleep(0.5); print('two'); sys.exit('bad')"
    output = here.execute([*PYTHON, code], lambda line: lines.append((line, time.monotonic())))
    assert (output.status, output.stdout, output.stderr) == (1, "one\ntwo\n", "bad\n")
    assert [line for line, _ in lines] == ["one", "two"] and lines[1][1] - lines[0][1] > 0.3


def test_nothing_to_read_and_variables(here: Transport):
    code = "import os, sys; print(repr(sys.stdin.read()), os.environ['GREETING'])"
    assert here.execute([*PYTHON, code], environment={"GREETING": "a b"}).stdout == "'' a b\n"


def test_much_output_on_both_streams(here: Transport):
    code = "import sys; [print('o' * 999, file=f) for _ in range(999) for f in (sys.stdout, sys.stderr)]"
    output = here.execute([*PYTHON, code])
    assert len(output.stdout) == len(output.stderr) == 999_000


def test_a_program_that_does_not_end_is_killed(here: Transport):
    start = time.monotonic()
    with pytest.raises(DeviceError, match="did not end within 1 s on local"):
        here.execute([*PYTHON, "import time; time.sleep(60)"], timeout_s=1)
    assert time.monotonic() - start < 20


def test_what_cannot_be_started(here: Transport, tmp_path: Path):
    with pytest.raises(DeviceError, match="/nowhere cannot be started: No such file"):
        here.execute(["/nowhere"])
    (tmp_path / "plain").write_text("x")
    with pytest.raises(DeviceError, match="Permission denied") as caught:
        here.execute([str(tmp_path / "plain")])
    assert caught.value.hint == f"chmod +x {tmp_path}/plain"


@needs_qemu
def test_the_emulator_has_the_cpu_that_is_asked_for(tmp_path: Path):
    (tmp_path / "s.s").write_text(
        ".global _start\n_start: sdot v0.4s, v1.16b, v2.16b\n mov x0, #3\n mov x8, #93\n svc #0\n"
    )
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-none", "-nostdlib", "-static"]
    source, program = str(tmp_path / "s.s"), str(tmp_path / "s")
    open_transport("local").execute([*zig, "-mcpu=generic+dotprod", source, "-o", program])
    newer = open_transport("emulated:cortex-a76")
    assert newer.execute([program]).status == 3
    assert (newer.name, newer.system, newer.is_real) == ("emulated (cortex-a76)", ("linux", "aarch64"), False)
    with pytest.raises(DeviceError, match="an instruction that cortex-a72 lacks"):
        open_transport("emulated:cortex-a72").execute([program])
    with pytest.raises(DeviceError, match="QEMU knows no CPU 'cortex-a1972'") as caught:
        open_transport("emulated:cortex-a1972").execute([program])
    assert str(caught.value.hint).endswith("-cpu help")


def test_the_emulators_of_32_bit_cores():
    if shutil.which("qemu-arm-static") is None:
        pytest.skip("needs qemu-user-static")
    for cpu, arch in {
        "cortex-a7": "armv7",
        "arm1176": "armv7",
        "cortex-a76": "aarch64",
        "cortex-a53": "aarch64",
    }.items():
        assert open_transport(f"emulated:{cpu}").system == ("linux", arch)


def test_an_emulator_without_a_bundle_needs_a_cpu():
    with pytest.raises(DeviceError, match="which CPU") as caught:
        open_transport("emulated")
    assert caught.value.hint == "--on emulated:cortex-a72"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("host", Destination(None, "host", None)),
        ("pi@host.local:2222", Destination("pi", "host.local", 2222)),
        ("pi@host/opt/x y", Destination("pi", "host", None, "/opt/x y")),
        ("pi@[fe80::1%eth0]:22", Destination("pi", "fe80::1%eth0", 22)),
        ("10.0.0.2:22/mnt", Destination(None, "10.0.0.2", 22, "/mnt")),
    ],
)
def test_destinations(text: str, found: Destination):
    assert where.destination(text) == found
    assert where.destination(str(found).removeprefix("ssh:")) == found


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "a@-b", "pi@", "h:0", "h:70000", "h:x", "a b", "h/", "@h", "fe80::1"]
)
def test_what_is_no_destination(text: str):
    with pytest.raises(DeviceError, match=r"this is not ssh:\[user@\]host"):
        where.destination(text)


def test_names_of_edgeort_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edgeort.toml").write_text('[devices]\npi = "ssh:pi@host"\nhere = "local"\nloop = "loop"\n')
    assert where.parse("pi") == where.Where("ssh", "pi@host") and str(where.parse("pi")) == "ssh:pi@host"
    assert open_transport("here").name == "local"
    with pytest.raises(DeviceError, match="loop = 'loop': this is none of local"):
        where.parse("loop")
    with pytest.raises(DeviceError, match=r"unknown device 'pie'; .*; edgeort.toml names pi, here, loop") as caught:
        where.parse("pie")
    assert caught.value.hint == "edgeort devices lists what is attached"


@pytest.mark.parametrize(
    ("system", "target", "can"),
    [
        (("linux", "aarch64"), ("linux", "aarch64"), True),
        (("android", "aarch64"), ("linux", "aarch64"), True),
        (("linux", "aarch64"), ("android", "armv7"), True),
        (("linux", "armv7"), ("linux", "aarch64"), False),
        (("linux", "x86_64"), ("linux", "aarch64"), False),
        (("macos", "aarch64"), ("linux", "aarch64"), False),
        (("macos", "aarch64"), ("macos", "aarch64"), True),
    ],
)
def test_which_code_runs_where(system: tuple[str, str], target: tuple[str, str], can: bool):
    assert can_run(system, *target) == can


def test_archives_come_back(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 1000)
    (tmp_path / "b").write_bytes(b"")
    files = {"one/a": tmp_path / "a", f"{'long' * 50}/b": tmp_path / "b", "empty/": Path()}
    archive.unpack(io.BytesIO(b"".join(archive.blocks(files.items()))), tmp_path / "to")
    assert (tmp_path / "to/one/a").read_bytes() == b"x" * 1000 and (tmp_path / "to/empty").is_dir()
    assert (tmp_path / "to" / ("long" * 50) / "b").read_bytes() == b""


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_archives_that_lead_out_are_refused(tmp_path: Path, name: str):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as members:
        members.addfile(tarfile.TarInfo(name), io.BytesIO())
    stream.seek(0)
    with pytest.raises(tarfile.TarError, match="out of the folder"):
        archive.unpack(stream, tmp_path / "to")


def test_links_in_archives_are_left_out(tmp_path: Path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as members:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        members.addfile(info)
    stream.seek(0)
    archive.unpack(stream, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_dynamic_linkers(tmp_path: Path):
    assert dynamic_linker(Path(sys.executable).resolve()) == {"x86_64": "/lib64/ld-linux-x86-64.so.2"}.get(
        HERE, "/lib/ld-linux-aarch64.so.1"
    )
    assert dynamic_linker(toolchain.harness(toolchain.target("linux", HERE), ["Gemm"])) is None
    for data in (b"", b"\x7fELF", b"\x7fELF\2\1" + b"\xff" * 90, b"#!/bin/sh\n"):
        (tmp_path / "file").write_bytes(data)
        assert dynamic_linker(tmp_path / "file") is None
