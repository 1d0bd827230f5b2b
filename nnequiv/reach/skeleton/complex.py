"""The polyhedral complex of a network: its vertices and edges, each kept once, subdivided plane by plane.

**The state.** A *vertex* is a row of numbers, whatever the caller wants to follow: its position, and the value there
of every function that is affine on each cell. It lies on exactly d *planes* (a face of the box, or a neuron's zero
set; planes have ids). An *edge* has two end vertices, lies on d − 1 planes, and carries a 64-bit *sign hash*: the
sum of a random number ``q[p]`` for each plane p it lies on and ``r[p]`` for each plane it is on the positive side
of. The hash names the face; sums make it cheap to walk: taking p out of an edge's planes and choosing a side of p,
``hash − q[p] + side · r[p]``, names a 2-face next to the edge.

**A cut** by the plane where column c of the rows is zero. A vertex is positive if its value is ≥ 0. An edge with
ends of different sign gets a new vertex by linear interpolation of the whole row, no matrix product. New edges
arise where the plane crosses a 2-face. Every crossed 2-face must have exactly two cut edges, so the names of all
2-faces next to all cut edges, sorted, come in equal pairs; each pair is one new edge.

**The pair check** (each name exactly twice, else :class:`Degenerate`) is what keeps the complex *simple*: every
vertex has, for each of its d planes and each side of it inside the complex, exactly one edge leaving the plane on
that side. That is all the proof of cover in :mod:`nnequiv.reach.skeleton.drift` needs. It does not depend on luck with
the hashes: inside a 2-face of a simple complex signs change an even number of times, so two faces with the same name
would show four edges, not two.

Cuts come in groups of up to 64, so that the signs of a vertex for the group are the bits of one word.

Source: Berzins 2023 (arXiv 2306.07212), edge subdivision; Masden 2022 (arXiv 2207.07696), sign vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.reach.skeleton.buffers import Buffers, Part, blocks
from nnequiv.reach.skeleton.faces import Faces
from nnequiv.reach.skeleton.sign_words import WORD, Group, sum_of_bits

ROWS = 2048  # vertices interpolated in one go: their rows stay in the cache


class Degenerate(Exception):
    """Rounding made the signs inconsistent: a 2-face with one or with more than two cut edges."""


@dataclass(frozen=True, eq=False)
class Planes:
    """Random numbers of all planes: ``on`` (q) and ``above`` (r), both (planes,) uint64.

    ``above`` is 0 for planes that never separate two cells: faces of the input set.
    """

    on: np.ndarray
    above: np.ndarray

    @classmethod
    def random(cls, faces: int, neurons: int, rng: np.random.Generator) -> Planes:
        on, above = rng.integers(0, 2**64, size=(2, faces + neurons), dtype=np.uint64)
        above[:faces] = 0
        return cls(on, above)


def cube(rows: np.ndarray, d: int, planes: Planes, rng: np.random.Generator) -> Part:
    """The faces of many boxes at once: rows ``(boxes · 2^d, width)``, each box's corners in binary order of inputs.

    Face ``x_i = lower_i`` is plane 2 i, ``x_i = upper_i`` plane 2 i + 1. Each box starts with a hash of its own.
    """
    boxes = len(rows) >> d
    corner = np.arange(1 << d)
    bits = corner[:, None] >> np.arange(d) & 1  # (corners, d)
    on_corner = 2 * np.arange(d) + bits
    start, faces = [], []
    for i in range(d):
        low = corner[bits[:, i] == 0]
        start.append(low)
        faces.append(np.delete(on_corner[low], i, axis=1))  # (edges of direction i, d − 1)
    end = np.concatenate([low | 1 << i for i, low in enumerate(start)])
    start, faces = np.concatenate(start), np.concatenate(faces)
    first = np.repeat(np.arange(boxes) << d, len(start))
    seed = np.repeat(rng.integers(0, 2**64, size=boxes, dtype=np.uint64), len(start))
    inside = np.ones((len(planes.on), 2), dtype=bool)
    inside[: 2 * d, 0] = False
    kind = np.int16 if len(planes.on) < 2**15 else np.int32
    return Part(
        rows=rows,
        vertex_planes=list(np.tile(on_corner, (boxes, 1)).T.astype(kind)),
        start=(np.tile(start, boxes) + first).astype(np.int32),
        end=(np.tile(end, boxes) + first).astype(np.int32),
        hash=np.tile(planes.on[faces].sum(axis=1, dtype=np.uint64), boxes) + seed,
        edge_planes=list(np.tile(faces, (boxes, 1)).T.astype(kind)),
        inside=inside,
    )


class Complex(Buffers):
    """Vertices and edges in buffers that are reused (see :class:`Buffers`), and the operations on them."""

    def __init__(self, planes: Planes, part: Part):
        super().__init__(part)
        self.planes = planes
        self.near_misses = False  # some cut passed within rounding of a vertex: cells may be flat

    def cut(
        self, columns: np.ndarray, ids: np.ndarray, near: np.ndarray, limit: float = np.inf
    ) -> tuple[int, np.ndarray]:
        """Subdivide by the planes ``row[columns[k]] = 0`` with ids ``ids[k]``, in this order.

        Parameters
        ----------
        columns, ids : (n,) int arrays
        near : (n,) array
            Values up to this count as zero for skipping; negative: never skip. A plane is skipped if no cell has
            values above ``near`` on both sides of it, which happens when it coincides with planes that exist.

        limit : float
            Stop once there are more vertices than this.

        Returns
        -------
        cuts, skipped : int, (done,) bool array
            How many cuts were made (the deepest chain of interpolations), and which of the first ``done`` planes were
            skipped; ``done < n`` if the limit was reached.

        Raises
        ------
        Degenerate
        """
        outcomes: list[bool | None] = []
        while len(outcomes) < len(columns) and self.n_vertices <= limit:
            first = len(outcomes)
            group = Group(self, self.planes.above, columns[first : first + WORD], ids[first : first + WORD])
            for k in range(group.size):
                outcomes.append(self._cut_one(group, k, near[first + k]))
                if self.n_vertices > limit:
                    break
            for block in blocks(self.n_edges):
                self.hash[block] += sum_of_bits(group.tables, self.edge_word[block] & np.uint64(group.used))
        return outcomes.count(True), np.array([outcome is False for outcome in outcomes], dtype=bool)

    def cut_in_two(self, column: int, plane: int) -> tuple[np.ndarray, np.ndarray]:
        """Subdivide by one plane; which edges ``(edges,)`` belong to its closed positive and negative side."""
        group = Group(self, self.planes.above, np.array([column]), np.array([plane]))
        self._cut_one(group, 0, -1.0)
        positive = (self.edge_word[: self.n_edges] & np.uint64(1)) != 0
        on = np.zeros(self.n_edges, dtype=bool)
        for ids in self.edge_planes:
            on |= ids[: self.n_edges] == plane
        return on | positive, on | ~positive

    def _cut_one(self, group: Group, k: int, near: float) -> bool | None:
        """One cut. None: the plane touches no edge. False: skipped. True: done."""
        bit = np.uint64(1 << k)
        where = np.flatnonzero(group.differ[: group.count] & bit)
        if not len(where):
            return None
        edges, column = group.edges.take(where).astype(np.intp), group.columns[k]
        a, b = self.start.take(edges).astype(np.intp), self.end.take(edges).astype(np.intp)
        value_a, value_b = self._interpolate(a, b, column)
        close = np.minimum(np.abs(value_a), np.abs(value_b)) <= near
        if close.any():
            self.near_misses = True
            if close.all() and self._one_sign_a_cell(group, column, near):
                return False
        processed, later = np.uint64((1 << k) - 1 & group.used), np.uint64(~((2 << k) - 1) & (2**WORD - 1))
        first_new, first_edge = self.n_vertices, self.n_edges
        planes = [ids.take(edges, mode="clip") for ids in self.edge_planes]
        new_word = self._new_vertices(group, k, planes, len(edges))
        later_word = new_word & later
        hash_ = self.hash.take(edges)
        hash_ += sum_of_bits(group.tables[: (k >> 3) + 1], self.edge_word.take(edges) & processed)
        differ = self._new_edges(group.ids[k], hash_, planes, later_word) if self.d > 1 else later_word[:0]

        # Each cut edge becomes its first half; its second half is appended, like the new edges.
        new = np.arange(first_new, self.n_vertices, dtype=np.int32)
        halves = slice(self.n_edges, self.n_edges + len(edges))
        self.grow_edges(halves.stop)
        start_bit = (value_a >= 0).astype(np.uint64) << np.uint64(k)
        start_bit |= later_word
        self.end[edges], self.hash[edges], self.edge_word[edges] = new, hash_, start_bit
        self.start[halves], self.end[halves], self.hash[halves] = new, b, hash_
        np.bitwise_xor(start_bit, bit, out=self.edge_word[halves])
        for column_of_planes, ids in zip(self.edge_planes, planes, strict=True):
            column_of_planes[halves] = ids
        self.n_edges = halves.stop

        group.differ[where] = (self.vertex_word.take(a) ^ new_word) & later
        group.add(first_edge, differ)
        group.add(halves.start, (self.vertex_word.take(b) ^ new_word) & later)
        group.used |= 1 << k
        return True

    def _interpolate(self, a: np.ndarray, b: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Write the row where each edge crosses the plane behind the last vertex; the column's values at the ends."""
        self.grow_vertices(self.n_vertices + len(a))
        value_a, value_b = np.empty(len(a)), np.empty(len(a))
        for block in blocks(len(a), ROWS):
            row_a, new = self.rows.take(a[block], axis=0), self.rows[self.n_vertices :][block]
            self.rows.take(b[block], axis=0, out=new, mode="clip")  # "clip": the default mode would copy once more
            value_a[block], value_b[block] = row_a[:, column], new[:, column]
            share = value_a[block] / (value_a[block] - value_b[block])
            new -= row_a
            new *= share[:, None]
            new += row_a
            new[:, column] = 0.0
        return value_a, value_b

    def _new_vertices(self, group: Group, k: int, planes: list[np.ndarray], count: int) -> np.ndarray:
        """Count the rows just written as vertices, with their planes; their sign words."""
        first, total = self.n_vertices, self.n_vertices + count
        words = group.words(self.rows[first:total])
        self.vertex_word[first:total] = words
        for on, ids in zip(self.vertex_planes, planes, strict=False):
            on[first:total] = ids
        self.vertex_planes[-1][first:total] = group.ids[k]
        self.n_vertices = total
        return words

    def _new_edges(self, plane: int, full, planes, later_word) -> np.ndarray:
        """Find the crossed 2-faces and append the edge that crosses each; in which later planes its ends differ.

        ``full, planes, later_word``: of the cut edges, (cut,) each, planes a list of d − 1; ``full`` is the hash with
        the signs of this group so far. New vertex i is the one on cut edge i.
        """
        cut, faces = len(full), Faces(self.d, len(full))
        for j, ids in enumerate(planes):
            names = faces.names[j, :, :cut]
            np.subtract(full, self.planes.on.take(ids, mode="clip"), out=names[0])
            np.add(names[0], self.planes.above.take(ids, mode="clip"), out=names[1])
            for side in (0, 1):
                faces.exists[j, side, :cut] = self.inside[:, side].take(ids, mode="clip")
        found = faces.pairs()
        if found is None:
            raise Degenerate(f"plane {plane} crosses a 2-face in a number of edges other than 2")
        first, second = found
        new = slice(self.n_edges, self.n_edges + len(first))
        self.grow_edges(new.stop)
        np.add(faces.names.reshape(-1).take(first), self.planes.on[plane], out=self.hash[new])
        for column, ids in zip(self.edge_planes, faces.without_one(planes, first), strict=False):
            column[new] = ids
        self.edge_planes[-1][new] = plane
        first, second = faces.edge(first), faces.edge(second)
        base = self.n_vertices - cut
        self.start[new], self.end[new] = first + base, second + base
        word = later_word.take(first)
        self.edge_word[new] = word
        self.n_edges = new.stop
        word ^= later_word.take(second)
        return word

    def _one_sign_a_cell(self, group: Group, column: int, near: float) -> bool:
        """Whether no cell has values above ``near`` on both sides of zero, given that every cut edge has a near end.

        Then two neighbours that are not near have equal sign, so within a cell signs can differ only across near
        vertices. It is enough to look at edges with one near end: in each cell, their far ends must agree.
        """
        close = np.abs(self.rows[: self.n_vertices, column]) <= near
        a, b = self.start[: self.n_edges], self.end[: self.n_edges]
        edges = np.flatnonzero(close[a] != close[b])
        far = np.where(close[a[edges]], b[edges], a[edges])
        positive = self.rows[far, column] > 0
        full = self.hash[edges] + sum_of_bits(group.tables, self.edge_word[edges] & np.uint64(group.used))
        names, which = self.cells_of(edges, full)
        order = np.argsort(names)
        names, positive = names[order], positive[which[order]]
        return not ((names[1:] == names[:-1]) & (positive[1:] != positive[:-1])).any()

    def cells_of(self, edges: np.ndarray, full: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Names of the (up to 2^(d−1)) cells around each edge, and which edge (a position in ``edges``) each is of."""
        ids = [p[edges] for p in self.edge_planes]
        base = full.copy()
        for plane in ids:
            base -= self.planes.on[plane]
        names, which = [], []
        for sides in range(1 << (self.d - 1)):
            name, exists = base.copy(), np.ones(len(edges), dtype=bool)
            for j, plane in enumerate(ids):
                side = sides >> j & 1
                exists &= self.inside[plane, side]
                if side:
                    name += self.planes.above[plane]
            names.append(name[exists])
            which.append(np.flatnonzero(exists))
        return np.concatenate(names), np.concatenate(which)
