"""licences/: for each system what is in its bundle, and a bill of materials that CycloneDX's own schema takes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgeort.bundle import Manifest, notices
from edgeort.bundle.manifest import Target
from edgeort.providers import Part
from tests.bundle.test_bundle import MANIFEST
from tests.cli.support import call

ENGINE = Part("Engine", "MIT OR Apache-2.0", "https://example.org", "lib/, the engine", "1.2")


def bill(manifest: Manifest, *others: Part) -> dict:
    return json.loads(notices.files(manifest, others)[notices.SBOM])


@pytest.mark.parametrize("system", ["linux", "android", "windows", "macos", "ios"])
def test_each_system_lists_what_is_in_it(system: str):
    manifest = replace(MANIFEST, target=Target(system, "aarch64", "t", ("neon",)))
    names = [component["name"] for component in bill(manifest)["components"]]
    assert names[:2] == ["m", "edgeort"]
    assert ("musl" in names) == (system in ("linux", "android"))
    assert ("MinGW-w64 runtime" in names) == (system == "windows")
    text = notices.files(manifest)[notices.NOTICE].decode()
    assert all(name in text for name in names[1:])


def test_the_model_and_others_parts():
    found = bill(replace(MANIFEST, model_licence="CC-BY-4.0"), ENGINE)
    model, engine = found["components"][0], found["components"][-1]
    assert model["licenses"] == [{"expression": "CC-BY-4.0"}]
    assert (engine["name"], engine["version"], engine["licenses"]) == (
        "Engine",
        "1.2",
        [{"expression": "MIT OR Apache-2.0"}],
    )
    assert set(found["dependencies"][0]["dependsOn"]) == {c["bom-ref"] for c in found["components"]}


def test_the_same_manifest_gives_the_same_bytes_and_another_another_number():
    assert notices.files(MANIFEST) == notices.files(MANIFEST)
    assert bill(MANIFEST)["serialNumber"] != bill(replace(MANIFEST, model="n"))["serialNumber"]


def test_cyclonedx_takes_it():
    pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib[json-validation] is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    manifest = replace(MANIFEST, model_sha256="0" * 64, model_licence="MIT")
    raw = notices.files(manifest, (ENGINE,))[notices.SBOM].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(raw) is None
    wrong = raw.replace('"libr', '"lubr')
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(wrong) is not None


def test_a_licence_that_is_none_is_refused(tmp_path):
    result = call("build", "--device", "host", "-o", tmp_path / "b", "--model-license", "mine & yours")
    assert result.exit_code == 2 and "no SPDX expression" in result.stderr
