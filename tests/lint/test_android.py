"""Rules of .apk and .aar: an app and a library that break none, and for each rule one that breaks just that."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgeort.errors import InputError
from edgeort.lint import lint
from edgeort.lint.readers import tree
from edgeort.lint.readers.binary_xml import elements
from edgeort.lint.rules.archive import ARCHIVE, TARGET
from tests.lint import making

pytest.importorskip("lief")

ARM64, ARM = "lib/arm64-v8a/libgood.so", "lib/armeabi-v7a/libgood.so"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Libraries by what they are."""
    folder = tmp_path_factory.mktemp("libraries")
    arm = ("-target", "arm-linux-musleabi", "-shared", "-nostdlib", "-fno-builtin", "-fno-unwind-tables")
    other = making.stub(folder / "needs", "libother.so", "libother.so")
    shown = '__attribute__((visibility("default")))'
    calls = f"void other_function(void);\n{shown} void good_call(void) {{ other_function(); }}\n"
    return {
        "arm64": making.elf(folder / "arm64").read_bytes(),
        "arm": making.elf(folder / "arm", target=arm).read_bytes(),
        "second": making.elf(folder / "second", "libgood_second.so").read_bytes(),
        "needs": making.elf(folder / "needs", source=calls, needs=[other]).read_bytes(),
        "note": making.elf(folder / "note", source=making.SOURCE + NOTE).read_bytes(),
    }


# what the NDK's start files put into every library: the API level that it was built for, 30
NOTE = (
    '__asm__(".section .note.android.ident,\\"a\\",%note\\n.long 8\\n.long 4\\n.long 1\\n"\n'
    '".asciz \\"Android\\"\\n.long 30\\n");\n'
)


def manifest(sdk: Mapping[str, int] | None = None, application: Mapping[str, bool] | None = None, **how: bool) -> bytes:
    return making.manifest_binary(
        {"minSdkVersion": 24, "targetSdkVersion": TARGET, **(sdk or {})}, application or {}, **how
    )


def apk(to: Path, files: Mapping[str, bytes | None], **how: object) -> Path:
    content = {"AndroidManifest.xml": manifest(), "classes.dex": b"", "resources.arsc": b"table", **files}
    return making.archive(to / "a.apk", {k: v for k, v in content.items() if v is not None}, **how)  # type: ignore[arg-type]


def aar(to: Path, files: Mapping[str, bytes | None]) -> Path:
    content = {"AndroidManifest.xml": making.manifest_text(), "classes.jar": b"", "R.txt": b"", **files}
    return making.archive(to / "a.aar", {k: v for k, v in content.items() if v is not None}, signed=False)


Files = dict[str, bytes]


def compressed(to: Path, files: Mapping[str, bytes]) -> Path:
    """Only the libraries: resources.arsc must not be."""
    path = apk(to, {"resources.arsc": None, **files}, stored=False)
    return path


BREAKS: dict[str, Callable[[Path, Files], Path]] = {
    "android-manifest": lambda to, made: apk(to, {"AndroidManifest.xml": None, ARM64: made["arm64"]}),
    "android-64-bit": lambda to, made: apk(to, {ARM: made["arm"]}),
    "android-same-libraries": lambda to, made: apk(
        to, {ARM: made["arm"], ARM64: made["arm64"], "lib/arm64-v8a/libgood_second.so": made["second"]}
    ),
    "android-abi": lambda to, made: apk(to, {ARM64: made["arm64"], ARM: made["arm64"]}),
    "apk-missing-library": lambda to, made: apk(to, {ARM64: made["needs"]}),
    "aar-missing-library": lambda to, made: aar(to, {"jni/arm64-v8a/libgood.so": made["needs"]}),
    "android-built-for": lambda to, made: apk(to, {ARM64: made["note"]}),
    "apk-alignment": lambda to, made: apk(to, {ARM64: made["arm64"]}, page=4096),
    "apk-compressed-refused": lambda to, made: compressed(to, {ARM64: made["arm64"]}),
    "apk-compressed": lambda to, made: compressed(
        to, {ARM64: made["arm64"], "AndroidManifest.xml": manifest(application={"extractNativeLibs": True})}
    ),
    "apk-target": lambda to, made: apk(to, {"AndroidManifest.xml": manifest({"targetSdkVersion": TARGET - 1})}),
    "android-levels": lambda to, made: apk(to, {"AndroidManifest.xml": manifest({"minSdkVersion": TARGET + 1})}),
    "android-debuggable": lambda to, made: apk(to, {"AndroidManifest.xml": manifest(application={"debuggable": True})}),
    "android-test-only": lambda to, made: apk(to, {"AndroidManifest.xml": manifest(application={"testOnly": True})}),
    "apk-signature": lambda to, made: apk(to, {}, signed=False),
    "apk-resources": lambda to, made: apk(to, {}, stored=False),
    "aar-classes": lambda to, made: aar(to, {"classes.jar": None, "jni/arm64-v8a/libgood.so": made["arm64"]}),
}


