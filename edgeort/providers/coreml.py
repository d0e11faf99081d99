"""Core ML, Apple's engine: an ML program that Xcode and Core ML take. It is made on any system and run on Apple's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx_ir as ir

from edgeort.compiling import signature
from edgeort.converters import coreml
from edgeort.errors import InputError
from edgeort.providers import adapted
from edgeort.providers.provider import Made, Provider, Refusal, Request

NAME = "coreml"
_INSTALL = "pip install 'edgeort[coreml]'"
_PACKAGE = f"{adapted.FOLDER}/model.mlpackage"
_CHOICES = {"precision": ("float16", "float32"), "weights": ("float", "int8", "palette4")}
_MIN_OS = {"ios": "15.0", "macos": "12.0"}
FLOAT16_DB = 35.0  # what a program that computes in float16 is from float32, at least


class CoreMl(Provider):
    """See the module. Its `options` are `precision` (float16, float32) and `weights` (float, int8, palette4)."""

    name = NAME

    def missing(self) -> str | None:
        """The coremltools package."""
        return None if adapted.installed("coremltools") else f"coremltools is not installed: {_INSTALL}"

    def describe(self) -> str:
        """The package's version."""
        return f"coremltools {adapted.installed('coremltools')}: packages are made here, and run on macOS and iOS"

    def cannot_serve(self, request: Request) -> str | None:
        """It is on Apple's systems."""
        target = request.profile.target
        if target.os not in _MIN_OS:
            return f"it does not run on {target.os}/{target.arch}"
        return adapted.unwanted(replace(request, front=None))  # a recipe becomes an image input

    def refusals(self, graph: ir.Model, request: Request) -> list[Refusal]:
        """What has no operation in Core ML."""
        return [adapted.refusal(node, reason) for node, reason in coreml.refusals(graph, _options(request))]

    def make(self, graph: ir.Model, request: Request) -> Made:
        """The .mlpackage, and the names that its inputs and outputs have in it."""
        options = _options(request)
        with request.stages.stage("convert"):
            package = coreml.emit(graph, options)
        files: dict[str, Any] = {f"{_PACKAGE}/{name}": data for name, data in package.files().items()}
        files[f"{adapted.FOLDER}/features.json"] = _names(package)
        exact = options.precision == "float32" and options.weights == "float" and not adapted.is_quantised(graph)
        near = adapted.FLOAT_DB if exact else FLOAT16_DB
        return Made(
            NAME,
            f"{request.profile.target.arch}-apple-{options.os}{options.min_os}",
            files,
            _PACKAGE,
            "",
            "",
            *signature(graph),
            adapted.nodes_of(graph, NAME, options.precision),
            min_sqnr_db=adapted.QUANTISED_DB if adapted.is_quantised(graph) or options.weights != "float" else near,
            tools={"coremltools": str(adapted.installed("coremltools"))},
            refused=(*_resizing(request), *(f"{node}: {sentence}" for node, sentence in package.notes)),
            takes_pictures=False,
        )


def _options(request: Request) -> coreml.Options:
    """What the build asks for. InputError names an option that there is not."""
    asked: Mapping[str, str] = request.options
    for key, value in asked.items():
        if value not in _CHOICES.get(key, ()):
            known = ", ".join(f"{name}={'|'.join(values)}" for name, values in _CHOICES.items())
            raise InputError(f"--provider-option {key}={value}: Core ML's are {known}")
    target, front = request.profile.target, request.front
    return coreml.Options(
        os=target.os,
        min_os=target.min_os or _MIN_OS.get(target.os, "15.0"),
        image=None if front is None else front.recipe,
        **asked,  # type: ignore[arg-type]
    )


def _resizing(request: Request) -> list[str]:
    """What of a recipe for pictures is not in the package."""
    front = request.front
    if front is None:
        return []
    size = "" if front.form.size is None else " of {}x{}".format(*front.form.size)
    return [f"{front.form.name}: Core ML takes an image{size}; to resize and to crop is the app's part (Vision)"]


def _names(package: coreml.Package) -> bytes:
    both = {"inputs": package.inputs, "outputs": package.outputs}
    told = {key: [feature._asdict() for feature in features] for key, features in both.items()}
    return (json.dumps(told, indent=2, sort_keys=True) + "\n").encode()
