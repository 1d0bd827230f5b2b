"""The 2-faces that a plane crosses: found by sorting names, which must come in equal pairs."""

from __future__ import annotations

import numpy as np


class Faces:
    """Names of the 2-faces next to all cut edges.

    A 2-face next to an edge is the edge's planes without one, and a side of that one. ``names`` uint64 and ``exists``
    bool: (plane left out, side, cut edge), the last axis padded to a power of two. So a *slot*, a position in the
    flat arrays, holds all three as bits.
    """

    def __init__(self, d: int, cut: int):
        self.bits = (cut - 1).bit_length()
        shape = d - 1, 2, 1 << self.bits
        self.names, self.exists = np.empty(shape, dtype=np.uint64), np.zeros(shape, dtype=bool)

    def pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Slots of equal names, ``(faces,)`` twice; None if some name does not occur exactly twice."""
        names, slots = self.names.reshape(-1), np.flatnonzero(self.exists)
        # Sorting numbers is faster than sorting positions: leading bits of the name, then the slot.
        low = np.uint64((1 << (len(names) - 1).bit_length()) - 1)
        keys = names.take(slots, mode="clip")
        keys &= ~low
        keys |= slots.view(np.uint64)
        keys.sort()
        if len(keys) % 2 == 0 and not (keys[1:-1:2] ^ keys[2::2] <= low).any():
            keys &= low
            first, second = keys.view(np.int64).reshape(-1, 2).T
            if (names.take(first) == names.take(second)).all():
                return first, second
        order = np.argsort(names[slots])  # leading bits that are equal by chance, or an odd number of cut edges
        slots = slots[order]
        names = names[slots]
        if len(names) % 2 or (names[0::2] != names[1::2]).any() or (names[1:-1:2] == names[2::2]).any():
            return None
        return slots[0::2], slots[1::2]

    def edge(self, slots: np.ndarray) -> np.ndarray:
        """Which cut edge a slot belongs to."""
        return slots & ((1 << self.bits) - 1)

    def without_one(self, planes: list[np.ndarray], slots: np.ndarray):
        """The planes of the 2-face of each slot, as d − 2 arrays; ``planes``: of the cut edges, d − 1 arrays."""
        left_out_and_edge = slots >> 1 & ~((1 << self.bits) - 1) | self.edge(slots)
        cut, table = len(planes[0]), np.empty((len(planes), 1 << self.bits), dtype=planes[0].dtype)
        for i in range(len(planes) - 1):
            table[: i + 1, :cut], table[i + 1 :, :cut] = planes[i + 1], planes[i]
            yield table.reshape(-1).take(left_out_and_edge)
