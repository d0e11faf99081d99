"""The chat answers as its docstring says, and its network says what transformers' own does."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

MISSING = [name for name in ("torch", "transformers") if not importlib.util.find_spec(name)]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]


def chat(lines: str, *arguments: str) -> None:
    from examples.chatbot.__main__ import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(lines))
        main(arguments)


def test_the_network_with_random_weights_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--layers", "1", "--tokens", "5", "--seed", "1", "--capacity", "30", "--cache", str(tmp_path)]
    chat("hello\nand again\n\nnever read\n", *options)
    said = capsys.readouterr().out
    assert re.findall(r"\[5 tokens, [\d.]+ tokens/s; (\d+) read", said) == ["6", "10"]
    chat("hello\n" * 4 + "x" * 40, *options, "--weights", "int4")
    said = capsys.readouterr().out
    assert "the chat begins anew" in said and "these are 41 tokens; there is room for 30" in said


def test_a_stored_network_answers_as_transformers_does(tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from edgeort.generation import Decoder
    from examples.chatbot.__main__ import export
    from examples.chatbot.network import Bytes, Network

    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=100,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rope_theta=5000.0,
        attention_bias=True,
    )
    module = LlamaForCausalLM(config).eval()
    export(Network(module, Bytes()), "float32", tmp_path / "stored.onnx")
    ids = np.random.default_rng(0).integers(0, 400, 12)
    decoder = Decoder(tmp_path / "stored.onnx", 64)
    decoder.append(ids[:9].tolist())
    got = [decoder.append([int(token)]).copy() for token in ids[9:]]
    with torch.no_grad():
        want = module(torch.tensor(ids[None])).logits[0, 9:].numpy()
    np.testing.assert_allclose(got, want, atol=2e-6)


SMALL = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
OTHERS = {
    "GPT2": {"vocab_size": 300, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "Gemma2": {**SMALL, "head_dim": 16, "sliding_window": 6},
    "Qwen2": SMALL,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_as_pytorch_exports_them(name: str, tmp_path: Path) -> None:
    import torch
    import transformers

    from edgeort.generation import Decoder
    from examples.chatbot.__main__ import export
    from examples.chatbot.network import Bytes, Network

    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**OTHERS[name])
    head = "LMHeadModel" if name == "GPT2" else "ForCausalLM"
    module = getattr(transformers, name + head)(config).eval()
    network, ids = Network(module, Bytes()), np.random.default_rng(0).integers(3, 300, 20).tolist()
    with torch.no_grad():
        want = module(input_ids=torch.tensor([ids])).logits[0].numpy()[11:]
    for weights, tolerance in (("float32", 1e-4), ("int4", 0.5))[: 2 if name == "Qwen2" else 1]:
        path = tmp_path / f"{weights}.onnx"
        assert export(network, weights, path) == 64
        with Decoder(path, 64, threads=1) as decoder:
            got = [decoder.append(part).copy() for part in (ids[:12], *([token] for token in ids[12:]))]
        np.testing.assert_allclose(np.stack(got), want, atol=tolerance * np.abs(want).max())
