"""The package's files: the module, the archive, the libraries in them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort.bundle import android, open_bundle
from edgeort.bundle.android import compiling, module, names, native, readme
from edgeort.bundle.packages import Wishes
from edgeort.errors import InputError, OutputError, UnsupportedError
from edgeort.toolchain import BIONIC, RUNTIME
from edgeort.values import Value
from tests.bundle.android.support import build, make, need
from tests.bundle.test_bundle import MANIFEST
from tests.elf import read_elf
from tests.models import HOST, mlp

ABIS = ("arm64-v8a", "armeabi-v7a", "x86_64")
ANDROID = "{http://schemas.android.com/apk/res/android}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("android"))


@pytest.fixture(scope="module")
def package(bundle: Path) -> Path:
    return make(bundle, bundle.with_name("p"))


@pytest.fixture(scope="module")
def archive(package: Path) -> zipfile.ZipFile:
    need("javac")
    return zipfile.ZipFile(package / "m.aar")


def test_a_name_of_several_lines_stays_a_comment(bundle: Path):
    with open_bundle(bundle) as opened:
        manifest = replace(opened.manifest, model='m\nexec("calc")')
        text = module.files(manifest, {}, bundle / "model.plan")["build.gradle.kts"]
    assert isinstance(text, bytes) and text.startswith(b'// The model m exec("calc") for Android')


def test_the_module_has_its_parts_where_gradle_looks(bundle: Path, package: Path):
    main = package / "m/src/main"
    assert (main / "assets/edgeort/m.plan").read_bytes() == (bundle / "model.plan").read_bytes()
    assert sorted(path.name for path in (main / "jniLibs").iterdir()) == sorted(ABIS)
    assert (main / "kotlin/edgeort/m/Coroutines.kt").read_text().startswith("package edgeort.m\n")
    sources = list((main / "java/edgeort/m").iterdir())
    assert {"EdgeortModel.java", "Native.java", "Bundled.java", "Tensor.java"} <= {path.name for path in sources}
    assert all(path.read_text().startswith("package edgeort.m;\n") for path in sources)
    assert ET.parse(main / "AndroidManifest.xml").getroot().tag == "manifest"
    gradle = (package / "m/build.gradle.kts").read_text()
    assert 'namespace = "edgeort.m"' in gradle and "minSdk = 24" in gradle and "consumer-rules.pro" in gradle


def test_what_it_says_of_itself(bundle: Path, package: Path):
    told = json.loads((package / "package.json").read_text())
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert (told["package"], told["abis"], told["bundle"]) == ("android", list(ABIS), manifest["digest"])
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert found == {*told["files"], "package.json"}
    for name, entry in told["files"].items():
        data = (package / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry["sha256"], entry["size_bytes"])
    notice = (package / "licences/NOTICE.txt").read_text()
    assert "compiler-rt" in notice and "edgeort_bench" not in notice  # which is not in it
    assert "edgeort.m.EdgeortModel" in (package / "README.md").read_text()


@pytest.mark.parametrize("abi", ABIS)
def test_a_library_is_one_that_android_loads(package: Path, abi: str):
    elf = read_elf(package / f"m/src/main/jniLibs/{abi}/libedgeort_m.so")
    assert (elf.machine, elf.soname) == (native.ABIS[abi].replace("armv7", "arm"), "libedgeort_m.so")
    assert set(elf.needed) <= {"libc.so", "libm.so"} and "libc.so" in elf.needed
    assert elf.alignments and all(alignment == 16384 for alignment in elf.alignments)
    assert all(protection & 3 != 3 for protection in elf.protections)  # nothing is written and executed
    assert not elf.has_text_relocations
    header = (RUNTIME / "include/edgeort.h").read_text()
    own = elf.defined - {"JNI_OnLoad"}
    assert own != elf.defined and all(name.startswith("edgeort_") and f"{name}(" in header for name in own)
    assert elf.undefined <= {*BIONIC["libc"], *BIONIC["libm"]}


def test_the_archive_is_an_aar(archive: zipfile.ZipFile, package: Path):
    assert archive.testzip() is None
    listed = archive.namelist()
    assert len(listed) == len(set(listed)) and all(info.date_time[0] == 1980 for info in archive.infolist())
    jni = {f"jni/{abi}/libedgeort_m.so" for abi in ABIS}
    assert {"AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt", "assets/edgeort/m.plan", *jni} <= set(listed)
    for abi in ABIS:
        module = package / f"m/src/main/jniLibs/{abi}/libedgeort_m.so"
        assert archive.read(f"jni/{abi}/libedgeort_m.so") == module.read_bytes()
    root = ET.fromstring(archive.read("AndroidManifest.xml"))
    (sdk,) = root
    assert root.get("package") == "edgeort.m" and sdk.get(f"{ANDROID}minSdkVersion") == "24"
    assert b"edgeort.m.Native" in archive.read("proguard.txt")


def test_its_classes_are_what_every_android_tool_reads(archive: zipfile.ZipFile):
    jar = zipfile.ZipFile(io.BytesIO(archive.read("classes.jar")))
    assert {"edgeort/m/EdgeortModel.class", "edgeort/m/Native.class"} <= set(jar.namelist())
    assert not [
        name for name in jar.namelist() if not name.startswith(("edgeort/m/", "META-INF/"))
    ]  # Android's own are not in it
    for name in (name for name in jar.namelist() if name.endswith(".class")):
        magic, _, major = struct.unpack(">IHH", jar.read(name)[:8])
        assert magic == 0xCAFEBABE and major == 52, name  # Java 8


def test_the_rules_keep_what_c_finds_by_name(package: Path):
    source = (RUNTIME / "bindings/android/native.c").read_text()
    rules = (package / "m/consumer-rules.pro").read_text()
    for name in ("Native", "EdgeortException"):
        assert f'EDGEORT_PACKAGE "/{name}"' in source and f"-keep class edgeort.m.{name} " in rules


def test_the_same_bytes_again(bundle: Path, package: Path, tmp_path: Path):
    again = make(bundle, tmp_path / "p")
    for path in (path for path in package.rglob("*") if path.is_file()):
        assert path.read_bytes() == (again / path.relative_to(package)).read_bytes(), path


def test_some_abis_and_none_that_do_not_exist(bundle: Path, tmp_path: Path):
    made = make(bundle, tmp_path / "p", "x86_64", "arm64-v8a")
    assert json.loads((made / "package.json").read_text())["abis"] == ["arm64-v8a", "x86_64"]
    with pytest.raises(InputError, match="mips: Android has arm64-v8a"):
        make(bundle, tmp_path / "q", "mips")


def test_without_a_jdk_there_is_the_module_alone(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiling, "has_javac", lambda: False)
    made = make(bundle, tmp_path / "p", "x86_64")
    assert not list(made.glob("*.aar")) and (made / "m/build.gradle.kts").is_file()
    assert ".aar" not in (made / "README.md").read_text()


@pytest.mark.parametrize("kotlin", [True, False])
def test_its_readme_tells_what_the_archive_lacks(bundle: Path, kotlin: bool):
    with open_bundle(bundle) as opened:
        said = readme.text(opened.manifest, has_aar=True, has_coroutines=kotlin)
    assert "API level 24" in said and ("without a Kotlin compiler" in said) is not kotlin


def test_its_readme_reads_each_output_by_its_type():
    outputs = (Value("label", "string", (1, 3)), Value("score", "float32", (1, 3)), Value("class", "int64", (1, 3)))
    said = readme.text(replace(MANIFEST, outputs=outputs), has_aar=False, has_coroutines=False)
    for line in ("label = outputs[0].strings()", "score = outputs[1].floats()", "output2 = outputs[2].longs()"):
        assert f"\nval {line}\n" in said


def test_it_tells_what_the_bundle_has_and_the_package_lacks(bundle: Path):
    with open_bundle(bundle) as opened:
        assert "signatures" not in " ".join(android.package(opened, Wishes(("x86_64",))).notes)
        own = opened.manifest.files
        opened.manifest = replace(opened.manifest, files={**own, "include/edgeort_signature.h": own["model.plan"]})
        notes = android.package(opened, Wishes(("x86_64",))).notes
    assert "the check of signatures (--signatures) is not in the package: it opens plans that no key signed" in notes


def test_only_a_package_is_replaced(bundle: Path, tmp_path: Path):
    (tmp_path / "p").mkdir()
    make(bundle, tmp_path / "p", "x86_64")
    (tmp_path / "p/README.md").write_text("changed")
    make(bundle, tmp_path / "p", "x86_64")
    assert (tmp_path / "p/README.md").read_text() != "changed"
    (tmp_path / "p/package.json").unlink()
    with pytest.raises(OutputError, match="is not a package"):
        make(bundle, tmp_path / "p", "x86_64")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


def test_types_that_java_lacks_are_refused(bundle: Path):
    with open_bundle(bundle) as opened:
        opened.manifest = replace(opened.manifest, outputs=(Value("u", "float8e5m2", (2,)),))
        told = r"u: float8e5m2 \[2\]: the classes for Android have no such"
        with pytest.raises(UnsupportedError, match=told) as caught:
            android.package(opened, Wishes())
    assert caught.value.hint and "include/edgeort.h" in caught.value.hint


def test_the_types_of_java_are_those_of_the_header():
    header = (RUNTIME / "include/edgeort.h").read_text()
    codes = {name: int(code) for name, code in re.findall(r"EDGEORT_(\w+) = (\d+)", header)}
    text = (module.SOURCES / "ElementType.java").read_text()
    names = re.findall(r"^    ([A-Z]+\d*)\(", text, re.MULTILINE)
    for code, name in enumerate(names[:-1]):
        letter, bits = (name.rstrip("0123456789"), name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        short = {"FLOAT": "F", "UINT": "U", "INT": "I", "BFLOAT": "BF", "BOOL": "BOOL"}[letter]
        assert codes[f"{short}{bits}"] == code
    assert names[-1] == "STRING" and f"CODE_OF_STRING = {codes['STRING']};" in text


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("mobilenetv2_100", "mobilenetv2_100"),
        ("Net-2.1 (int8)", "net_2_1_int8"),
        ("3d", "model_3d"),
        ("switch", "model_switch"),
    ],
)
def test_names(model: str, name: str):
    assert names.identifier(model) == name and names.java_package(model) == f"edgeort.{name}"


def test_a_bundle_for_another_device_serves_too(tmp_path: Path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    edgeort.build(tmp_path / "m.onnx", HOST, tmp_path / "b")
    made = make(tmp_path / "b", tmp_path / "p", "arm64-v8a")
    assert (made / "m/src/main/assets/edgeort/m.plan").read_bytes() == (tmp_path / "b/model.plan").read_bytes()
