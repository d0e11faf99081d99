"""`edgeort lint` as users call it, the table of rules, and libraries that others made."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edgeort.errors import MissingExtraError
from edgeort.lint import RULES, lint
from edgeort.lint.exports import beyond_prefix, is_runtime, stem
from tests.cli.support import call
from tests.lint import making

pytest.importorskip("lief")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lint")
    for name, page in (("good", 16384), ("bad", 4096)):
        needed = making.stub(place / name, "libc.so", "libc.so")  # by which it is Android's
        calls = "void other_function(void);\nvoid good_call(void) { other_function(); }\n"
        shown = calls.replace("void good", '__attribute__((visibility("default"))) void good')
        making.elf(place / name, source=shown, page=page, soname=name == "good", needs=[needed])
    return place


def test_ids_are_their_own_and_everything_is_explained():
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    for rule in RULES:
        assert rule.why.endswith(".") and rule.remedy, rule.id


def test_good_and_bad(folder: Path):
    assert call("lint", folder / "good/libgood.so").exit_code == 0
    result = call("lint", folder / "good/libgood.so", folder / "bad/libgood.so")
    assert result.exit_code == 1
    assert "error: android-page-size" not in call("lint", folder / "good/libgood.so").output
    assert "  error: android-page-size\n    3 of its segments are aligned to 4096 bytes" in result.output
    assert "18 rules: 1 error, 1 warning, 0 notes" in result.output
    assert "why: Google Play refuses" in result.output and "do:  link with -Wl,-z,max-page-size=16384" in result.output
    assert "error: 1 error in " in result.output


def test_a_bundle_is_its_libraries(folder: Path):
    from edgeort.bundle.writing import write_bundle
    from tests.bundle.test_bundle import MANIFEST

    good = (folder / "good/libgood.so").read_bytes()
    own = replace(MANIFEST, library="lib/libgood.so", harness="")
    write_bundle(folder / "b", own, {"lib/libgood.so": good, "lib/libedgeort_static.a": b"", "model.plan": b""})
    result = call("lint", folder / "b")
    assert result.exit_code == 0 and result.output.startswith(f"{folder / 'b/lib/libgood.so'}\n")
    assert "libedgeort_static" not in result.output
    write_bundle(
        folder / "c",
        replace(MANIFEST, library="lib/edgeort.wasm", harness=""),
        {"lib/edgeort.wasm": b"", "model.plan": b""},
    )
    result = call("lint", folder / "c")
    assert result.exit_code == 2 and "there are no rules for lib/edgeort.wasm" in result.output
    bare = replace(own, target=replace(own.target, os="none"), library="lib/libedgeort.a")
    write_bundle(folder / "d", bare, {"lib/libedgeort.a": b"!<arch>\n", "model.plan": b""})
    result = call("lint", folder / "d")
    assert result.exit_code == 2 and "there are no rules for lib/libedgeort.a" in result.output
    write_bundle(folder / "b.zip", own, {"lib/libgood.so": good, "model.plan": b""})
    assert "a bundle is checked as a folder" in call("lint", folder / "b.zip").output


def test_json(folder: Path):
    result = call("lint", folder / "bad/libgood.so", "--json")
    found = json.loads(result.output[: result.output.rindex("]") + 1])[0]
    assert (found["errors"], found["warnings"], found["notes"]) == (1, 1, 0)
    assert [one["rule"] for one in found["findings"]] == ["android-page-size", "android-soname"]
    assert set(found["findings"][0]) == {"rule", "severity", "where", "what", "why", "remedy"}


def test_rules_are_listed():
    assert [one["rule"] for one in json.loads(call("lint", "--rules", "--json").output)] == [rule.id for rule in RULES]
    assert "android-page-size" in call("lint", "--rules").output


def test_bad_arguments(tmp_path: Path):
    (tmp_path / "a.txt").write_text("x")
    for arguments, message in (
        ([], "no file to check"),
        ([tmp_path / "a.txt"], "a.txt: there are rules for .so, .aar"),
        ([tmp_path / "none.so"], "none.so: no such file or folder"),
    ):
        result = call("lint", *arguments)
        assert result.exit_code == 2 and message in result.output


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lief", None)
    with pytest.raises(MissingExtraError) as caught:
        lint(folder / "good/libgood.so")
    assert caught.value.hint == "pip install 'edgeort[stores]'"


def test_names_of_runtimes():
    for name in (
        "_ZNSt6vectorIiSaIiEED1Ev",
        "_ZSt9terminatev",
        "_Znwm",
        "__cxa_throw",
        "_ZTVN10__cxxabiv117__class_type_infoE",
    ):
        assert is_runtime(name), name
    assert is_runtime("_ZZNSt19_Sp_make_shared_tag5_S_tiEvE5__tag")
    for name in ("_ZN3cv3MatC1Ev", "good_sum", "_Z3addii", "__cxx", "std"):
        assert not is_runtime(name), name


def test_names_that_are_looked_up_are_an_api():
    assert (
        list(beyond_prefix(["JNI_OnLoad", "Java_com_example_A_b", "_init", "good_x", "Good_y"], "libgood.so", ())) == []
    )
    assert (
        list(beyond_prefix(["_ZN4good3SumEv", "_ZTV4Good", "_ZGVZN4good1fEvE1x", "_ZNK4good1gEv"], "libgood.so", ()))
        == []
    )
    assert stem("libonnxruntime.so.1.32.0") == "onnxruntime" and stem("cv2.abi3.so") == "cv"


@pytest.mark.parametrize(
    ("package", "pattern"), [("onnxruntime", "capi/*.so"), ("numpy", "_core/*umath*.so"), ("ncnn", "*.so")]
)
def test_libraries_of_others(package: str, pattern: str):
    """They are read without failing, and none is refused by a loader: they do load here."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"needs {package}")
    paths = sorted(Path(spec.submodule_search_locations[0]).glob(pattern))
    assert paths
    for path in paths[:2]:
        report = lint(path)
        assert report.counts["error"] == 0 and report.checked
