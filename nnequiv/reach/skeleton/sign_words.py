"""The signs of a group of cuts as bits of one 64-bit word a vertex, and sums over the bits of many words at once."""

from __future__ import annotations

import numpy as np

from nnequiv.reach.skeleton.buffers import Buffers, blocks

WORD = 64  # bits, hence cuts in a group


def byte_sums(numbers: np.ndarray) -> list[np.ndarray]:
    """For every 8 bits of a word, a table of the sums of ``numbers`` over the bits that are set."""
    tables = []
    for first in range(0, len(numbers), 8):
        table = np.zeros(1, dtype=np.uint64)
        for number in numbers[first : first + 8]:
            table = np.concatenate([table, table + number])
        tables.append(np.resize(table, 256))
    return tables


def sum_of_bits(tables: list[np.ndarray], words: np.ndarray) -> np.ndarray:
    octets = words.view(np.uint8).reshape(-1, 8)  # little-endian words: octet i holds bits 8 i …
    total = tables[0].take(octets[:, 0], mode="clip")
    for i in range(1, len(tables)):
        total += tables[i].take(octets[:, i], mode="clip")
    return total


def packed(values: np.ndarray) -> np.ndarray:
    """Which of the values ``(k, ≤ 64)`` are ≥ 0, as ``(k,)`` words."""
    k, n = values.shape
    width = 8 if n <= 8 else 16 if n <= 16 else 32 if n <= 32 else 64
    signs = np.zeros((k, width), dtype=bool)  # rows of whole octets, so that all of it is packed in one go
    np.greater_equal(values, 0, out=signs[:, :n])
    return np.packbits(signs.reshape(-1), bitorder="little").view(f"u{width // 8}").astype(np.uint64)


class Group:
    """What one group of cuts shares: columns and plane ids, sign words of vertices and edges, edges still to cut."""

    def __init__(self, buffers: Buffers, above: np.ndarray, columns: np.ndarray, ids: np.ndarray):
        self.columns, self.ids, self.size = columns, ids, len(columns)
        self.first, self.last = int(columns.min()), int(columns.max()) + 1
        self.contiguous = self.last - self.first == self.size and bool((np.diff(columns) == 1).all())
        self.tables = byte_sums(above[ids])
        self.used = 0  # bits of the planes that were cut, not skipped
        b = buffers
        for block in blocks(b.n_vertices):
            b.vertex_word[block] = self.words(b.rows[block])
        self.count = 0  # edges that some plane of the group still cuts …
        self.edges = np.empty(b.n_edges // 2 + 256, dtype=np.int32)  # … their numbers …
        self.differ = np.empty(len(self.edges), dtype=np.uint64)  # … and the bits of those planes
        for block in blocks(b.n_edges):
            start = b.vertex_word.take(b.start[block], mode="clip")
            b.edge_word[block] = start
            start ^= b.vertex_word.take(b.end[block], mode="clip")
            self.add(block.start, start)

    def words(self, rows: np.ndarray) -> np.ndarray:
        if self.contiguous:
            return packed(rows[:, self.first : self.last])
        return packed(rows.take(self.columns, axis=1))

    def add(self, first: int, differ: np.ndarray) -> None:
        """Edges from number ``first`` on, and the bits in which their ends differ."""
        keep = np.flatnonzero(differ != 0)
        needed = self.count + len(keep)
        if needed > len(self.edges):
            grown = int(needed * 1.5) + 64
            self.edges, self.differ = np.resize(self.edges, grown), np.resize(self.differ, grown)
        np.add(keep, first, out=self.edges[self.count : needed], casting="same_kind")
        self.differ[self.count : needed] = differ[keep]
        self.count = needed
