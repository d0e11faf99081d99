"""Minimum s-t cut by Dinic's algorithm (Dinic 1970), for the layout assignment."""

from __future__ import annotations

from collections import deque

SOURCE, SINK = 0, 1
INFINITE = 1 << 80


class Network:
    """A directed network with integer capacities; vertices are numbers, SOURCE and SINK exist from the start."""

    def __init__(self) -> None:
        self.edges: list[list[int]] = [[], []]
        self.head: list[int] = []
        self.capacity: list[int] = []

    def vertex(self) -> int:
        """Adds a vertex and returns its number."""
        self.edges.append([])
        return len(self.edges) - 1

    def edge(self, tail: int, head: int, capacity: int) -> None:
        """Adds an edge: `capacity` is paid when `tail` is on the source's side and `head` on the sink's."""
        for start, end, room in ((tail, head, capacity), (head, tail, 0)):
            self.edges[start].append(len(self.head))
            self.head.append(end)
            self.capacity.append(room)

    def source_side(self) -> set[int]:
        """The source's side of a minimum cut; of all minimum cuts, the one with the largest source's side."""
        while (level := self._levels()) is not None:
            position = [0] * len(self.edges)
            while self._augment(level, position):
                pass
        reaches = {SINK}
        queue = deque([SINK])
        while queue:
            at = queue.popleft()
            for e in self.edges[at]:
                if self.capacity[e ^ 1] and self.head[e] not in reaches:
                    reaches.add(self.head[e])
                    queue.append(self.head[e])
        return set(range(len(self.edges))) - reaches

    def _levels(self) -> list[int] | None:
        level = [-1] * len(self.edges)
        level[SOURCE] = 0
        queue = deque([SOURCE])
        while queue:
            at = queue.popleft()
            for e in self.edges[at]:
                if self.capacity[e] and level[self.head[e]] < 0:
                    level[self.head[e]] = level[at] + 1
                    queue.append(self.head[e])
        return level if level[SINK] >= 0 else None

    def _augment(self, level: list[int], position: list[int]) -> bool:
        """Pushes flow along one path of the level graph; False when there is none left."""
        path: list[int] = []
        at = SOURCE
        while at != SINK:
            if position[at] == len(self.edges[at]):
                if not path:
                    return False
                at = self.head[path.pop() ^ 1]
                position[at] += 1
                continue
            e = self.edges[at][position[at]]
            if self.capacity[e] and level[self.head[e]] == level[at] + 1:
                path.append(e)
                at = self.head[e]
            else:
                position[at] += 1
        flow = min(self.capacity[e] for e in path)
        for e in path:
            self.capacity[e] -= flow
            self.capacity[e ^ 1] += flow
        return True
