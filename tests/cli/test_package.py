"""`edgeort package`: what it prints, its JSON, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeort.bundle.android import compiling
from edgeort.toolchain import objects
from tests.cli.support import call, folder

__all__ = ["folder"]


def test_android(folder: Path, tmp_path: Path):
    done = call("package", folder / "b", "--android", "--abi", "x86_64", "-o", tmp_path / "p")
    assert done.exit_code == 0, done.stderr
    assert "edgeort.m.EdgeortModel" in done.stdout and "generic, v3" in done.stdout
    assert "for phones: --device android-arm64" in done.stdout  # it was built for this machine
    told = json.loads(
        call("package", folder / "b", "--android", "--abi", "x86_64", "-o", tmp_path / "p", "--json").stdout
    )
    assert told["kind"] == "android" and told["abis"] == ["x86_64"]
    assert told["files"]["m/src/main/jniLibs/x86_64/libedgeort_m.so"] > 10_000


@pytest.mark.parametrize(("kind", "part"), [(("--android", "--abi", "x86_64"), "x86_64"), (("--ios",), "ios aarch64")])
def test_it_says_how_far_it_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: tuple[str, ...], part: str
):
    monkeypatch.setattr(objects, "SILENT_S", -1.0)
    done = call("package", folder / "b", *kind, "-o", tmp_path / "p")
    assert done.exit_code == 0 and f"edgeort: {part}: compiling: 1 of " in done.stderr, done.stderr


def test_it_stands_beside_the_bundle(folder: Path):
    done = call("package", folder / "b", "--android", "--abi", "x86_64")
    assert done.exit_code == 0 and (folder / "b-android/m/build.gradle.kts").is_file()


def test_it_stands_beside_the_bundle_one_is_in(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder / "b")
    monkeypatch.setattr(compiling, "has_javac", lambda: False)
    done = call("package", ".", "--android", "--abi", "x86_64", "--json")
    assert json.loads(done.stdout)["package"] == str(folder.resolve() / "b-android")


def test_without_a_jdk_it_says_so(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "has_javac", lambda: False)
    done = call("package", folder / "b", "--android", "--abi", "x86_64", "-o", tmp_path / "p")
    assert done.exit_code == 0 and "apt install default-jdk-headless" in done.stdout


def test_what_it_refuses(folder: Path, tmp_path: Path):
    nothing = call("package", folder / "b")
    assert nothing.exit_code == 2 and "edgeort package BUNDLE --android" in nothing.stderr
    none = call("package", tmp_path / "b", "--android")
    assert none.exit_code == 2 and "there is no such bundle" in none.stderr
    abi = call("package", folder / "b", "--android", "--abi", "mips", "-o", tmp_path / "p")
    assert abi.exit_code == 2 and "--abi mips" in abi.stderr and not list(tmp_path.iterdir())
    apple = call("package", folder / "b", "--ios", "--abi", "x86_64", "-o", tmp_path / "p")
    assert apple.exit_code == 2 and "--abi is of Android" in apple.stderr and not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("")
    there = call("package", folder / "b", "--android", "--abi", "x86_64", "-o", tmp_path / "mine")
    assert there.exit_code == 2 and "is not a package" in there.stderr
