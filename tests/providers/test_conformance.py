"""What every provider has to do, whoever it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import edgeort
from edgeort import device_profiles
from edgeort.device_profiles.profile import PROVIDER_OSES
from edgeort.errors import EdgeortError, ShapeError, UnsupportedError
from edgeort.pipeline import Wish
from edgeort.providers import PROVIDERS, Made, Provider, provider
from tests.cli.support import with_odd_operator
from tests.models import mlp
from tests.providers.support import cleaned, noise_db, request

PROFILES = [device_profiles.load(name) for name in device_profiles.names() if name != "host"]


def made_by(one: Provider, graph: ir.Model) -> Made:
    """Its artefact for the first profile that it serves; skips where this machine lacks what it needs."""
    if reason := one.missing():
        pytest.skip(reason)
    for profile in (device_profiles.load("host"), *PROFILES):
        if one.cannot_serve(request(profile)) is None:
            return one.make(graph, request(profile))
    raise AssertionError(f"{one.name} serves no profile")


def bytes_of(made: Made) -> dict[str, bytes]:
    return {name: file if isinstance(file, bytes) else file.read_bytes() for name, file in made.files.items()}


def test_profiles_may_name_these_and_no_others():
    assert {one.name for one in PROVIDERS} == set(PROVIDER_OSES)


@pytest.mark.parametrize("one", PROVIDERS, ids=lambda one: one.name)
def test_it_serves_the_profiles_that_name_it(one: Provider):
    for profile in PROFILES:
        if one.name in profile.runtime.providers and one.name != "cpu":
            assert one.cannot_serve(request(profile)) is None, profile.name


@pytest.mark.parametrize("one", PROVIDERS, ids=lambda one: one.name)
def test_it_refuses_other_systems_with_a_reason(one: Provider):
    for profile in PROFILES:
        if profile.target.os not in PROVIDER_OSES[one.name]:
            assert one.cannot_serve(request(profile))


@pytest.mark.parametrize("one", PROVIDERS, ids=lambda one: one.name)
def test_the_artefact_is_whole_and_the_same_each_time(one: Provider, tmp_path: Path):
    graph = cleaned(mlp(batch=2), tmp_path)
    before = ir.to_proto(graph).SerializeToString()
    made = made_by(one, graph)
    assert ir.to_proto(graph).SerializeToString() == before, "the graph was changed"
    assert made.provider == one.name and {node.provider for node in made.nodes} == {one.name}
    assert [(v.name, v.dtype, tuple(v.shape or ())) for v in made.inputs] == [("x", "float32", (2, 8))]
    assert [v.name for v in made.outputs] == ["y"]
    for role in filter(None, (made.model, made.library, made.harness)):
        assert any(name == role or name.startswith(f"{role}/") for name in made.files), role
    assert (made.min_sqnr_db is None) == (one.name == "cpu")
    assert all("==" in line for line in made.requirements)
    assert bytes_of(made) == bytes_of(made_by(one, graph))


@pytest.mark.parametrize("one", PROVIDERS, ids=lambda one: one.name)
def test_a_node_that_it_cannot_take_is_named(one: Provider):
    if reason := one.missing():
        pytest.skip(reason)
    graph = ir.from_proto(with_odd_operator())
    asked = request(next(p for p in (*PROFILES, device_profiles.load("host")) if one.cannot_serve(request(p)) is None))
    refused = one.refusals(graph, asked)
    assert [(r.node, "Frob" in r.op) for r in refused] == [("n7", True)] and refused[0].reason
    with pytest.raises(UnsupportedError, match="Frob"):
        one.make(graph, asked)


@pytest.mark.parametrize("one", PROVIDERS, ids=lambda one: one.name)
def test_its_bundle_runs_here_where_it_can(one: Provider, tmp_path: Path):
    onnx.save(mlp(), tmp_path / "m.onnx")
    profile = next((p for p in (device_profiles.load("host"), *PROFILES) if _is_here(p, one)), None)
    if profile is None:
        pytest.skip(one.missing() or f"{one.name} serves no device of this machine's system")
    wish = Wish(one.name, required=True)
    result = edgeort.build(tmp_path / "m.onnx", profile, tmp_path / "b", shapes={"x": [3, 8]}, wish=wish)
    assert result.provider == one.name
    if result.measurement is None:
        pytest.skip(result.checked_on)
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
    assert noise_db(tmp_path / "b", tmp_path / "m.onnx", {"x": x}) > 90


@pytest.mark.parametrize("one", PROVIDERS, ids=lambda one: one.name)
def test_free_dimensions_stay_free_or_are_refused(one: Provider, tmp_path: Path):
    graph = cleaned(mlp(), tmp_path)
    try:
        made = made_by(one, graph)
    except (UnsupportedError, ShapeError) as error:
        assert "x" in str(error) and "--shape x=" in str(error.hint)
    else:
        assert made.inputs[0].shape == ("N", 8)


def _is_here(profile: device_profiles.Profile, one: Provider) -> bool:
    host = device_profiles.load("host").target
    here = (profile.target.os, profile.target.arch) == (host.os, host.arch)
    return here and one.cannot_serve(request(profile)) is None and one.missing() is None


def test_an_unknown_name_is_an_error():
    with pytest.raises(EdgeortError, match="unknown provider 'gpu'; known are cpu"):
        provider("gpu")


def test_strings_are_for_the_cpu(tmp_path: Path):
    text = '<ir_version: 9, opset_import: ["": 17]> g (string[3] x) => (string[3] y) { y = Identity (x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b")
    with edgeort.InferenceSession(tmp_path / "b", threads=1) as session:
        assert session.run(None, {"x": np.array(["a", "", "é"])})[0].tolist() == ["a", "", "é"]
        assert session.get_inputs()[0].type == "tensor(string)"


def test_complex_numbers_are_refused_by_all(tmp_path: Path):
    text = '<ir_version: 9, opset_import: ["": 17]> g (complex64[3] x) => (complex64[3] y) { y = Identity (x) }'
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="complex64"):
        edgeort.build(tmp_path / "m.onnx", "host", tmp_path / "b")
    assert not (tmp_path / "b").exists()