def broken(path: Path) -> set[str]:
    return {finding.rule.id for finding in lint(path).findings}


def test_a_good_app_and_a_good_library_break_nothing(made: Files, tmp_path: Path):
    assert broken(apk(tmp_path, {ARM64: made["arm64"], ARM: made["arm"]})) == set()
    assert (
        broken(aar(tmp_path, {f"jni/{name[4:]}": made[kind] for name, kind in ((ARM64, "arm64"), (ARM, "arm"))}))
        == set()
    )


@pytest.mark.parametrize("rule", [rule.id for rule in ARCHIVE])
def test_each_rule_is_broken_alone(rule: str, made: Files, tmp_path: Path):
    assert broken(BREAKS[rule](tmp_path, made)) == {rule}


@pytest.mark.parametrize("how", [{}, {"utf8": True}, {"named": False}], ids=["utf16", "utf8", "without names"])
def test_compiled_manifests(how: dict[str, bool], tmp_path: Path):
    said = manifest({"minSdkVersion": 30, "targetSdkVersion": 29}, {"debuggable": True, "testOnly": False}, **how)
    path = apk(tmp_path, {"AndroidManifest.xml": said, "resources.arsc": None})
    assert {(f.rule.id, f.what) for f in lint(path).findings} == {
        ("apk-target", "its targetSdkVersion is 29"),
        ("android-levels", "its minSdkVersion, 30, is above its targetSdkVersion, 29"),
        ("android-debuggable", "its manifest says android:debuggable"),
    }


@pytest.mark.skipif(shutil.which("aapt2") is None, reason="needs aapt2 (apt install aapt)")
def test_a_manifest_that_aapt2_compiled(tmp_path: Path):
    text = making.manifest_text(uses='android:minSdkVersion="24" android:targetSdkVersion="35"')
    (tmp_path / "AndroidManifest.xml").write_bytes(
        text.replace(
            b"</manifest>", b'<application android:debuggable="true" android:extractNativeLibs="false"/></manifest>'
        )
    )
    framework = Path("/usr/share/android-framework-res/framework-res.apk")
    if not framework.exists():
        pytest.skip("needs the system's resources (apt install android-framework-res)")
    made = tmp_path / "a.apk"
    command = ["aapt2", "link", "-I", framework, "--manifest", tmp_path / "AndroidManifest.xml", "-o", made]
    subprocess.run(command, check=True, capture_output=True)
    assert broken(made) == {"apk-target", "android-debuggable", "apk-signature"}


def test_a_jar_signature_alone_does_for_old_targets(tmp_path: Path):
    signature = {"META-INF/CERT.RSA": b"", "META-INF/CERT.SF": b""}
    old = {"AndroidManifest.xml": manifest({"targetSdkVersion": 29})}
    assert broken(apk(tmp_path, {**signature, **old}, signed=False)) == {"apk-target"}
    assert broken(apk(tmp_path, signature, signed=False)) == {"apk-signature"}


