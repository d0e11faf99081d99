"""A device that is none: a folder with an Arm userland (BusyBox), whose programs run on a CPU model of QEMU by proot.

No root and no binfmt are needed. Transports know nothing of it: a real sshd, or an adbd of ours, passes commands on.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_GETPROP = """case $1 in
  ro.product.manufacturer) echo Google;;
  ro.product.model) echo 'Pixel 8';;
  ro.soc.model) echo 'Tensor G3';;
  ro.build.version.release) echo 14;;
esac
"""
APPLETS = (
    "[",
    "cat",
    "cp",
    "cut",
    "df",
    "du",
    "env",
    "false",
    "find",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "rmdir",
)
APPLETS += ("sed", "sh", "sha256sum", "sleep", "tail", "tar", "touch", "tr", "true", "uname")


needs_proot = pytest.mark.skipif(
    not shutil.which("proot") or not shutil.which("qemu-aarch64-static"), reason="needs proot and qemu-user-static"
)


def fetch_busybox(folder: Path) -> Path:
    """The static arm64 BusyBox of this Debian, by an apt with a state of its own. Skips the test where that fails."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("needs the arm64 BusyBox of Debian, and there is no apt-get")
    options = ["-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64", "-o", "Acquire::Languages=none"]
    for place in ("", "/lists"):
        (folder / f"state{place}").mkdir(parents=True, exist_ok=True)
    for key, place in {"State": "state", "State::Lists": "state/lists", "Cache": "cache"}.items():
        (folder / place / "partial").mkdir(parents=True, exist_ok=True)
        options += ["-o", f"Dir::{key}={folder / place}"]
    (folder / "cache/archives/partial").mkdir(parents=True)
    options += ["-o", "Dir::State::status=/dev/null"]
    for words in (["update"], ["download", "busybox-static"]):
        done = subprocess.run(["apt-get", "-q", *options, *words], cwd=folder, capture_output=True, timeout=120)
        if done.returncode:
            pytest.skip(f"needs the arm64 BusyBox of Debian: {done.stderr.decode(errors='replace').strip()[-200:]}")
    subprocess.run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder / "unpacked"], check=True)
    return folder / "unpacked/bin/busybox"


@dataclass(frozen=True)
class Userland:
    """`root` is the folder, `cpu` the model that its programs run on; None: they are those of this machine.

    `home` is the user's folder, as the device sees it; `binds` are further folders of this machine that it sees.
    """

    root: Path
    home: str
    cpu: str | None = None
    binds: tuple[str, ...] = ()

    @classmethod
    def arm(cls, root: Path, busybox: Path, cpu: str = "cortex-a72", *, android: bool = False) -> Userland:
        """An empty device."""
        for folder in ("bin", "home/pi", "tmp", "dev", "proc", "data/local/tmp"):
            (root / folder).mkdir(parents=True)
        shutil.copy(busybox, root / "bin/busybox")
        for name in APPLETS:
            (root / "bin" / name).symlink_to("busybox")
        if android:
            (root / "system/framework").mkdir(parents=True)
            (root / "bin/getprop").write_text(f"#!/bin/sh\n{_GETPROP}")
            (root / "bin/getprop").chmod(0o755)
        return cls(root, "/data/local/tmp" if android else "/home/pi", cpu)

    @classmethod
    def plain(cls, root: Path) -> Userland:
        """This machine, with a home folder of its own."""
        (root / "home").mkdir(parents=True)
        return cls(root, str(root / "home"))

    def command(self, line: str) -> list[str]:
        """What runs a line of its shell from this machine."""
        if self.cpu is None:
            return ["/bin/sh", "-c", line]
        bound = [word for bind in ("/dev/null", "/proc", *self.binds) for word in ("-b", bind)]
        qemu = f"{shutil.which('qemu-aarch64-static')} -cpu {self.cpu}"
        proot = str(shutil.which("proot"))
        return [proot, "-q", qemu, *bound, "-r", str(self.root), "-w", self.home, "/bin/sh", "-c", line]

    @property
    def environment(self) -> dict[str, str]:
        """Of its programs."""
        own = {"HOME": self.home, "XDG_CACHE_HOME": "", "PATH": os.environ["PATH"]}
        return own if self.cpu is None else {**own, "PATH": "/bin", "TMPDIR": "/tmp"}

    def script(self, path: Path, **variables: str) -> Path:
        """A program of this machine that runs the line in SSH_ORIGINAL_COMMAND there."""
        words = shlex.join(self.command("LINE")).replace("LINE", '"$SSH_ORIGINAL_COMMAND"')
        exports = " ".join(f"{key}={value}" for key, value in {**self.environment, **variables}.items())
        path.write_text(f"#!/bin/sh\nexport {exports}\nexec {words}\n")
        path.chmod(0o755)
        return path

    def files(self) -> set[str]:
        """Paths of all that lies in its home folder, seen from there."""
        home = Path(self.home) if self.cpu is None else self.root / self.home[1:]
        while True:
            try:
                return {path.relative_to(home).as_posix() for path in home.rglob("*")}
            except FileNotFoundError:  # a folder that went meanwhile
                continue

    def left(self) -> set[str]:
        """What lies there besides the kept files."""
        folders = {".cache", ".cache/edgeort", ".cache/edgeort/blobs", "edgeort", "edgeort/blobs"}
        return {name for name in self.files() - folders if "/blobs/" not in name}

    def blobs(self) -> dict[str, int]:
        """The kept files and their inode numbers: another number is another file."""
        base = self.root / self.home.removeprefix(str(self.root)).lstrip("/")
        return {path.name: path.stat().st_ino for path in base.rglob("blobs/*")}

    def processes(self) -> list[str]:
        """Command lines of what still runs there."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if str(self.root) in words:
                    found.append(f"{entry.name} {words}")
        return found
