"""AndroidManifest.xml, as text (in an .aar) or compiled (in an .apk)."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.parsers.expat import ExpatError

from edgeort.errors import InputError
from edgeort.lint.readers.binary_xml import Element, Value, elements
from edgeort.lint.subjects import Manifest

_MOST_BYTES = 16 << 20
# Of android.R.attr: these numbers never change, and names in a compiled file may be missing.
_ATTRIBUTES = {
    "minSdkVersion": 0x0101020C,
    "targetSdkVersion": 0x01010270,
    "extractNativeLibs": 0x010104EA,
    "debuggable": 0x0101000F,
    "testOnly": 0x01010272,
}


def read(data: bytes, where: str) -> Manifest:
    """What rules ask of a manifest. InputError where it is none."""
    if len(data) > _MOST_BYTES:
        raise InputError(f"{where}: larger than {_MOST_BYTES >> 20} MiB")
    found = elements(data, where) if data[:2] == b"\3\0" else _text(data, where)
    if not found or found[0][0] != "manifest":
        raise InputError(f"{where}: its first element is not <manifest>")
    return Manifest(
        package=_string(_first(found, "manifest").get("package")),
        min_sdk=_number(_attribute(found, "uses-sdk", "minSdkVersion")),
        target_sdk=_number(_attribute(found, "uses-sdk", "targetSdkVersion")),
        extracts_libraries=_truth(_attribute(found, "application", "extractNativeLibs")),
        is_debuggable=bool(_truth(_attribute(found, "application", "debuggable"))),
        is_test_only=bool(_truth(_attribute(found, "application", "testOnly"))),
    )


def _text(data: bytes, where: str) -> list[Element]:
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ExpatError, ValueError, LookupError) as error:
        raise InputError(f"{where}: not XML: {error}") from error
    return [(one.tag, {name.rpartition("}")[2]: value for name, value in one.attrib.items()}) for one in root.iter()]


def _first(found: list[Element], tag: str) -> dict[str | int, Value]:
    return next((attributes for name, attributes in found if name == tag), {})


def _attribute(found: list[Element], tag: str, name: str) -> Value:
    attributes = _first(found, tag)
    return attributes.get(_ATTRIBUTES[name], attributes.get(name))


def _string(value: Value) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Value) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _truth(value: Value) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value)
    return None if value is None else bool(value)
