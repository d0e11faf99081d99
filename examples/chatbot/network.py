"""The network of the example, Hugging Face's or one of random weights, and how text becomes its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

SEED = 0


class Tokens(Protocol):
    """Text to ids and back."""

    stop_ids: frozenset[int]

    def turn(self, text: str, first: bool) -> list[int]:
        """What a user says, up to where the answer begins."""

    def text(self, ids: Sequence[int]) -> str:
        """The text of an answer."""


@dataclass(frozen=True)
class Network:
    """A `transformers` network and its tokens."""

    module: Any
    tokens: Tokens

    @property
    def config(self) -> Any:
        """A LlamaConfig, or one with the same fields."""
        return self.module.config

    def state(self) -> Mapping[str, np.ndarray]:
        """Its weights."""
        return {name: tensor.detach().float().numpy() for name, tensor in self.module.state_dict().items()}


class Bytes:
    """UTF-8, a token a byte, for a network that has learnt nothing; the other tokens stand for one each."""

    stop_ids: frozenset[int] = frozenset()

    def turn(self, text: str, first: bool) -> list[int]:
        """See Tokens."""
        return list(f"{text}\n".encode())

    def text(self, ids: Sequence[int]) -> str:
        """See Tokens."""
        parts = [bytes([i]) if i < 256 else f"<{i}>".encode() for i in ids]
        return b"".join(parts).decode(errors="replace")


class Vocabulary:
    """A tokenizer of Hugging Face's, with its template for chats where it has one."""

    def __init__(self, tokenizer: Any, stop_ids: frozenset[int]) -> None:
        self._tokenizer, self.stop_ids = tokenizer, stop_ids

    def turn(self, text: str, first: bool) -> list[int]:
        """See Tokens."""
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer(text, add_special_tokens=first)["input_ids"])
        said = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        start = self._tokenizer.bos_token or ""
        said = said if first else said.removeprefix(start)
        return list(self._tokenizer(said, add_special_tokens=False)["input_ids"])

    def text(self, ids: Sequence[int]) -> str:
        """See Tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def random_network(**changes: int) -> Network:
    """110 million random numbers, or what `changes` to the configuration make of it."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "vocab_size": 32000,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "max_position_embeddings": 2048,
    }
    torch.manual_seed(SEED)
    return Network(LlamaForCausalLM(LlamaConfig(**(sizes | changes), tie_word_embeddings=True)).eval(), Bytes())


def stored_network(folder: Path) -> Network:
    """What `save_pretrained` wrote, or a download of such a folder."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    module = AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    ends = module.generation_config.eos_token_id
    ids = [] if ends is None else ends if isinstance(ends, list) else [ends]
    if tokenizer.eos_token_id is not None:
        ids = [*ids, tokenizer.eos_token_id]
    return Network(module, Vocabulary(tokenizer, frozenset(ids)))
