"""A quantised model beside the float model, on as many samples as the question needs.

The float model's outputs are kept from the first time on, in a temporary folder and up to `ROOM`, as attempt after
attempt is compared with them. What does not fit is computed again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from edgeort.quantize.measuring import Difference, Outputs, Tally
from edgeort.quantize.parallel import ordered_map
from edgeort.quantize.parts import Part
from edgeort.quantize.samples import Sample
from edgeort.quantize.store import Store

ROOM = 2**30  # bytes of outputs that are kept, on the disk
_SERIES = "output:"  # of their names in the store

Run = Callable[[Sample], Outputs]


class References:
    """The float model's outputs by the places of samples. `store` receives them."""

    def __init__(self, store: Store, room: int = ROOM) -> None:
        self._store, self._room = store, room
        self._kept: dict[int, list[str]] = {}

    def pairs(
        self, run: Callable[[], Run], other: Run, samples: Iterable[tuple[int, Sample]]
    ) -> Iterator[tuple[Outputs, Outputs]]:
        """The outputs of the float model and of another for every (place, sample). `run` makes what runs the former."""
        made: list[Run] = []
        lock = threading.Lock()

        def reference(sample: Sample) -> Outputs:
            with lock:  # one session for all cores, as each has the model's weights
                if not made:
                    made.append(run())
            return made[0](sample)

        def both(item: tuple[int, Sample]) -> tuple[int, Outputs, Outputs]:
            place, sample = item
            known = self._kept.get(place)
            if known is not None:
                return place, {name: self._store.get(_SERIES + name, place) for name in known}, other(sample)
            return place, reference(sample), other(sample)

        for place, outputs, found in ordered_map(both, samples):
            self._keep(place, outputs)
            yield outputs, found

    def _keep(self, place: int, outputs: Outputs) -> None:
        size = sum(array.nbytes for array in outputs.values())
        if place in self._kept or size > self._room:
            return
        self._room -= size
        for name, array in outputs.items():
            self._store.put(_SERIES + name, place, array)
        self._kept[place] = list(outputs)


@dataclass
class Comparison:
    """What `pairs` of outputs come to, of `total` samples if that is known. `joined` as in `measuring.differences`."""

    pairs: Iterator[tuple[Outputs, Outputs]]
    total: int | None
    joined: Sequence[Part] = ()
    seen: int = 0
    is_done: bool = False
    _tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        self._tally = Tally(self.joined)

    def upto(self, samples: float) -> list[Difference]:
        """After so many samples, or more where more were asked for before."""
        while self.seen < samples and not self.is_done:
            pair = next(self.pairs, None)
            if pair is not None:
                self._tally.add(*pair)
                self.seen += 1
            self.is_done = pair is None or self.seen == self.total
        return self._tally.differences()

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Of all samples."""
        return tuple(self.upto(math.inf))
