"""examples/android: the app fits the package that `edgeort package` writes, as far as can be told without the SDK."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from edgeort.bundle.android import module

APP = Path(__file__).parents[2] / "examples/android"


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
