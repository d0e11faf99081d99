"""Channels that may be removed, in groups: those of layers whose results are added or multiplied are one group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeort.quantize.layers import Layer
from edgeort.quantize.pruning.channels import Tracker


@dataclass(frozen=True)
class Reader:
    """A layer that multiplies channels of a group: `columns` [channels of the group, times] of its weights' rows.

    Entries are channels of the layer's input; -1 where a channel occurs less often than others.
    """

    layer: Layer
    columns: np.ndarray


@dataclass(frozen=True)
class Group:
    """`roots` are the channels that may go, `size` how many there are with those that stay."""

    makers: tuple[Layer, ...]
    readers: tuple[Reader, ...]
    roots: np.ndarray
    size: int

    @property
    def name(self) -> str:
        """Its layers' names."""
        return " + ".join(layer.name for layer in self.makers)


def find_groups(tracker: Tracker) -> tuple[list[Group], dict[str, str]]:
    """The groups in the order of the graph, and of each layer none of whose channels may go, why."""
    makers = [tied for tied in tracker.layers if tied.layer.groups == 1]
    free = [_free(tracker, tied.makes) for tied in makers]
    left = {
        tied.layer.name: tracker.held[int(tracker.roots(tied.makes)[0])]
        for tied, roots in zip(makers, free, strict=True)
        if not len(roots)
    }
    groups = []
    for members in _components(free):
        roots = np.unique(np.concatenate([free[i] for i in members]))
        every = np.unique(np.concatenate([tracker.roots(makers[i].makes) for i in members]))
        layers = tuple(makers[i].layer for i in members)
        groups.append(Group(layers, tuple(_readers(tracker, roots)), roots, len(every)))
    return groups, left


def _free(tracker: Tracker, ids: np.ndarray) -> np.ndarray:
    roots = np.unique(tracker.roots(ids))
    return roots[[root not in tracker.held for root in roots.tolist()]]


def _components(free: list[np.ndarray]) -> list[list[int]]:
    """The layers that share channels, by index."""
    owner: dict[int, int] = {}  # a channel -> its component
    members: dict[int, list[int]] = {}
    for index, roots in enumerate(free):
        if not len(roots):
            continue
        touched = sorted({owner[root] for root in roots.tolist() if root in owner})
        home = touched[0] if touched else index
        members.setdefault(home, []).append(index)
        for other in touched[1:]:
            members[home] += members.pop(other)
        owner.update(dict.fromkeys(roots.tolist(), home))
        owner = {root: home if at in touched else at for root, at in owner.items()}
    return [sorted(found) for _, found in sorted(members.items())]


def _readers(tracker: Tracker, roots: np.ndarray) -> Iterator[Reader]:
    place = {root: index for index, root in enumerate(roots.tolist())}
    for tied in tracker.layers:
        if tied.reads is None or tied.layer.groups > 1:
            continue
        found: list[list[int]] = [[] for _ in place]
        for column, root in enumerate(tracker.roots(tied.reads).tolist()):
            if root in place:
                found[place[root]].append(column)
        times = max(map(len, found))
        if times:
            yield Reader(tied.layer, np.array([row + [-1] * (times - len(row)) for row in found]))
