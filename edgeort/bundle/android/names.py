"""What the code and the files of a package are called: by its model, so that an app may hold several packages."""

from __future__ import annotations

import re

# Words that no part of a Java package may be (Java Language Specification 3.9), and Kotlin's hard keywords.
RESERVED = frozenset({
    "abstract", "as", "assert", "boolean", "break", "byte", "case", "catch", "char", "class", "const", "continue",
    "default", "do", "double", "else", "enum", "extends", "false", "final", "finally", "float", "for", "fun", "goto",
    "if", "implements", "import", "in", "instanceof", "int", "interface", "is", "long", "native", "new", "null",
    "object", "package", "private", "protected", "public", "return", "short", "static", "strictfp", "super", "switch",
    "synchronized", "this", "throw", "throws", "transient", "true", "try", "typealias", "typeof", "val", "var",
    "void", "volatile", "when", "while",
})  # fmt: skip


def identifier(model: str) -> str:
    """The model's name in lower case letters, digits and underscores: `mobilenetv2_100`."""
    name = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_") or "model"
    return f"model_{name}" if name[0].isdigit() or name in RESERVED else name


def java_package(model: str) -> str:
    """`edgeort.mobilenetv2_100`."""
    return f"edgeort.{identifier(model)}"


def library(model: str) -> str:
    """As System.loadLibrary takes it: `edgeort_mobilenetv2_100`."""
    return f"edgeort_{identifier(model)}"


def asset(model: str) -> str:
    """The plan among the assets: `edgeort/mobilenetv2_100.plan`."""
    return f"edgeort/{identifier(model)}.plan"
