"""Requests and bundles for the tests of providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

import edgeort
from edgeort import device_profiles
from edgeort import model as models
from edgeort.bundle import golden
from edgeort.comparison import sqnr_db
from edgeort.device_profiles import Profile
from edgeort.pipeline.walk import Walk
from edgeort.providers import Request
from edgeort.validate import reference_outputs


def request(profile: Profile | str = "host", options: Mapping[str, str] | None = None, **changes: object) -> Request:
    """What a build for that device asks for."""
    device = device_profiles.load(profile) if isinstance(profile, str) else profile
    found = {"threads": 1, "io_layout": "nchw", "ram_limit": None, **changes}
    return Request(device, stages=Walk(None, None), options=options or {}, **found)  # type: ignore[arg-type]


def cleaned(model: onnx.ModelProto, folder: Path) -> ir.Model:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return models.clean(models.load(path))


@contextmanager
def session(bundle: Path) -> Iterator[edgeort.InferenceSession]:
    with edgeort.InferenceSession(bundle, threads=1) as found:
        yield found


def noise_db(bundle: Path, model: Path, feeds: Mapping[str, np.ndarray] | None = None) -> float:
    """The least SQNR of a bundle's outputs against ONNX Runtime's on the same model."""
    with session(bundle) as found:
        inputs = feeds or golden.make_inputs(found.get_inputs())
        ours = found.run(None, inputs)
    return min(sqnr_db(a, b) for a, b in zip(ours, reference_outputs(model, inputs), strict=True))
