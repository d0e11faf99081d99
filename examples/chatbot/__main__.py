"""A chat with a small language model on this machine.

    pip install '.[torch]' transformers
    python -m examples.chatbot [FOLDER] [--weights int8] [--temperature 0.8] [--top-p 0.95]

FOLDER is one of Hugging Face's: config.json, safetensors, tokenizer. A Llama (SmolLM, TinyLlama, ...) is written down
in the form that runs best (decoder.py), others (Qwen, Gemma, GPT-2, ...) are as PyTorch exports them (exported.py).
Without it a network of 110 million random weights is made from a configuration, and answers with noise at the speed of
a real one. Either becomes ONNX with a cache of keys and values, in float32, int8 or int4, and stays in --cache; the
runtime keeps the cache in one memory that grows. An empty line, or the end of the input, ends the chat.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from edgeort.generation import Decoder, Sampling
from edgeort.quantize import Options, quantize
from edgeort.quantize.forms import Form
from examples.chatbot import exported
from examples.chatbot.decoder import Sizes, build
from examples.chatbot.network import Network, Tokens, random_network, stored_network
from examples.chatbot.weights import FORMS

_QUANTISED = {
    "float32": None,
    "int8": Options(activations=Form.FLOAT),
    "int4": Options(weights="int4", activations=Form.DYNAMIC),
}
_MOST_INSIDE = 1 << 30  # bytes of weights within the file, which holds 2 GiB


def export(network: Network, weights: str, path: Path) -> int:
    """Writes the network as ONNX; returns how many positions it knows."""
    sizes = Sizes.of(network.config)
    path.parent.mkdir(parents=True, exist_ok=True)
    if sizes is None:
        _export_other(network, weights, path)
        return int(network.config.max_position_embeddings)
    model = build(sizes, network.state(), FORMS[weights])
    numbers = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value)
    ir.save(model, path, external_data=f"{path.name}.data" if numbers > _MOST_INSIDE else None)
    return sizes.positions


def _export_other(network: Network, weights: str, path: Path) -> None:
    """By PyTorch's exporter, then by the quantiser, whose options need no samples."""
    if weights not in _QUANTISED:
        raise SystemExit(f"--weights {weights}: this network can have {', '.join(_QUANTISED)}")
    options = _QUANTISED[weights]
    whole = path if options is None else path.with_suffix(".float32.onnx")
    exported.export(network.module, whole)
    if options is not None:
        quantize(whole, path, options=options)


def answer(decoder: Decoder, tokens: Tokens, ids: Sequence[int], sampling: Sampling, most: int) -> None:
    """Prints what follows as it comes, and how fast."""
    made: list[int] = []
    shown = ""
    start = first = time.perf_counter()
    for token in decoder.generate(ids, most, sampling, tokens.stop_ids):
        if not made:
            first = time.perf_counter()
        made.append(token)
        text = tokens.text(made)
        if not text.endswith("\ufffd"):  # half a character waits for the rest
            print(text[len(shown) :], end="", flush=True)
            shown = text
    spent = time.perf_counter() - first
    speed = f"{(len(made) - 1) / spent:.1f} tokens/s" if len(made) > 1 else "no speed of one token"
    print(f"\n[{len(made)} tokens, {speed}; {len(ids)} read in {1000 * (first - start):.0f} ms]")


def chat(decoder: Decoder, tokens: Tokens, sampling: Sampling, most: int) -> None:
    """Line by line from standard input, until an empty one."""
    while True:
        print("> ", end="", flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        ids = tokens.turn(line, first=decoder.length == 0)
        if decoder.length + len(ids) >= decoder.capacity:
            print("[there is no more room; the chat begins anew]")
            decoder.reset()
            ids = tokens.turn(line, first=True)
        if len(ids) >= decoder.capacity:
            print(f"[these are {len(ids)} tokens; there is room for {decoder.capacity}]")
            continue
        answer(decoder, tokens, ids, sampling, most)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser("python -m examples.chatbot", description="a chat with a small language model")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights", choices=FORMS, default="int8")
    parser.add_argument("--temperature", type=float, default=0.8, help="0: always the likeliest token")
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--tokens", type=int, default=200, help="of an answer, at most")
    parser.add_argument("--capacity", type=int, default=2048, help="tokens of a chat, at most")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--layers", type=int, help="of the network with random weights")
    parser.add_argument("--cache", type=Path, default=Path("build/chatbot"))
    args = parser.parse_args(arguments)
    sampling = Sampling(args.temperature, args.top_p, args.seed)
    changes = {"num_hidden_layers": args.layers} if args.layers else {}
    network = stored_network(args.folder) if args.folder else random_network(**changes)
    path = args.cache / f"{args.folder.resolve().name if args.folder else 'random'}-{args.weights}.onnx"
    capacity = min(args.capacity, export(network, args.weights, path))
    with Decoder(path, capacity, args.threads) as decoder:
        chat(decoder, network.tokens, sampling, args.tokens)


if __name__ == "__main__":
    main()
