"""`edgeort profiles probe` over connections: a real sshd before an Arm userland, adb's protocol before another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeort import device_profiles
from tests.cli.support import call
from tests.devices.adbd import Adbd
from tests.devices.sshd import Sshd
from tests.devices.userland import Userland, needs_proot
from tests.devices.watching import is_tidy

# Where compiled code is kept: adb gets another home folder, in which the compiler would build its libc again.
CACHES = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))


def test_a_board_behind_ssh(arm_board: Sshd, tmp_path: Path):
    out = tmp_path / "board.toml"
    done = call("profiles", "probe", "--on", "ssh:board", "-o", out, "--ms", 5, "--no-kernels")
    assert done.exit_code == 0, done.stderr
    profile = device_profiles.load(out)
    assert (profile.target.os, profile.target.arch, profile.cpu.isa) == ("linux", "aarch64", ("neon",))
    assert profile.transport == device_profiles.Transport("ssh", "ssh:board")
    assert profile.target.glibc is None  # BusyBox alone
    assert profile.measured is not None and profile.measured.float32_gflops > 0  # the emulator's, which nobody can tell
    assert is_tidy(arm_board.userland)


@needs_proot
def test_a_phone_behind_adb(
    attach: Callable[..., Adbd],
    busybox: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("XDG_CACHE_HOME", CACHES)
    phone = attach(Userland.arm(tmp_path / "phone", busybox, "cortex-a76", android=True))
    out = tmp_path / "phone.toml"
    done = call("profiles", "probe", "--on", f"adb:{phone.serial}", "-o", out, "--ms", 5, "--no-kernels")
    assert done.exit_code == 0, done.stderr
    profile = device_profiles.load(out)
    assert (profile.target.os, profile.cpu.isa) == ("android", ("neon", "dotprod", "fp16"))
    assert profile.transport == device_profiles.Transport("adb", f"adb:{phone.serial}")
    assert is_tidy(phone.userland)
