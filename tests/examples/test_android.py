"""examples/android: the app fits the package that `edgeort package` writes, as far as can be told without the SDK."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from edgeort.bundle.android import compiling, module, names
from tests.bundle.test_bundle import MANIFEST

APP = Path(__file__).parents[2] / "examples/android"
STUBS = Path(__file__).parent / "android"  # of what the app calls of Android and of kotlinx.coroutines


def test_every_xml_file_is_one():
    files = sorted(APP.rglob("*.xml"))
    assert {path.name for path in files} == {"AndroidManifest.xml", "strings.xml"}
    for path in files:
        ET.parse(path)


def test_texts_are_there():
    strings = ET.parse(APP / "app/src/main/res/values/strings.xml").getroot()
    named = {str(entry.get("name")) for entry in strings}
    used = set()
    for path in (path for suffix in ("kt", "xml") for path in (APP / "app").rglob(f"*.{suffix}")):
        used |= set(re.findall(r"(?:R\.|@)string[./](\w+)", path.read_text()))
    assert used == named


def test_it_stores_the_plan_as_it_is_and_asks_for_no_older_android():
    gradle = (APP / "app/build.gradle.kts").read_text()
    assert 'noCompress += "plan"' in gradle
    assert int(re.findall(r"minSdk = (\d+)", gradle)[0]) >= module.MIN_SDK


def test_gradle_finds_the_package_where_the_readme_puts_it():
    settings, told = (APP / "settings.gradle.kts").read_text(), (APP / "README.md").read_text()
    assert 'file("package/classifier")' in settings and "--android -o package" in told
    assert 'include(":classifier")' in settings


@pytest.mark.slow
def test_it_compiles_over_the_package_of_a_model_called_classifier(tmp_path: Path):
    for program in ("javac", "kotlinc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    activity = APP / "app/src/main/kotlin/edgeort/example/MainActivity.kt"
    assert f"import {names.java_package('classifier')}.EdgeortModel" in activity.read_text()
    sources = module.sources(dataclasses.replace(MANIFEST, model="classifier"))
    jar = tmp_path / "classes.jar"
    jar.write_bytes(compiling.classes_jar(sources, "classifier"))
    subprocess.run(["javac", "-d", tmp_path / "android", *sorted(compiling.STUBS.rglob("*.java"))], check=True)
    kotlinc = ["kotlinc", "-nowarn", "-cp", f"{jar}:{tmp_path / 'android'}", "-d", tmp_path / "app"]
    subprocess.run([*kotlinc, activity, *sorted(STUBS.glob("*.kt"))], check=True)
    assert (tmp_path / "app/edgeort/example/MainActivity.class").is_file()
