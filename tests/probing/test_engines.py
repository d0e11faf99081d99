"""The rates of other engines on this machine, from few blocks in little time."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeort import device_profiles, probing, providers
from edgeort.bench.predicting import RUN
from edgeort.device_profiles import Measured
from edgeort.devices import open_transport
from edgeort.errors import DeviceError, UnsupportedError
from edgeort.probing import blocks, engines
from tests.cli.support import call

PEAKS = Measured("2026-11-29", 1, 100.0, 100.0, 200.0, 200.0, 10.0, 10.0)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of each kind that names another kernel."""
    kept = [shape_and_block for shape_and_block in blocks.BLOCKS if max(shape_and_block[0][1:]) < 200]
    monkeypatch.setattr(blocks, "BLOCKS", tuple(kept[::6]))
    monkeypatch.setattr(blocks, "WHOLE", blocks.WHOLE[:2])


@pytest.mark.parametrize("name", ["openvino", "litert"])
def test_blocks_run_by_other_engines(name: str, few: None):
    provider = providers.provider(name)
    if provider.missing():
        pytest.skip(str(provider.missing()))
    host = device_profiles.load("host")
    with open_transport("local") as there:
        version, found = engines.measure(provider, there, host, PEAKS, 16, lambda _: None)
    assert version == provider.describe()
    ops = {rate.op for rate in found.kernels}
    assert RUN in ops and {"Conv", "DepthwiseConv"} & ops and any(op.startswith("Q") for op in ops)
    assert {rate.threads for rate in found.kernels} == {1}
    assert {block for block, _, _ in found.networks} == {"float32/w0", "float32/w1", "int8/w0", "int8/w1"}
    assert found.error >= 0


def test_engines_that_do_not_run_there_say_why():
    host = device_profiles.load("host")
    with open_transport("local") as there:
        with pytest.raises(UnsupportedError, match="it does not run on linux"):
            engines.measure(providers.provider("directml"), there, host, PEAKS, 8, lambda _: None)
        if providers.provider("cuda").not_here():
            with pytest.raises(DeviceError, match="cuda does not run on this machine"):
                engines.measure(providers.provider("cuda"), there, host, PEAKS, 8, lambda _: None)


def test_a_profile_keeps_them(few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The probe's own kernels take most of the time of a probe: here only the engine's are timed."""
    provider = providers.provider("openvino")
    if provider.missing():
        pytest.skip(str(provider.missing()))
    monkeypatch.setattr(probing, "_add_kernels", lambda found, watch, say: ())
    monkeypatch.setattr(probing, "Stopwatch", lambda *_: None)
    monkeypatch.setattr(engines, "candidates", lambda: [provider, providers.provider("directml")])
    done = call("profiles", "probe", "-o", tmp_path / "here.toml", "--ms", 16)
    assert done.exit_code == 0, done.stderr
    measured = device_profiles.load(tmp_path / "here.toml").measured
    assert measured is not None
    (rates,) = measured.engines
    assert (rates.provider, rates.version) == ("openvino", provider.describe())
    assert rates == measured.engine("openvino") and measured.engine("litert") is None
    said = " ".join(done.stdout.split())
    assert f"openvino {rates.version}, predictions off by {rates.error:.0%} in the median" in said
    assert "directml not measured: it does not run on" in said
    text = (tmp_path / "here.toml").read_text()
    assert "[[measured.engine.kernel]]" in text and "networks that the rates were not found on" in text
