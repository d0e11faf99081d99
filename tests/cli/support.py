"""Calls the command line in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner, Result

import edgeort
from edgeort.cli.app import app
from tests.models import HOST, mlp, model

RUNNER = CliRunner()


def call(*arguments: object) -> Result:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with m.onnx, x.npy for it, and its bundle b for this machine."""
    place = tmp_path_factory.mktemp("cli")
    onnx.save(mlp(), place / "m.onnx")
    np.save(place / "x.npy", np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8))
    edgeort.build(place / "m.onnx", HOST, place / "b")
    return place


def with_odd_operator() -> onnx.ModelProto:
    found = model([helper.make_node("Frob", ["x"], ["y"], domain="odd", name="n7")], [("x", [2])], [("y", [2])])
    found.opset_import.append(helper.make_opsetid("odd", 1))
    return found
