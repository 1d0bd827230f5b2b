"""The signs of a group of cuts as bits of one 64-bit word a vertex, and sums over the bits of many words at once."""

from __future__ import annotations

import numpy as np

from nnequiv.reach.skeleton.buffers import Buffers

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
    total = tables[0][octets[:, 0]]
    for i in range(1, len(tables)):
        total += tables[i][octets[:, i]]
    return total


def packed(signs: np.ndarray) -> np.ndarray:
    """Bools ``(k, ≤ 64)`` as ``(k,)`` words."""
    octets = np.zeros((len(signs), 8), dtype=np.uint8)
    packed = np.packbits(signs, axis=1, bitorder="little")
    octets[:, : packed.shape[1]] = packed
    return octets.view(np.uint64).ravel()


class Group:
    """What one group of cuts shares: columns and plane ids, sign words of vertices and edges, edges still to cut."""

    def __init__(self, buffers: Buffers, above: np.ndarray, columns: np.ndarray, ids: np.ndarray):
        self.columns, self.ids, self.size = columns, ids, len(columns)
        self.first, self.last = int(columns.min()), int(columns.max()) + 1
        self.contiguous = self.last - self.first == self.size and bool((np.diff(columns) == 1).all())
        self.bit_of = np.full(len(above), -1, dtype=np.int8)  # plane id → bit, −1 outside the group
        self.bit_of[ids] = np.arange(self.size)
        self.tables = byte_sums(above[ids])
        self.used = 0  # bits of the planes that were cut, not skipped
        b = buffers
        b.vertex_word[: b.n_vertices] = self.words(b.rows[: b.n_vertices])
        start = b.vertex_word.take(b.start[: b.n_edges])
        differ = start ^ b.vertex_word.take(b.end[: b.n_edges])
        b.edge_word[: b.n_edges] = start
        self.edges = np.flatnonzero(differ).astype(np.int32)  # edges that some plane of the group still cuts …
        self.differ = differ[self.edges]  # … and the bits of those planes
        self.count = len(self.edges)

    def words(self, rows: np.ndarray) -> np.ndarray:
        signs = rows[:, self.first : self.last] >= 0
        return packed(signs if self.contiguous else signs.take(self.columns - self.first, axis=1))

    def add(self, edges: np.ndarray, differ: np.ndarray) -> None:
        keep = np.flatnonzero(differ)
        needed = self.count + len(keep)
        if needed > len(self.edges):
            grown = int(needed * 1.5) + 64
            self.edges, self.differ = np.resize(self.edges, grown), np.resize(self.differ, grown)
        self.edges[self.count : needed] = edges[keep]
        self.differ[self.count : needed] = differ[keep]
        self.count = needed
