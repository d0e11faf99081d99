"""Bundles: same bytes for the same input, every change refused by name, nothing half-made, nothing unpacked outside."""

from __future__ import annotations

import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from edgeort.bundle import Manifest, open_bundle, write_bundle, writing
from edgeort.bundle import manifest as manifests
from edgeort.bundle.writing import check_writable
from edgeort.errors import BundleError, OutputError
from edgeort.recipes.written import FOLDER
from edgeort.values import Value

MANIFEST = Manifest(
    edgeort="0",
    model="m",
    model_sha256="00",
    device="d",
    provider="cpu",
    artefact="model.plan",
    target=manifests.Target("linux", "aarch64", "t", ("neon",), "cortex-a72"),
    threads=2,
    ram_limit=0,
    io_layout="nchw",
    inputs=(Value("x", "float32", (1, "N", None)),),
    outputs=(Value("y", "int64", None),),
    nodes=(manifests.Node("n", "Gemm", "cpu", "f32"),),
    kernels=("Gemm",),
    budgets={"size_kb": 10},
    tools={"zig": "1"},
    library="lib/libedgeort.so",
    harness="bin/edgeort_bench",
)
CONTENTS = {
    "model.plan": b"plan" * 100,
    "lib/libedgeort.so": b"library",
    "bin/edgeort_bench": b"program",
    "golden/input0.npy": b"\x93NUMPY",
}
PLACES = ("bundle", "bundle.zip")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_written_is_read(tmp_path: Path, name: str):
    with open_bundle(write_bundle(tmp_path / "new" / name, MANIFEST, CONTENTS)) as bundle:
        assert bundle.artefact.read_bytes() == CONTENTS["model.plan"]
        assert bundle.harness.stat().st_mode & stat.S_IXUSR
        assert set(bundle.manifest.files) == set(CONTENTS)
        assert bundle.manifest.inputs == MANIFEST.inputs and bundle.manifest.target == MANIFEST.target
        assert bundle.size_bytes == sum(map(len, CONTENTS.values()))
        folder = bundle.folder
    assert folder.exists() == (name == "bundle")


@pytest.mark.parametrize("name", PLACES)
def test_same_input_gives_same_bytes(tmp_path: Path, name: str):
    first = write_bundle(tmp_path / "a" / name, MANIFEST, CONTENTS)
    second = write_bundle(tmp_path / "b" / name, MANIFEST, dict(reversed(CONTENTS.items())))
    if first.is_dir():
        assert tree(first) == tree(second)
    else:
        assert first.read_bytes() == second.read_bytes()


def test_folder_and_zip_have_the_same_content(tmp_path: Path):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    with zipfile.ZipFile(write_bundle(tmp_path / "b.zip", MANIFEST, CONTENTS)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == tree(folder)


@pytest.mark.parametrize("name", [*CONTENTS, "manifest.json"])
def test_a_changed_byte_is_refused_by_name(tmp_path: Path, name: str):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    data = (folder / name).read_bytes()
    for at in (0, len(data) // 2, len(data) - 1):
        (folder / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(BundleError, match=name.replace(".", r"\.")):
            open_bundle(folder)
    (folder / name).write_bytes(data)
    open_bundle(folder)


def test_every_byte_of_the_manifest_counts(tmp_path: Path):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    path = folder / "manifest.json"
    data = path.read_bytes()
    for at in range(0, len(data), 37):
        path.write_bytes(data[:at] + bytes([data[at] ^ 32]) + data[at + 1 :])
        with pytest.raises(BundleError):
            open_bundle(folder)


def test_missing_and_alien_files_are_refused(tmp_path: Path):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    (folder / "lib/extra.so").write_bytes(b"")
    with pytest.raises(BundleError, match=r"lib/extra\.so does not belong"):
        open_bundle(folder)
    (folder / "lib/extra.so").unlink()
    (folder / "model.plan").unlink()
    with pytest.raises(BundleError, match=r"model\.plan is missing"):
        open_bundle(folder)


def test_links_are_refused(tmp_path: Path):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    (tmp_path / "plan").write_bytes(CONTENTS["model.plan"])
    (folder / "model.plan").unlink()
    (folder / "model.plan").symlink_to(tmp_path / "plan")
    with pytest.raises(BundleError, match=r"model\.plan is a link"):
        open_bundle(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b'{"format": 1, "digest": 3}', b"[" * 10000])
def test_other_manifests_are_refused(tmp_path: Path, text: bytes):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"library": ["lib/libedgeort.so"]}, "is not sound"),
        ({"threads": "2"}, "is not sound"),
        ({"threads": True}, "is not sound"),
        ({"files": {"model.plan": {"sha256": 1, "size_bytes": 2}}}, "is not sound"),
        ({"inputs": [{"name": "x", "dtype": "float32", "shape": 1, "bounds": []}]}, "is not sound"),
        ({"inputs": [{"name": "x", "dtype": "float31", "shape": [1], "bounds": []}]}, "unknown type 'float31'"),
        ({"measured": {"on": "today"}}, "is not sound"),
        ({"more": 1}, "is not sound"),
        ({"options": None}, "is not sound"),
        ({"model": "../../m"}, "which no file can have"),
        ({"device": ""}, "which no file can have"),
        ({"postprocessing": {"outputs": 5}}, "do not begin with those of post-processing"),
        ({"postprocessing": {"outputs": ["y", "z"]}}, "do not begin with those of post-processing"),
        ({"postprocessing": {"outputs": ["z"]}}, "do not begin with those of post-processing"),
    ],
)
def test_a_manifest_of_other_types_is_refused(tmp_path: Path, change: dict[str, object], words: str):
    """Whoever makes a bundle can make its digest, too."""
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    data = {**json.loads((folder / "manifest.json").read_bytes()), **change}
    del data["digest"]
    text = manifests._text({**data, "digest": manifests._digest(data)})
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError, match=words):
        open_bundle(folder)


