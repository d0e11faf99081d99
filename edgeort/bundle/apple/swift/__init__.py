"""The Swift of a package: the sources that stand here, and what is written for the model."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.bundle.reading import Bundle

# What EdgeortType (EdgeortTensor.swift) has.
TYPES = frozenset(
    ["float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "bool", "float16", "float64", "uint32", "uint64"]
    + ["string"]
)
_COMMON = ("EdgeortModel", "EdgeortPicture", "EdgeortTensor")
_ENGINES = {"cpu": ("PlanEngine",), "coreml": ("CoreMLEngine", "CoreMLPicture")}
_OLDEST = "15.0"  # of the targets in targets.py

_PACKAGE = """\
// swift-tools-version:5.7
import PackageDescription

let package = Package(
  name: "{module}",
  platforms: [.iOS("{min_os}")],
  products: [.library(name: "{module}", targets: ["{module}"])],
  targets: [
{binary}    .target(
      name: "{module}",{depends}
      resources: [.copy({resource}), .copy("PrivacyInfo.xcprivacy")])
  ]
)
"""
_MODELS = """\
import Foundation

extension EdgeortModel {{
  /// The models of this package.
  public static let names = [{name}]

  static func open(_ name: String, threads: Int) throws -> EdgeortEngine {{
    switch name {{
    case {name}:
      return {engine}
    default:
      throw EdgeortError.model("there is no model \\(name); there are \\(names)")
    }}
  }}

  /// The file of that name, with the first of the extensions that there is.
  private static func resource(_ name: String, _ extensions: String...) throws -> URL {{
    for one in extensions {{
      if let found = Bundle.module.url(forResource: name, withExtension: one) {{ return found }}
    }}
    throw EdgeortError.model("\\(name).\\(extensions[0]) is not in the app")
  }}
}}
"""


@dataclass(frozen=True)
class Model:
    """A model of the package: what it is called there, and its bundle."""

    name: str
    bundle: Bundle

    @property
    def module(self) -> str:
        """What Swift imports: `Edgeort_` and the model's name in lower case letters, digits and underscores."""
        name = re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")
        return f"Edgeort_{name or 'model'}"

    @property
    def c_module(self) -> str:
        """The module of edgeort.h."""
        return f"C{self.module}"

    @property
    def sources(self) -> str:
        """Where the module is in the package."""
        return f"Sources/{self.module}"

    @property
    def resources(self) -> str:
        """The folder of the model."""
        return f"{self.sources}/Resources"

    @property
    def is_plan(self) -> bool:
        """Whether our runtime runs it; else Core ML."""
        return self.bundle.manifest.provider == "cpu"

    @property
    def file(self) -> str:
        """The name of the resource. A package of Core ML is copied as it is, and compiled when it is opened."""
        return f"{self.name}.plan" if self.is_plan else f"{self.name}.mlpackage"

    @property
    def min_os(self) -> str:
        """The oldest iOS that it runs on."""
        found = re.search(r"ios(\d+\.\d+)", self.bundle.manifest.target.triple)
        return _OLDEST if self.is_plan or not found else max(_OLDEST, found[1], key=_version)


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def sources(model: Model) -> dict[str, str]:
    """The files of the module that stand here, by name, with what they import called as it is in the package."""
    names = (f"{name}.swift" for name in (*_COMMON, *_ENGINES[model.bundle.manifest.provider]))
    texts = {name: Path(__file__).with_name(name).read_text(encoding="utf-8") for name in names}
    return {name: text.replace("import CEdgeort\n", f"import {model.c_module}\n") for name, text in texts.items()}


def package_file(model: Model) -> str:
    """Package.swift."""
    binary = f'    .binaryTarget(name: "{model.c_module}", path: "{model.c_module}.xcframework"),\n'
    return _PACKAGE.format(
        module=model.module,
        min_os=model.min_os,
        binary=binary if model.is_plan else "",
        depends=f'\n      dependencies: ["{model.c_module}"],' if model.is_plan else "",
        resource=literal(f"Resources/{model.file}"),
    )


def models_file(model: Model) -> str:
    """Models.swift: how the model is opened."""
    name = literal(model.name)
    if model.is_plan:
        threads = f"threads == 0 ? {model.bundle.manifest.threads} : threads"
        engine = f'try PlanEngine(plan: resource({name}, "plan"), threads: {threads})'
    else:
        told = json.loads((model.bundle.artefact.parent / "features.json").read_text(encoding="utf-8"))
        inputs, outputs = (_features(told[key]) for key in ("inputs", "outputs"))
        package = f'resource({name}, "mlmodelc", "mlpackage")'
        engine = (
            f"try CoreMLEngine(\n        package: {package},\n        inputs: {inputs},\n        outputs: {outputs})"
        )
    return _MODELS.format(name=name, engine=engine)


def _features(features: Sequence[dict[str, Any]]) -> str:
    lines = []
    for one in features:
        dtype, shape, picture = one["dtype"], one["shape"] or [1], ""
        if dtype == "image":  # given as pictures are to models that take them: red, green, blue, alpha
            _, channels, height, width = shape
            dtype, shape, picture = "uint8", [height, width, 4], f", picture: .{'gray' if channels == 1 else 'color'}"
        dims = ", ".join(str(dim) if isinstance(dim, int) else "-1" for dim in shape)
        value = f"EdgeortValue(name: {literal(one['name'])}, type: .{dtype}, shape: [{dims}])"
        lines.append(f"CoreMLFeature(value: {value}, feature: {literal(one['feature'])}{picture})")
    return "[\n          " + ",\n          ".join(lines) + "\n        ]"


def literal(text: str) -> str:
    """A string of Swift, whatever is in it."""
    plain = (c if c.isprintable() and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text)
    return f'"{"".join(plain)}"'
