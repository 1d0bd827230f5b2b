"""The arrays of a polyhedral complex: buffers that grow, are reused, and can hand out and take in parts.

Fresh large arrays cost page faults, more than the arithmetic on them; so every array lives in a buffer with room to
spare, and ``n_vertices`` and ``n_edges`` say how much of it counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 16_384  # entries of an array for one pass over it


@dataclass(eq=False)
class Part:
    """A complex as plain arrays of exact size: put aside, or sent to another process.

    Attributes
    ----------
    rows : (vertices, width) array
    vertex_planes, edge_planes : lists of d and d − 1 int arrays
        Plane ids. The planes of an edge are those of either end but one, in the same order.
    start, end : (edges,) int32 arrays
    hash : (edges,) uint64 array
    inside : (planes, 2) bool array
        Whether the complex has cells on the negative and on the positive side of a plane.
    """

    rows: np.ndarray
    vertex_planes: list[np.ndarray]
    start: np.ndarray
    end: np.ndarray
    hash: np.ndarray
    edge_planes: list[np.ndarray]
    inside: np.ndarray


def blocks(count: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover ``count`` entries: whoever goes through them block by block stays in the cache."""
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def _roomy(array: np.ndarray, needed: int, used: int) -> np.ndarray:
    """The array, or a larger copy of its first ``used`` entries."""
    if len(array) >= needed:
        return array
    grown = np.empty((int(needed * 1.5) + 256, *array.shape[1:]), dtype=array.dtype)
    grown[:used] = array[:used]
    return grown


def _edge_arrays(owner: Buffers | Part) -> list[np.ndarray]:
    return [owner.start, owner.end, owner.hash, *owner.edge_planes]


class Buffers:
    """Vertices and edges of a complex of dimension d.

    ``rows`` (≥ n_vertices, width); ``vertex_planes[j], vertex_word`` (≥ n_vertices,); ``start, end, hash, edge_word,
    edge_planes[j]`` (≥ n_edges,). The words are scratch of the cuts in work.
    """

    def __init__(self, part: Part):
        self.d = len(part.vertex_planes)
        kind = part.vertex_planes[0].dtype
        empty = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.uint64)
        self.start, self.end = empty[0], empty[0]
        self.hash, self.edge_word, self.vertex_word = empty[1], empty[1], empty[1]
        self.vertex_planes = [np.empty(0, dtype=kind)] * self.d
        self.edge_planes = [np.empty(0, dtype=kind)] * (self.d - 1)
        self.room = 0  # vertices to expect; only saves copies
        self._flat = [np.empty(0), np.empty(0)]  # two row buffers: a layer reads one and writes the other
        self.load(part)

    def load(self, part: Part) -> None:
        """Replace everything by a part."""
        self.n_vertices = self.n_edges = 0
        vertices, edges = len(part.rows), len(part.start)
        self.rows = self.other_rows(vertices, part.rows.shape[1])
        self.grow_vertices(vertices)
        self.grow_edges(edges)
        self.n_vertices, self.n_edges, self.inside = vertices, edges, part.inside
        self.rows[:vertices] = part.rows
        for mine, theirs in zip(self.vertex_planes, part.vertex_planes, strict=True):
            mine[:vertices] = theirs
        for mine, theirs in zip(_edge_arrays(self), _edge_arrays(part), strict=True):
            mine[:edges] = theirs

    def other_rows(self, vertices: int, width: int) -> np.ndarray:
        """The row buffer not in use, as rows of this width; it becomes the one in use. Contents are arbitrary."""
        if self._flat[1].size < vertices * width:
            self._flat[1] = self._empty(int(vertices * 1.1), width)
        self._flat.reverse()
        flat = self._flat[0]
        return flat[: flat.size // width * width].reshape(-1, width)

    def _empty(self, vertices: int, width: int) -> np.ndarray:
        """Room for at least ``room`` vertices: memory that is never touched is free, growing is not."""
        return np.empty(max(vertices, self.room) * width + 256)

    def undo_rows(self) -> None:
        """Make the last call of :meth:`other_rows` not have happened; the caller still holds the older rows."""
        self._flat.reverse()

    def grow_vertices(self, needed: int) -> None:
        used = self.n_vertices
        if needed > len(self.rows):
            width, old = self.rows.shape[1], self.rows
            self._flat[0] = self._empty(int(needed * 1.25), width)
            self.rows = self._flat[0][: self._flat[0].size // width * width].reshape(-1, width)
            self.rows[:used] = old[:used]
        if needed > len(self.vertex_word):
            self.vertex_word = _roomy(self.vertex_word, needed, used)
            self.vertex_planes = [_roomy(ids, needed, used) for ids in self.vertex_planes]

    def grow_edges(self, needed: int) -> None:
        if needed > len(self.start):
            used = self.n_edges
            self.start, self.end = _roomy(self.start, needed, used), _roomy(self.end, needed, used)
            self.hash, self.edge_word = _roomy(self.hash, needed, used), _roomy(self.edge_word, needed, used)
            self.edge_planes = [_roomy(ids, needed, used) for ids in self.edge_planes]

    def part(self, edges: np.ndarray, inside: np.ndarray) -> Part:
        """A copy of the sub-complex of some edges (bool ``(n_edges,)``) and their ends."""
        kept, vertices, new = self._selection(edges)
        return Part(
            rows=self.rows.take(vertices, axis=0),
            vertex_planes=[ids.take(vertices) for ids in self.vertex_planes],
            start=new.take(self.start.take(kept)),
            end=new.take(self.end.take(kept)),
            hash=self.hash.take(kept),
            edge_planes=[ids.take(kept) for ids in self.edge_planes],
            inside=inside,
        )

    def keep(self, edges: np.ndarray, inside: np.ndarray) -> None:
        """Keep the sub-complex of some edges (bool ``(n_edges,)``) and their ends, in place."""
        kept, vertices, new = self._selection(edges)
        rows = self.other_rows(len(vertices), self.rows.shape[1])
        self.rows.take(vertices, axis=0, out=rows[: len(vertices)], mode="clip")
        self.rows = rows
        for ids in self.vertex_planes:
            ids[: len(vertices)] = ids.take(vertices)
        for values in (self.hash, *self.edge_planes):
            values[: len(kept)] = values.take(kept)
        for ends in (self.start, self.end):
            ends[: len(kept)] = new.take(ends.take(kept))
        self.n_vertices, self.n_edges, self.inside = len(vertices), len(kept), inside

    def _selection(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of kept edges, of kept vertices, and the new index of every vertex."""
        kept = np.flatnonzero(edges)
        used = np.zeros(self.n_vertices, dtype=bool)
        used[self.start.take(kept)] = True
        used[self.end.take(kept)] = True
        new = np.cumsum(used, dtype=np.int32) - np.int32(1)
        return kept, np.flatnonzero(used), new
