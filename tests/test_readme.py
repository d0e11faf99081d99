"""What the README shows works: its Python and C run, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgeort
from edgeort import sample
from tests.models import HOST
from tests.readme import README, ROOT, commands, run

TEXT = README.read_text(encoding="utf-8")
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")),
)


def block(language: str) -> str:
    """The only fenced block of that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's bundle for this machine."""
    path = tmp_path_factory.mktemp("readme") / "digits-host"
    edgeort.build(sample.path(), HOST, path)
    return path


def python_answer() -> str:
    result = subprocess.run(
        [sys.executable, "-c", block("python")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_python_and_c_give_the_same_answer(bundle: Path, tmp_path: Path):
    if sys.platform != "linux":
        pytest.skip("the command line of the compiler is that of Linux")
    (tmp_path / "main.c").write_text(block("c"))
    (commands,) = re.findall(r"^(cp .*\ncc main\.c .*\n\./digits)$", TEXT, re.MULTILINE)
    compiler = f'set -e; cc() {{ "{sys.executable}" -m ziglang cc -Wall -Werror "$@"; }}\n'
    script = compiler + commands.replace("BUNDLE", shlex.quote(str(bundle)))
    result = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == python_answer()
    assert result.stdout.strip().isdigit()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        file, _, heading = target.partition("#")
        if "://" in target:
            continue
        to = (ROOT / page).parent / file if file else ROOT / page
        assert to.is_file(), target
        headings = re.findall(r"^#+ (.*)$", to.read_text(encoding="utf-8"), re.MULTILINE)
        assert not heading or heading in [h.lower().replace(" ", "-") for h in headings], target


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_it_names_exist(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z_./]+/[a-z_.-]*)`", text):
        roots = (ROOT, ROOT / "edgeort", ROOT / "edgeort/runtime")
        made = name.startswith(("bin/", "lib/", "include/", "golden/", "licences/", "model/", ".edgeort/"))
        assert made or any((root / name).exists() for root in roots), f"{page}: {name}"


def test_commands_exist():
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    blocks = "".join(re.findall(r"^```\n(.*?)^```$", pages, re.MULTILINE | re.DOTALL))
    commands = {*re.findall(r"`edgeort ([a-z]+)", pages), *re.findall(r"^edgeort ([a-z]+)", blocks, re.MULTILINE)}
    assert {"build", "inspect", "profiles"} <= commands
    for command in commands:
        subprocess.run([sys.executable, "-m", "edgeort", command, "--help"], cwd=ROOT, check=True, capture_output=True)


def test_the_session_at_the_terminal_still_goes_so(tmp_path: Path):
    if shutil.which("qemu-aarch64-static") is None:
        pytest.skip("needs qemu-aarch64-static (apt install qemu-user-static)")
    shown = commands(TEXT)
    assert len(shown) == 5
    printed = "".join(run(command, tmp_path) for command in shown)
    digests = re.findall(r"digest +([0-9a-f]{16})", printed)
    assert len(digests) == 2
    assert len(set(digests)) == 1, "the emulated core and this machine gave different bytes"
