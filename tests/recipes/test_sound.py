"""Sound before a model: against scipy's resampler, librosa's spectra and Whisper's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeort.errors import InputError
from edgeort.recipes.sound import is_sound, read_sound
from tests.kernels.support import reference
from tests.recipes.attached import run_proto


def signal(samples: int, seed: int = 0, rate: int = 16000) -> np.ndarray:
    """Tones that come and go, and noise: float32 in [-1, 1)."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / rate
    tones = sum(np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) * np.exp(-3 * t) for f in (97, 440, 1234.5, 5210))
    return (0.15 * tones + 0.01 * rng.standard_normal(samples)).astype(np.float32)


def model_of(recipe: str, rank: int = 2) -> onnx.ModelProto:
    """The recipe's nodes alone."""
    sound = read_sound(recipe)
    head = sound.write("x", 17, rank)
    kind = onnx.TensorProto.INT16 if sound.is_int16 else onnx.TensorProto.FLOAT
    head.nodes.append(onnx.helper.make_node("Identity", [head.value], ["y"]))
    graph = onnx.helper.make_graph(
        head.nodes,
        "sound",
        [onnx.helper.make_tensor_value_info("x", kind, ["samples"])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None] * rank)],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def heard(recipe: str, x: np.ndarray, folder: Path, rank: int = 2, atol: float = 1e-4) -> np.ndarray:
    """Our result, the same bits everywhere and near ONNX Runtime's."""
    model = model_of(recipe, rank)
    found = run_proto(model, [x], folder)[0]
    np.testing.assert_allclose(found, reference(model, [x])[0], rtol=1e-4, atol=atol)
    return found


@pytest.mark.parametrize(
    ("source", "to"), [(44100, 16000), (48000, 16000), (8000, 16000), (22050, 16000), (16000, 11025), (16000, 16000)]
)
def test_resample_is_scipys(source: int, to: int, tmp_path: Path):
    scipy_signal = pytest.importorskip("scipy.signal")
    for samples in (1, 777, 4411):
        x = signal(samples, rate=source)
        folder = tmp_path / str(samples)
        folder.mkdir()
        found = heard(f"resample {to} from={source}", x, folder, rank=1)
        want = scipy_signal.resample_poly(x.astype(np.float64), to, source)
        assert found.shape == want.shape
        assert np.abs(found - want).max() < 1e-6


def test_fit_and_int16(tmp_path: Path):
    x = (signal(300) * 32767).astype(np.int16)
    found = heard("from=int16; fit 200", x, tmp_path, rank=1)
    np.testing.assert_array_equal(found, x[:200] / np.float32(32768))
    (tmp_path / "b").mkdir()
    found = heard("from=int16; fit 400", x, tmp_path / "b", rank=1)
    np.testing.assert_array_equal(found, np.pad(x / np.float32(32768), (0, 100)))


@pytest.mark.parametrize(("size", "hop"), [(512, 512), (400, 160), (7, 3), (3, 7), (160, 160)])
def test_frame(size: int, hop: int, tmp_path: Path):
    x = signal(1601)
    found = heard(f"frame {size} hop={hop}", x, tmp_path)
    want = np.lib.stride_tricks.sliding_window_view(x, size)[::hop].T
    np.testing.assert_array_equal(found, want)


def test_a_signal_that_is_too_short_has_no_frames(tmp_path: Path):
    model = model_of("frame 400 hop=160")
    for samples in (1, 100, 300, 399):
        x = signal(samples)
        assert run_proto(model, [x], tmp_path)[0].shape == reference(model, [x])[0].shape == (400, 0)


CASES = [
    "n_fft=400 hop=160 mels=80",
    "n_fft=400 hop=160 mels=80 pad=reflect fmax=8000 log=log10",
    "n_fft=512 window=400 hop=160 mels=40 scale=htk norm=no pad=no fmin=20 fmax=7600 top=80",
    "n_fft=1024 hop=251 mels=64 scale=htk log=ln power=1",
    "n_fft=256 mels=23 norm=no top=60 scale=slaney",
]