def test_what_is_wrong_inside_is_a_finding(made: Files, tmp_path: Path):
    cut = made["arm64"][:900]
    path = apk(tmp_path, {ARM64: made["arm64"], "lib/arm64-v8a/libcut.so": cut, "lib/arm64-v8a/libtext.so": b"hello"})
    found = {finding.where.split(": ")[1]: finding for finding in lint(path).findings}
    assert {name: one.rule.id for name, one in found.items()} == {
        "lib/arm64-v8a/libcut.so": "unreadable",
        "lib/arm64-v8a/libtext.so": "unreadable",
    }
    assert found["lib/arm64-v8a/libtext.so"].what == "not an ELF file"


@pytest.mark.parametrize(
    "data", [b"", b"\3\0\x08\0\xff\xff\xff\xff", b"<manifest", b"<other/>", b"\3\0\x08\0\x08\0\0\0"]
)
def test_a_manifest_that_is_none(data: bytes, tmp_path: Path):
    (finding,) = [
        one for one in lint(apk(tmp_path, {"AndroidManifest.xml": data})).findings if one.rule.id == "unreadable"
    ]
    assert finding.where.endswith("a.apk: AndroidManifest.xml")


def test_every_byte_of_a_compiled_manifest_may_be_wrong(tmp_path: Path):
    from edgeort.lint.readers import manifest as reading

    data = manifest(application={"debuggable": True})
    for at in range(len(data)):
        for value in (0x00, 0x7F, 0xFF):
            try:
                reading.read(data[:at] + bytes([value]) + data[at + 1 :], "m")
                reading.read(data[:at], "m")
            except InputError:
                pass


def test_entities_that_grow_are_refused(tmp_path: Path):
    lines = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12)]
    bomb = '<!DOCTYPE manifest [<!ENTITY l0 "lol">' + "".join(lines) + "]><manifest>&l11;</manifest>"
    assert "unreadable" in broken(aar(tmp_path, {"AndroidManifest.xml": bomb.encode()}))


def test_strings_that_are_read_again_and_again_are_refused():
    text, count = b"a" * 10_000, 1000  # each is all of the text
    start = 28 + 4 * count
    body = struct.pack("<H", len(text) // 2) + text
    pool = struct.pack("<HHIIIIII", 1, 28, start + len(body), count, 0, 0, start, 0) + bytes(4 * count) + body
    with pytest.raises(InputError, match="its strings overlap"):
        elements(struct.pack("<HHI", 0x0003, 8, 8 + len(pool)) + pool, "m")


def test_no_zip(tmp_path: Path):
    for content in (b"", b"PK\3\4 and then nothing", b"hello" * 100):
        path = tmp_path / "a.apk"
        path.write_bytes(content)
        with pytest.raises(InputError, match="a.apk: not a zip archive"):
            lint(path)


def test_a_zip_that_is_cut_or_changed(made: Files, tmp_path: Path):
    data = aar(tmp_path, {"jni/arm64-v8a/libgood.so": made["arm64"]}).read_bytes()
    path = tmp_path / "b.aar"
    for at in (*range(0, 120, 2), *range(len(data) - 420, len(data), 2)):
        path.write_bytes(data[:at] + b"\xff\xff" + data[at + 2 :])
        with contextlib.suppress(InputError):
            lint(path)


def test_an_archive_packed_in_another_way_that_is_damaged(tmp_path: Path):
    path = tmp_path / "a.apk"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("AndroidManifest.xml", b"abc" * 5000)
    data = path.read_bytes()
    for at in range(60, 90):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with contextlib.suppress(InputError):
            lint(path)


def test_a_library_that_unpacks_to_more_than_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "MOST_BYTES", 1 << 20)
    path = tmp_path / "a.aar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("jni/arm64-v8a/libbomb.so", bytes(1 << 22))
    found = [finding for finding in lint(path).findings if finding.rule.id == "unreadable"]
    assert [one.what for one in found] == [f"{path}: what it holds is larger than 1 MiB"]