def test_a_manifest_says_everything(tmp_path: Path):
    """Also what has a default."""
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    data = json.loads((folder / "manifest.json").read_bytes())
    del data["digest"], data["measured"]
    (folder / "manifest.json").write_bytes(manifests._text({**data, "digest": manifests._digest(data)}))
    with pytest.raises(BundleError, match="was changed"):
        open_bundle(folder)


def test_a_newer_format_is_refused(tmp_path: Path):
    folder = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    data = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**data, "format": 99}))
    with pytest.raises(BundleError, match="format 99"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\evil", "C:evil", "./model.plan", "a//b"])
def test_archives_do_not_reach_outside(tmp_path: Path, name: str):
    path = write_bundle(tmp_path / "b.zip", MANIFEST, CONTENTS)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"evil")
    with pytest.raises(BundleError, match="path out of the bundle"):
        open_bundle(path)
    assert not (tmp_path / "evil").exists()


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.plan", bytes(64 << 20))
    with pytest.raises(BundleError, match="this is no bundle"):
        open_bundle(path)


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.999])
def test_cut_archives_are_refused(tmp_path: Path, cut: float):
    path = write_bundle(tmp_path / "b.zip", MANIFEST, CONTENTS)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(BundleError):
        open_bundle(path)


@pytest.mark.parametrize("name", PLACES)
def test_a_bundle_replaces_a_bundle(tmp_path: Path, name: str):
    write_bundle(tmp_path / name, MANIFEST, {**CONTENTS, "tokenizer/vocab.txt": b"a", f"{FOLDER}/labels.txt": b"a"})
    write_bundle(tmp_path / name, MANIFEST, {**CONTENTS, "model.plan": b"other"})
    with open_bundle(tmp_path / name) as bundle:
        assert bundle.artefact.read_bytes() == b"other"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_no_bundle_is_left_alone(tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "manifest.json").write_text('{"name": "a browser extension"}')
    bundle = write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    (bundle / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in (mine, bundle, tmp_path / "file"):
        with pytest.raises(OutputError, match="is not a bundle"):
            write_bundle(place, MANIFEST, CONTENTS)
        with pytest.raises(OutputError, match="is not a bundle"):
            check_writable(place)
    assert (bundle / "notes.txt").exists() and (mine / "manifest.json").exists()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    before = tree(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    assert caught.value.hint is not None and "space" in caught.value.hint
    monkeypatch.undo()
    assert tree(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_a_bundle_gives_way_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was there is never away: nothing is renamed, the two are exchanged."""
    write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    if not writing._exchange(tmp_path / "b", tmp_path / "b"):
        pytest.skip("the file system cannot exchange two names")
    monkeypatch.setattr(os, "rename", None)
    write_bundle(tmp_path / "b", MANIFEST, {**CONTENTS, "model.plan": b"other"})
    assert open_bundle(tmp_path / "b").artefact.read_bytes() == b"other"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_bundle_gives_way_where_names_cannot_be_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    monkeypatch.setattr(writing, "_exchange", lambda *_: False)
    write_bundle(tmp_path / "b", MANIFEST, {**CONTENTS, "model.plan": b"other"})
    assert open_bundle(tmp_path / "b").artefact.read_bytes() == b"other"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writing, "_exchange", lambda *_: False)
    write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    before = tree(tmp_path)
    rename = os.rename

    def interrupted(source: Path, to: Path) -> None:
        if Path(to).name == "b" and Path(source).name == "bundle":
            raise KeyboardInterrupt
        rename(source, to)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "b", MANIFEST, CONTENTS)
    assert tree(tmp_path) == before
