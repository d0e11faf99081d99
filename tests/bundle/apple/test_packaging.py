"""The Swift package of a bundle: what Xcode will look at, every object of its libraries, and Swift that parses."""

from __future__ import annotations

import importlib.util
import json
import plistlib
import re
from pathlib import Path

import onnx
import pytest

import edgeort
from edgeort import zig
from edgeort.bundle import apple, open_bundle
from edgeort.bundle.apple import fat, swift
from edgeort.bundle.packages import Package, Wishes, write_package
from edgeort.errors import UnsupportedError
from edgeort.families import functions
from edgeort.pipeline.choosing import Wish
from edgeort.providers import cpu
from edgeort.recipes.picture_steps import parse
from edgeort.recipes.reference import LUMA, LUMA_BITS
from tests import macho
from tests.cli.support import call
from tests.models import HOST, mlp
from tests.quantize.models import Net

# What the objects may call of the phone's libSystem. All of it is public, and none is on Apple's list of what needs a
# reason ("Describing use of required reason API").
ALLOWED = {
    "_" + name
    for name in (
        "bzero", "clock_gettime", "close", "free", "getrusage", "lseek", "malloc", "memcmp", "memcpy", "memmove",
        "memset", "memset_pattern16", "mmap", "munmap", "open", "pthread_cond_broadcast", "pthread_cond_wait",
        "pthread_create", "pthread_join", "pthread_mutex_lock", "pthread_mutex_unlock", "snprintf", "strcmp", "strlen",
        "strncmp", "sysconf", "sysctlbyname", "truncf", "vsnprintf",
    )
}  # fmt: skip
PLATFORMS = {"ios-arm64": macho.IOS, "ios-arm64_x86_64-simulator": macho.IOS_SIMULATOR}
ARCHS = {"arm64": macho.ARM64, "x86_64": macho.X86_64}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for the phone, with our runtime."""
    folder = tmp_path_factory.mktemp("ios")
    onnx.save(mlp(), folder / "net.onnx")
    edgeort.build(folder / "net.onnx", "iphone15", folder / "b", wish=Wish("cpu", required=True))
    return folder / "b"


def packed(bundle: Path, out: Path) -> tuple[Package, Path]:
    """The package of a bundle, and where it was written."""
    with open_bundle(bundle) as opened:
        made = apple.package(opened, Wishes())
        return made, write_package(out, "ios", opened, made)


@pytest.fixture(scope="module")
def package(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(bundle, tmp_path_factory.mktemp("package") / "p")[1]


def frameworks(package: Path) -> Path:
    return package / "CEdgeort_net.xcframework"


def test_the_framework_says_what_is_in_it(package: Path):
    about = plistlib.loads((frameworks(package) / "Info.plist").read_bytes())
    assert about["CFBundlePackageType"] == "XFWK"
    assert {entry["LibraryIdentifier"] for entry in about["AvailableLibraries"]} == set(PLATFORMS)
    for entry in about["AvailableLibraries"]:
        folder = frameworks(package) / entry["LibraryIdentifier"]
        data = (folder / entry["LibraryPath"]).read_bytes()
        parts = macho.slices(data) if len(entry["SupportedArchitectures"]) > 1 else {macho.ARM64: data}
        assert set(parts) == {ARCHS[arch] for arch in entry["SupportedArchitectures"]}
        assert (entry.get("SupportedPlatformVariant") == "simulator") == (len(parts) > 1)
        # A folder of its own: Xcode puts the headers of all packages in one place.
        headers = folder / entry["HeadersPath"] / "CEdgeort_net"
        modulemap = (headers / "module.modulemap").read_text()
        for header in re.findall(r'header "(.*)"', modulemap):
            assert (headers / header).read_bytes().startswith(b"/* edgeort")


@pytest.mark.parametrize("folder", PLATFORMS)
def test_every_object_is_for_its_platform_and_calls_what_phones_have(package: Path, folder: str):
    data = (frameworks(package) / folder / "libedgeort_net.a").read_bytes()
    for cpu_type, archive in macho.slices(data).items() if folder.endswith("simulator") else ((macho.ARM64, data),):
        names: set[str] = set()
        inside: set[str] = set()
        undefined: set[str] = set()
        for name, body in macho.members(archive):
            if name.startswith("__.SYMDEF"):
                continue
            assert re.fullmatch(r"edgeort\d+\.o", name)
            one = macho.read(body)
            assert (one.cpu, one.platform, one.min_os) == (cpu_type, PLATFORMS[folder], "15.0")
            names |= one.names
            inside |= one.names | one.private
            undefined |= one.undefined
        own = "_edgeort_net_"
        assert {f"{own}{name}" for name in functions(["edgeort.h"])} == {
            name for name in names if "edgeort" in name[:9]
        }
        assert undefined - inside <= ALLOWED
        assert all(name.startswith(own) for name in inside - names), "what C++ has is the package's own, too"


def test_our_own_lint_has_no_warning(package: Path):
    pytest.importorskip("lief", reason="needs lief")
    done = call("lint", frameworks(package), "--json")
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["errors"], found["warnings"]) == (0, 0), found["findings"]


def test_the_plan_and_the_privacy_manifest_are_in_the_app(package: Path, bundle: Path):
    sources = package / "Sources/Edgeort_net"
    assert (sources / "Resources/net.plan").read_bytes() == (bundle / "model.plan").read_bytes()
    privacy = plistlib.loads((sources / "PrivacyInfo.xcprivacy").read_bytes())
    assert privacy["NSPrivacyTracking"] is False and privacy["NSPrivacyAccessedAPITypes"] == []
    text = (package / "Package.swift").read_text()
    for place in re.findall(r'\.copy\("(.*?)"\)', text):
        assert (sources / place).exists()
    assert '.iOS("15.0")' in text and '.binaryTarget(name: "CEdgeort_net", path: "CEdgeort_net.xcframework")' in text


def test_its_readme_is_swift_for_this_model(package: Path):
    text = (package / "README.md").read_text()
    _, shown = re.findall(r"```swift\n(.*?)```", text, re.DOTALL)
    assert 'import Edgeort_net\n\nlet model = try EdgeortModel(named: "net")\n' in shown
    assert "let input0 = try EdgeortTensor(values0, shape: [1, 8])    // [Float]" in shown
    assert 'let output0 = try outputs["y"]!.values(as: Float.self)' in shown and '["x": input0]' in shown
    thrown = set(re.findall(r"`(\.\w+)`", text.partition("EdgeortError")[2]))
    declared = (package / "Sources/Edgeort_net/EdgeortTensor.swift").read_text()
    assert thrown == {f".{name}" for name in re.findall(r"^  case (\w+)\(String\)", declared, re.MULTILINE)}
    (package / "shown.swift").write_text(shown)
    assert not errors(package)
    (package / "shown.swift").unlink()


def test_a_package_has_the_same_bytes_each_time(bundle: Path, package: Path, tmp_path: Path):
    _, again = packed(bundle, tmp_path / "p")
    assert tree(again) == tree(package)


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_plan_for_another_device_serves_as_well(tmp_path: Path):
    onnx.save(mlp(), tmp_path / "net.onnx")
    edgeort.build(tmp_path / "net.onnx", HOST, tmp_path / "b")
    made, _ = packed(tmp_path / "b", tmp_path / "p")
    assert "CEdgeort_net.xcframework/ios-arm64/libedgeort_net.a" in made.contents


@pytest.mark.slow
def test_core_ml_goes_in_as_it_is(tmp_path: Path):
    pytest.importorskip("coremltools", reason="needs coremltools")
    onnx.save(mlp(batch=1), tmp_path / "net.onnx")
    edgeort.build(tmp_path / "net.onnx", "iphone15", tmp_path / "b", wish=Wish("coreml", required=True))
    made, place = packed(tmp_path / "b", tmp_path / "p")
    inside = tree(place / "Sources/Edgeort_net/Resources/net.mlpackage")
    assert inside == tree(tmp_path / "b/model/model.mlpackage") and "Manifest.json" in inside
    assert not frameworks(place).exists() and "CEdgeort" not in (place / "Package.swift").read_text()
    text = (place / "Sources/Edgeort_net/Models.swift").read_text()
    assert 'EdgeortValue(name: "x", type: .float32, shape: [1, 8]), feature: "x")' in text
    assert not errors(place)


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "kind"), [(3, "color"), (1, "gray")])
def test_core_ml_takes_pictures(tmp_path: Path, channels: int, kind: str):
    pytest.importorskip("coremltools", reason="needs coremltools")
    net = Net()
    pooled = net.op("GlobalAveragePool", net.conv("x", channels, 8, 3))
    onnx.save(net.model(pooled, [1, channels, 20, 30], [1, 8, 1, 1]), tmp_path / "net.onnx")
    colors = "rgb" if channels == 3 else "gray"
    recipe = parse(f"resize 20x30; {colors}; scale=1/255; mean=0.5; std=0.25")
    wish = Wish("coreml", required=True)
    edgeort.build(tmp_path / "net.onnx", "iphone15", tmp_path / "b", wish=wish, preprocess=recipe)
    _, place = packed(tmp_path / "b", tmp_path / "p")
    text = (place / "Sources/Edgeort_net/Models.swift").read_text()
    assert f'type: .uint8, shape: [20, 30, 4]), feature: "x", picture: .{kind})' in text
    assert (place / "Sources/Edgeort_net/CoreMLPicture.swift").exists() and not errors(place)


def test_a_bundle_of_another_engine_is_refused(bundle: Path):
    from dataclasses import replace

    with open_bundle(bundle) as opened:
        opened.manifest = replace(opened.manifest, provider="openvino")
        with pytest.raises(UnsupportedError, match="runs by openvino on ios") as caught:
            apple.package(opened, Wishes())
    assert "--device iphone15 --provider cpu" in str(caught.value.hint)


def errors(package: Path) -> list[str]:
    """Every place where a grammar of Swift finds no Swift."""
    for name in ("tree_sitter", "tree_sitter_swift"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name.replace('_', '-')}")
    import tree_sitter
    import tree_sitter_swift

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    found = []
    for path in sorted(package.rglob("*.swift")):
        nodes = [parser.parse(path.read_bytes()).root_node]
        while nodes:
            node = nodes.pop()
            if node.is_error or node.is_missing:
                found.append(f"{path.name}:{node.start_point[0] + 1}: {node.text!r}")
            nodes += node.children
    return found


def test_swift_parses(package: Path):
    assert not errors(package)
    assert {path.name for path in package.rglob("*.swift")} == {
        *("Package.swift", "Models.swift", "EdgeortModel.swift", "EdgeortTensor.swift"),
        *("EdgeortPicture.swift", "PlanEngine.swift"),
    }


def test_swift_makes_the_same_grey():
    text = (Path(swift.__file__).parent / "CoreMLPicture.swift").read_text()
    (formula,) = re.findall(r"UInt8\(\((.*)\) >> (\d+)\)", text)
    assert tuple(map(int, re.findall(r"\* (\d+)", formula[0]))) == LUMA and int(formula[1]) == LUMA_BITS
    assert int(formula[0].rpartition(" + ")[2], 16) == 1 << (LUMA_BITS - 1)


def test_the_examples_app_parses():
    app = Path(__file__).parents[3] / "examples/ios/Classifier.swiftpm"
    assert len(list(app.glob("*.swift"))) == 4 and not errors(app)


def test_from_the_command_line(bundle: Path, package: Path, tmp_path: Path):
    done = call("package", bundle, "--ios", "-o", tmp_path / "p")
    assert done.exit_code == 0, done.stderr
    assert "no device of Apple's" in done.stdout and tree(tmp_path / "p") == tree(package)
    told = json.loads(call("package", bundle, "--ios", "-o", tmp_path / "p", "--json").stdout)
    assert (told["kind"], told["name"]) == ("ios", "net")
    assert told["files"]["Sources/Edgeort_net/Resources/net.plan"] > 1000
    both = call("package", bundle, "--ios", "--android")
    assert both.exit_code == 2 and "2 packages are asked for" in both.stderr


@pytest.mark.parametrize(
    ("text", "swift_text"), [("a b", '"a b"'), ('"\\(x)', r'"\u{22}\u{5c}(x)"'), ("é\n", r'"é\u{a}"')]
)
def test_any_name_is_a_string_of_swift(text: str, swift_text: str):
    assert swift.literal(text) == swift_text


@pytest.mark.parametrize(
    ("model", "module"), [("net", "Edgeort_net"), ("Net-2.1 (int8)", "Edgeort_net_2_1_int8"), ("3d", "Edgeort_3d")]
)
def test_a_module_is_named_after_its_model(bundle: Path, model: str, module: str):
    with open_bundle(bundle) as opened:
        made = swift.Model(model, opened)
        assert (made.module, made.c_module) == (module, f"C{module}")


def test_c_is_compiled_to_the_names_of_the_package(package: Path, tmp_path: Path):
    source, made = tmp_path / "app.c", tmp_path / "app.o"
    source.write_text('#include "edgeort.h"\nint f(void) { return edgeort_abi() == EDGEORT_ABI; }\n')
    headers = frameworks(package) / "ios-arm64/Headers/CEdgeort_net"
    zig.run(["-target", "aarch64-ios.15.0", "-c", "-I", str(headers), str(source), "-o", str(made)])
    assert macho.read(made.read_bytes()).undefined == {"_edgeort_net_edgeort_abi"}


def test_universal_files():
    parts = {"aarch64": b"arm" * 5, "x86_64": b"intel"}
    assert macho.slices(fat.join(parts)) == {macho.ARM64: b"arm" * 5, macho.X86_64: b"intel"}
    assert fat.join({"aarch64": b"one"}) == b"one"


def test_the_dtypes_of_swift_are_those_of_the_header():
    header = (Path(cpu.toolchain.RUNTIME) / "include/edgeort.h").read_text()
    text = (Path(swift.__file__).parent / "EdgeortTensor.swift").read_text()
    numbers = {name.lower(): int(number) for name, number in re.findall(r"EDGEORT_(\w+) = (\d+)", header)}
    short = {"float": "f", "uint": "u", "int": "i", "bool": "bool"}
    cases = re.findall(r"case (float|uint|int|bool)(\d*) = (\d+)", text)
    assert len(cases) == 12 and f"case string = {numbers['string']}\n" in text
    for kind, bits, number in cases:
        assert numbers[short[kind] + bits] == int(number)