@pytest.mark.parametrize("options", CASES)
def test_log_mel_is_librosas(options: str, tmp_path: Path):
    librosa = pytest.importorskip("librosa", reason="pip install librosa")
    x = signal(9001, seed=2)
    found = heard(f"log-mel {options}", x, tmp_path)
    given = dict(option.split("=") for option in options.split())
    bands = librosa.feature.melspectrogram(
        y=x.astype(np.float64),
        sr=16000,
        n_fft=int(given["n_fft"]),
        win_length=int(given.get("window", given["n_fft"])),
        hop_length=int(given.get("hop", int(given["n_fft"]) // 4)),
        center=given.get("pad") != "no",
        pad_mode="reflect" if given.get("pad") == "reflect" else "constant",
        power=float(given.get("power", 2)),
        n_mels=int(given["mels"]),
        fmin=float(given.get("fmin", 0)),
        fmax=float(given.get("fmax", 8000)),
        htk=given.get("scale") == "htk",
        norm=None if given.get("norm") == "no" else "slaney",
        dtype=np.float64,
    )
    top = float(given["top"]) if "top" in given else None
    want = librosa.power_to_db(bands, top_db=top)
    want = {"log10": want / 10, "ln": want / (10 / np.log(10))}.get(given.get("log", "db"), want)
    assert found.shape == want.shape
    assert np.abs(found - want).max() < 2e-3 * (np.ptp(want) / 100)


def test_stft_is_librosas(tmp_path: Path):
    librosa = pytest.importorskip("librosa", reason="pip install librosa")
    x = signal(3333, seed=4)
    found = heard("stft n_fft=320 hop=100 window=300 pad=reflect", x, tmp_path)
    want = np.abs(librosa.stft(x.astype(np.float64), n_fft=320, hop_length=100, win_length=300, pad_mode="reflect"))
    assert found.shape == want.shape and np.abs(found - want).max() < 1e-5 * want.max()


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "mels"), [("whisper", 80), ("whisper-128", 128)])
def test_whispers_spectra(preset: str, mels: int, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    x = signal(3 * 16000, seed=5)
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels)
    want = extractor(x, sampling_rate=16000, return_tensors="np")["input_features"]
    found = heard(preset, x, tmp_path, rank=3, atol=1e-3)
    assert found.shape == want.shape == (1, mels, 3000)
    assert np.abs(found - want).max() < 1e-3


def test_keyword_spotting_spectra(tmp_path: Path):
    """The formula of torchaudio's MelSpectrogram with its defaults, in float64."""
    x = signal(12345, seed=6)
    found = heard("keyword", x, tmp_path)
    padded = np.pad(np.pad(x.astype(np.float64), (0, 16000 - len(x))), 256, mode="reflect")
    window = np.zeros(512)
    window[16:496] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(480) / 480)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.linspace(0, 8000, 257)[:, None]
    up, down = (bins - edges[:-2]) / np.diff(edges[:-1]), (edges[2:] - bins) / np.diff(edges[1:])
    want = np.log(power @ np.clip(np.minimum(up, down), 0, None) + 1e-6).T
    assert found.shape == want.shape == (40, 101)
    assert np.abs(found - want).max() < 1e-3


def test_steps_stand_in_any_order_and_frames_first(tmp_path: Path):
    x = signal(5000, rate=48000)
    sound = read_sound("layout=frames-first; log-mel mels=20 n_fft=200; resample 8000 from=48000")
    assert sound.rate == 48000 and sound.text.startswith("resample 8000 from=48000; log-mel")
    found = heard(sound.text, x, tmp_path, rank=4)
    (tmp_path / "b").mkdir()
    turned = heard("resample 8000 from=48000; log-mel mels=20 n_fft=200", x, tmp_path / "b")
    np.testing.assert_array_equal(found[0, 0], turned.T)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("resample 16000", "from= is missing"),
        ("resample 16000 from=44101", "too small a common factor"),
        ("log-mel n_fft=401", "an even number"),
        ("log-mel n_fft=400 window=500", "does not fit"),
        ("log-mel mels=80 fmax=9000", "frequencies of 0 to 8000"),
        ("log-mel log=cube", "log is one of"),
        ("log-mel floor=0", "needs a floor"),
        ("fit 100; log-mel n_fft=400 pad=no", "has no frame of 400"),
        ("std=0", "is not 0"),
        ("frame 100; stft", "there is 'frame 100' already"),
        ("fit 9; std=1e-60", "a standard deviation is not 0"),
        ("log-mel floor=0 offset=1e-60", "a logarithm needs a floor or an offset above 0"),
    ],
)
def test_what_is_wrong_is_named(recipe: str, message: str):
    with pytest.raises(InputError, match=message):
        model_of(recipe)


def test_sound_is_told_from_pictures():
    assert is_sound("whisper") and is_sound("from=int16; mean=3") and is_sound("keyword; rate=8000")
    assert is_sound("from=INT16; mean=3") and is_sound("mean=3; from float32")
    assert not is_sound("imagenet") and not is_sound("resize 224x224; mean=3")
