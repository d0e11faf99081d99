"""A decoder whose keys and values stay in the runtime.

The model has an input `input_ids` int64 [1, new], and logits [1, any, vocabulary] as its output of that name, or as its
first, of which the last row counts. Inputs `past_key_values.N.key`, `past_N`, ... of earlier keys and values go with
outputs `present.N.key`, `present_N`, ...; where there are `position_ids` [1, new] and `attention_mask` [1, past + new],
int64, they are filled in.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeort.errors import InputError
from edgeort.generation.sampling import GREEDY, Sampler, Sampling
from edgeort.session import InferenceSession

if TYPE_CHECKING:
    import onnx

_PREFIXES = (("past_key_values.", "present."), ("past_key_values.", "present_key_values."), ("past_", "present_"))
_IDS, _POSITIONS, _MASK, _LOGITS = "input_ids", "position_ids", "attention_mask", "logits"


class Decoder:
    """One sequence of tokens, which grows."""

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | onnx.ModelProto | InferenceSession,
        capacity: int,
        threads: int | None = None,
    ) -> None:
        """Opens a model, or takes an open session for its own; there is room for `capacity` tokens.

        Raises InputError for a model that is no decoder, and what InferenceSession raises.
        """
        self._session = model if isinstance(model, InferenceSession) else InferenceSession(model, threads)
        pairs = _states(self._session)
        for past, present in pairs:
            self._session.bind_state(past, present, capacity)
        self.capacity = capacity
        self._length = 0  # of what the model has read
        self._unread: list[int] = []  # the token that was generated last: it is read with what follows
        self._inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value.name for value in self._session.get_outputs()]
        unknown = [name for name in self._inputs if name not in (_IDS, _POSITIONS, _MASK)]
        if unknown or _IDS not in self._inputs or not outputs or not pairs:
            raise InputError(
                f"this is no decoder with a cache: its inputs are {', '.join(self._inputs)}",
                hint=f"it has {_IDS}, and past_key_values.N.key and .value that go with present.N.key and .value",
            )
        self._logits = outputs.index(_LOGITS) if _LOGITS in outputs else 0
        shape = self._session.get_outputs()[self._logits].shape or [None]
        self._vocabulary = shape[-1] if isinstance(shape[-1], int) else None
        self._only_ids = self._inputs == [_IDS]
        self._token = np.zeros((1, 1), np.int64)
        self._seen = self._last = np.empty(0, np.float32)  # the logits of all rows, and of the last
        self._is_token_given = False  # the last run read self._token and nothing else

    @property
    def length(self) -> int:
        """How many tokens the sequence has."""
        return self._length + len(self._unread)

    def append(self, tokens: Sequence[int]) -> np.ndarray:
        """Adds tokens to the sequence; the logits of what follows the last, float32 [vocabulary], until the next call.

        Raises InputError where there is no room; the sequence is then as it was.
        """
        new = [*self._unread, *tokens]
        total = self._length + len(new)
        if not new:
            raise InputError("there are no tokens to add")
        if total > self.capacity:
            raise InputError(
                f"{total} tokens are more than the decoder has room for: {self.capacity}",
                hint="open it with a larger capacity, or reset() it",
            )
        for token in (min(new), max(new)):
            if token < 0 or (self._vocabulary is not None and token >= self._vocabulary):
                raise InputError(f"token {token} is none of the model's {self._vocabulary or 'own'}")
        logits = self._run(new, total)[self._logits]
        self._length, self._unread = total, []
        if logits is not self._seen:  # the runtime's memory, seen as before where it lies as before
            self._seen, self._last = logits, logits.reshape(-1, logits.shape[-1])[-1]
        return self._last

    def _run(self, new: list[int], total: int) -> list[np.ndarray]:
        engine, was_given = self._session.engine, self._is_token_given
        self._is_token_given = False
        if len(new) == 1 and self._only_ids:
            self._token[0, 0] = new[0]
            made = engine.run_again(copy=False) if was_given else engine.run([self._token], copy=False)
            self._is_token_given = True
            return made
        feeds = {
            _IDS: np.array(new, np.int64)[None],
            _POSITIONS: np.arange(self._length, total)[None],
            _MASK: np.ones((1, total), np.int64),
        }
        return engine.run([feeds[name] for name in self._inputs], copy=False)

    def reset(self, length: int = 0) -> None:
        """Forgets all tokens but the first `length`."""
        if length == self.length:
            return
        self._session.rewind(length)
        self._length, self._unread = length, []

    def generate(
        self,
        tokens: Sequence[int],
        max_tokens: int | None = None,
        sampling: Sampling = GREEDY,
        stop_ids: Collection[int] = (),
    ) -> Iterator[int]:
        """Adds `tokens`, then yields what follows, one by one, until a stop id, which is not yielded, or no more room.

        All that was yielded is part of the sequence, also where the caller stops earlier.
        """
        sampler = Sampler(sampling)
        logits = self.append(tokens)
        for made in itertools.count(1):
            token = sampler.choose(logits)
            if token in stop_ids or made - 1 == max_tokens or self._length == self.capacity:
                return
            self._unread = [token]
            yield token
            if made == max_tokens or self.length == self.capacity:
                return
            logits = self.append([])

    def close(self) -> None:
        """Frees the model."""
        self._session.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _states(session: InferenceSession) -> list[tuple[str, str]]:
    """Inputs and the outputs that they go on from, by their names."""
    outputs = {value.name for value in session.get_outputs()}
    found = []
    for name in (value.name for value in session.get_inputs()):
        for past, present in _PREFIXES:
            if name.startswith(past) and (to := present + name.removeprefix(past)) in outputs:
                found.append((name, to))
                break
    return found
