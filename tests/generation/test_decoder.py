"""A decoder with its cache: what a run without one says, to the bit; room, resets and stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import edgeort
from edgeort.errors import InputError
from edgeort.generation import Decoder, Sampling
from tests.generation import networks
from tests.kernels.support import parse, same_bits

IDS = np.random.default_rng(0).integers(0, 300, 40).tolist()
STEPS = (7, 1, 1, 3, 1, 20, 1, 5, 1)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.write(tmp_path_factory.mktemp("decoder"), 4, "float32")


def without_cache(path: Path, ids: list[int]) -> np.ndarray:
    """ONNX Runtime's logits behind all ids."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    past = session.get_inputs()[1:]
    feeds = {value.name: np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32) for value in past}
    return session.run(["logits"], {"input_ids": np.array([ids]), **feeds})[0].reshape(-1)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize(("form", "tolerance"), [("float32", 1e-5), ("int8", 0.1), ("int4", 0.1)])
def test_steps_say_what_a_run_without_a_cache_does(kv_heads: int, form: str, tolerance: float, tmp_path: Path) -> None:
    path = networks.write(tmp_path, kv_heads, form)
    by_steps, at_once = Decoder(path, len(IDS), threads=2), Decoder(path, 64, threads=1)
    at = 0
    for count in STEPS:
        got = by_steps.append(IDS[at : at + count]).copy()
        at += count
        want = without_cache(path, IDS[:at])
        np.testing.assert_allclose(got, want, atol=tolerance * np.abs(want).max())
        at_once.reset()
        assert same_bits(got, at_once.append(IDS[:at]))
    assert by_steps.length == at == len(IDS)


def test_no_room_is_an_error_that_changes_nothing(path: Path) -> None:
    with Decoder(path, 10) as decoder:
        decoder.append(IDS[:8])
        with pytest.raises(InputError, match="11 tokens are more than the decoder has room for: 10") as caught:
            decoder.append(IDS[8:11])
        assert "capacity" in str(caught.value.hint)
        assert decoder.length == 8
        want = without_cache(path, IDS[:10])
        np.testing.assert_allclose(decoder.append(IDS[8:10]), want, atol=1e-5 * np.abs(want).max())


def test_the_runtime_itself_refuses_more_rows_than_there_is_room_for(path: Path) -> None:
    session = edgeort.InferenceSession(path)
    for value in list(session.get_inputs())[1:]:
        session.bind_state(value.name, value.name.replace("past_key_values", "present"), 10)
    (first,) = session.run(None, {"input_ids": np.array([IDS[:9]])})
    with pytest.raises(edgeort.errors.PlanError, match="11 rows are more than its state has room for: 10"):
        session.run(None, {"input_ids": np.array([IDS[9:11]])})
    session.rewind()
    assert same_bits(session.run(None, {"input_ids": np.array([IDS[:9]])})[0], first)
    with pytest.raises(InputError, match="has 9 rows; it cannot keep 10"):
        session.rewind(10)


def test_reset_keeps_a_beginning(path: Path) -> None:
    decoder = Decoder(path, 40)
    want = decoder.append(IDS[:20]).copy()
    decoder.append(IDS[20:])
    decoder.reset(12)
    assert decoder.length == 12
    assert same_bits(decoder.append(IDS[12:20]), want)


def test_generation_is_greedy_search_without_a_cache(path: Path) -> None:
    ids = IDS[:5]
    for _ in range(6):
        ids = [*ids, int(without_cache(path, ids).argmax())]
    decoder = Decoder(path, 40)
    assert list(decoder.generate(IDS[:5], max_tokens=6)) == ids[5:]
    assert decoder.length == 11
    # The chat goes on behind the last token.
    more = [*ids, 3]
    assert next(decoder.generate([3])) == int(without_cache(path, more).argmax())
    assert decoder.length == 13


def test_generation_ends_at_a_stop_id_and_where_there_is_no_room(path: Path) -> None:
    decoder = Decoder(path, 12)
    made = list(decoder.generate(IDS[:5]))
    assert len(made) == 7 and decoder.length == 12
    decoder.reset()
    stop = made[3]
    assert list(decoder.generate(IDS[:5], stop_ids=[stop])) == made[: made.index(stop)]
    assert decoder.length == 5 + made.index(stop)


def test_a_seed_gives_the_same_text(path: Path) -> None:
    decoder = Decoder(path, 40)
    texts = []
    for seed in (1, 1, 2):
        decoder.reset()
        texts.append(list(decoder.generate(IDS[:3], 15, Sampling(1.5, 0.95, seed))))
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("tokens", "message"), [([300], "token 300 is none of the model's 300"), ([-1], "token -1"), ([], "no tok")]
)
def test_tokens_that_are_none_are_refused(path: Path, tokens: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Decoder(path, 8).append(tokens)


def test_positions_and_masks_are_filled_in() -> None:
    model = parse(
        """g (int64[1,n] input_ids, int64[1,n] position_ids, int64[1,t] attention_mask, float[1,1,p,1] past_0)
          => (float[1,n,1] logits, float[1,1,q,1] present_0) <int64[1] a = {2}, int64[2] k = {1, 3}> {
          p = Unsqueeze (position_ids, a) s = ReduceSum (attention_mask) all = Add (p, s)
          logits = Cast <to = 1> (all)
          f = Cast <to = 1> (input_ids) new = Unsqueeze (f, k) present_0 = Concat <axis = 2> (past_0, new) }"""
    )
    decoder = Decoder(model.SerializeToString(), 8)
    assert [decoder.append(tokens).item() for tokens in ([0, 0, 0], [0], [0, 0])] == [2 + 3, 3 + 4, 5 + 6]


def test_what_is_no_decoder_is_refused() -> None:
    model = parse("g (float[n] x) => (float[n] y) { y = Relu (x) }")
    with pytest.raises(InputError, match="no decoder with a cache: its inputs are x"):
        Decoder(model.SerializeToString(), 8)
