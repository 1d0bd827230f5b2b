"""The open parts of a search: a best-first queue whose parts are rows of arrays, with bounded memory."""

from __future__ import annotations

import heapq

import numpy as np


class Queue:
    """Parts with an upper bound each, the largest out first.

    Beyond ``memory`` bytes of parts the newest come out first: the search turns depth-first, and the queue grows by no
    more than the depth of the tree times a batch.

    >>> queue = Queue(memory=1e6)
    >>> queue.push(np.array([1.0, 3.0]), {"name": np.array([7, 8])})
    >>> queue.upper
    3.0
    >>> queue.pop(1)[1]["name"], len(queue)
    (array([8]), 1)
    """

    def __init__(self, memory: float):
        self.memory = memory
        self._heap: list[tuple[int, float, int]] = []
        self._free: list[int] = []
        self._fields: dict[str, np.ndarray] = {}
        self._bound = np.zeros(0)
        self._pushes = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def upper(self) -> float:
        """Largest bound of a part in the queue; −inf if there is none."""
        return float(self._bound.max(initial=-np.inf))

    def push(self, bound: np.ndarray, fields: dict[str, np.ndarray]) -> None:
        """Add parts with upper bounds ``(B,)`` and fields ``(B, …)``, the same names every time."""
        count = len(bound)
        if count > len(self._free):
            self._grow(count, fields)
        slots = [self._free.pop() for _ in range(count)]
        self._bound[slots] = bound
        for name, values in fields.items():
            self._fields[name][slots] = values
        self._pushes += 1
        size = sum(values[:1].nbytes for values in self._fields.values())
        tier = -self._pushes if len(self._heap) * size > self.memory else 0
        for slot, value in zip(slots, bound.tolist(), strict=True):
            heapq.heappush(self._heap, (tier, -value, slot))

    def pop(self, count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Take out up to ``count`` parts: their bounds and fields."""
        slots = [heapq.heappop(self._heap)[2] for _ in range(min(count, len(self._heap)))]
        bound = self._bound[slots]
        fields = {name: values[slots] for name, values in self._fields.items()}
        self._bound[slots] = -np.inf
        self._free += slots
        return bound, fields

    def state(self) -> dict[str, np.ndarray]:
        """All of it as arrays; :meth:`restore` makes a queue that gives out the same parts in the same order."""
        tier, bound, slot = zip(*self._heap, strict=True) if self._heap else ((), (), ())
        state = {"tier": np.array(tier, dtype=np.int64), "bound": -np.array(bound, dtype=np.float64)}
        state |= {"slot": np.array(slot, dtype=np.int64), "free": np.array(self._free, dtype=np.int64)}
        state["pushes"] = np.array(self._pushes, dtype=np.int64)
        used = list(slot)
        return state | {f"field.{name}": values[used] for name, values in self._fields.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Become the queue whose :meth:`state` this is; ValueError if it is no queue's."""
        tier, bound, slot, free = (state[name] for name in ("tier", "bound", "slot", "free"))
        fields = {name[6:]: values for name, values in state.items() if name.startswith("field.")}
        size = len(slot) + len(free)
        if not len(tier) == len(bound) == len(slot) or any(len(values) != len(slot) for values in fields.values()):
            raise ValueError("parts, bounds and fields differ in number")
        if not np.array_equal(np.sort(np.concatenate([slot, free])), np.arange(size)) or np.isnan(bound).any():
            raise ValueError("parts without a place or a bound")
        self._heap = list(zip(tier.tolist(), (-bound).tolist(), slot.tolist(), strict=True))
        self._free, self._pushes = free.tolist(), int(state["pushes"])
        self._bound = np.full(size, -np.inf)
        self._bound[slot] = bound
        self._fields = {}
        for name, values in fields.items():
            self._fields[name] = np.zeros((size, *values.shape[1:]), values.dtype)
            self._fields[name][slot] = values

    def _grow(self, count: int, fields: dict[str, np.ndarray]) -> None:
        old = len(self._bound)
        new = max(2 * old, old + count, 64)
        self._free += range(new - 1, old - 1, -1)
        self._bound = np.concatenate([self._bound, np.full(new - old, -np.inf)])
        for name, values in fields.items():
            values = np.asarray(values)
            kept = self._fields.get(name, np.zeros((0, *values.shape[1:]), values.dtype))
            extra = np.zeros((new - old, *values.shape[1:]), values.dtype)
            self._fields[name] = np.concatenate([kept, extra])
