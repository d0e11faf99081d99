"""The tree: links, package mapping and package list agree, and imports run one way."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgeort"
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
LINKED = ("converters", "device_profiles", "quantize")

# Modules and packages of `edgeort`, lowest layer first. A module may import from its own layer and from those above it
# in this table. A new top-level module needs a place here.
LAYERS = (
    ("comparison", "config", "elements", "errors", "lint", "model", "ort", "plain", "progress", "recipes")
    + ("records", "sample", "targets", "unreadable", "values"),
    ("passes", "quantize", "converters", "device_profiles"),
    ("lowering", "families", "cache", "zig", "symbols", "toolchain", "engine", "compiling", "javascript"),
    ("providers",),
    ("bundle", "devices", "embedded", "session", "text"),
    ("bench", "probing", "generation", "validate", "report", "inspection", "checkup"),
    ("pipeline",),
    ("sweep",),
    ("cli",),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def python_files() -> list[Path]:
    """Every module of the package, as paths below edgeort/ (links followed)."""
    found = (Path(folder) / name for folder, _, names in os.walk(PACKAGE, followlinks=True) for name in names)
    return sorted(path.relative_to(PACKAGE) for path in found if path.suffix == ".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, first name below `edgeort`) of every import of ours in the module, also inside functions."""
    parents = ("edgeort", *path.parts[:-1])
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(parents[: len(parents) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        yield from ((node.lineno, target[1]) for target in targets if target[0] == "edgeort" and len(target) > 1)


def test_links_point_at_the_top_level_folders():
    links = {path.name: os.readlink(path) for path in PACKAGE.iterdir() if path.is_symlink()}
    assert links == {name: f"../{name}" for name in LINKED}


def test_mapping_is_that_of_the_links():
    assert SETUPTOOLS["package-dir"] == {"edgeort": "edgeort", **{f"edgeort.{name}": name for name in LINKED}}


def test_package_list_is_every_folder_with_python_in_it():
    folders = {path.parent for path in python_files()}
    packages = sorted(".".join(("edgeort", *folder.parts)) for folder in folders)
    assert sorted(SETUPTOOLS["packages"]) == packages
    for folder in folders:
        assert (PACKAGE / folder / "__init__.py").is_file(), f"edgeort/{folder} has no __init__.py"


def test_every_module_has_a_layer():
    tops = {path.parts[0].removesuffix(".py") for path in python_files()} - {"__init__", "__main__"}
    assert tops <= set(RANK), "give the new module a place in LAYERS"


@pytest.mark.parametrize("top", RANK)
def test_imports_run_one_way(top: str):
    for path in python_files():
        if path.parts[0].removesuffix(".py") != top:
            continue
        for line, name in imported(path):
            # a name that is no module (`from edgeort import __version__`) stands on nothing
            assert RANK.get(name, 0) <= RANK[top], f"edgeort/{path}:{line}: {top} must not import {name}"


def test_an_import_against_the_stream_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "passes").mkdir()
    source = "import edgeort.cli.main\nfrom edgeort import pipeline\ndef f():\n    from ..lowering import x\n"
    (tmp_path / "passes/bad.py").write_text(source + "from . import context\nimport os\nfrom edgeort.errors import E\n")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    found = sorted(imported(Path("passes/bad.py")))
    assert found == [(1, "cli"), (2, "pipeline"), (4, "lowering"), (5, "passes"), (7, "errors")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files of the wheel, built in a copy of the checkout by the setuptools that is installed."""
    copy = tmp_path_factory.mktemp("checkout") / "edgeort"
    copy.mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in ("edgeort", *LINKED):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as archive:
        return archive.namelist()


def test_wheel_holds_every_module_once(wheel: list[str]):
    modules = [name for name in wheel if name.endswith(".py")]
    assert sorted(modules) == sorted(f"edgeort/{path.as_posix()}" for path in python_files())


def _parts_of_pages() -> list[Path]:
    return [path for suffix in ("css", "js") for path in (PACKAGE / "report").glob(f"*.{suffix}")]


def test_wheel_holds_the_data(wheel: list[str]):
    sources = [
        path
        for suffix in ("h", "cc", "c", "inc", "md", "js", "mjs", "ts")
        for path in (PACKAGE / "runtime").rglob(f"*.{suffix}")
    ]
    data = [
        *sources,
        *(path for suffix in ("java", "kt") for path in (PACKAGE / "bundle/android").rglob(f"*.{suffix}")),
        *(PACKAGE / "bundle/apple/swift").glob("*.swift"),
        *(PACKAGE / "sample").glob("*.onnx"),
        *_parts_of_pages(),
        *(PACKAGE / "device_profiles").glob("*.toml"),
    ]
    expected = {path.relative_to(ROOT).as_posix() for path in data} | {"edgeort/py.typed"}
    assert expected == {name for name in wheel if not name.endswith(".py") and ".dist-info/" not in name}


def test_wheel_is_one_name_in_site_packages(wheel: list[str]):
    assert {name.split("/")[0] for name in wheel} == {"edgeort", "edgeort-0.1.0.dist-info"}
    assert "edgeort-0.1.0.dist-info/licenses/LICENSE" in wheel
