"""Silero VAD, a stream of chunks with its state fed back, gives ONNX Runtime's probabilities and state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.real_models.find import find
from tests.real_models.test_against_onnxruntime import compiled

pytestmark = pytest.mark.slow

CHUNKS = 24
# Sampling rate in Hz -> samples of a chunk, and of the chunk before that come in front of it.
FRAMES = {16000: (512, 64), 8000: (256, 32)}


def voice(samples: int, rate: int) -> np.ndarray:
    """A buzz with two formants, on and off, over noise: float32 in -1..1, which the model takes for speech."""
    rng = np.random.default_rng(rate)
    t = np.arange(samples) / rate
    buzz = sum(a * np.sin(2 * np.pi * f * t) for f, a in ((140, 0.3), (280, 0.2), (560, 0.15), (2300, 0.1)))
    return ((np.sin(2 * np.pi * 1.3 * t) > 0) * buzz + 0.01 * rng.standard_normal(samples)).astype(np.float32)


def frames(rate: int, batch: int) -> list[np.ndarray]:
    """What the model is fed, chunk by chunk: float32 [batch, context + chunk]; each voice of the batch is later."""
    chunk, context = FRAMES[rate]
    sound = np.stack([voice(chunk * (CHUNKS + batch), rate)[chunk * i :][: chunk * CHUNKS] for i in range(batch)])
    padded = np.pad(sound, ((0, 0), (context, 0)))
    return [np.ascontiguousarray(padded[:, chunk * i :][:, : chunk + context]) for i in range(CHUNKS)]


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        # The original chooses by `sr`, in an If, between two networks; one engine hears both, and two sizes of batch.
        ("silero_vad", [(16000, 1), (8000, 1), (16000, 3), (8000, 2)]),
        ("silero_vad_16k_op15", [(16000, 1), (16000, 3)]),
    ],
)
def test_streams(name: str, streams: list[tuple[int, int]], whole_library: Path, tmp_path: Path) -> None:
    import onnxruntime as ort

    path = find(name)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    engine = compiled(path, whole_library, tmp_path)
    order = [value.name for value in engine.inputs]
    assert sorted(order) == ["input", "sr", "state"]
    for rate, batch in streams:
        ours = theirs = np.zeros((2, batch, 128), np.float32)
        heard = []
        for frame in frames(rate, batch):
            shared = {"input": frame, "sr": np.array(rate, np.int64)}
            got, ours = engine.run([{**shared, "state": ours}[key] for key in order])
            want, theirs = session.run(None, {**shared, "state": theirs})
            assert got.shape == want.shape == (batch, 1) and ours.shape == theirs.shape
            np.testing.assert_allclose(got, want, atol=1e-5, err_msg=f"{rate} Hz, batch {batch}")
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
            heard.append(want)
        assert np.min(heard) < 0.1 and np.max(heard) > 0.5  # it heard speech, and silence
