"""What a long call shows on the terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

from tqdm import tqdm

from nnequiv.control import Checkpoint, Control

#: Counts whose speed is worth showing; the first that is known is shown.
COUNTED = ("nodes", "pieces", "cuts", "vertices")

#: Seconds between two states of the line on the terminal.
DRAWN_EVERY = 0.1


@contextmanager
def watched(progress, time_limit, executor=None, checkpoint: Checkpoint | None = None):
    """A control for one call; ``progress=True``, or a callable that is ``shown``, draws a line of what is known."""
    listen = progress if callable(progress) else None
    interval = getattr(progress, "interval", DRAWN_EVERY)
    control = Control(listen, time_limit, executor, interval, checkpoint=checkpoint)
    if progress is not True and not getattr(progress, "shown", False):
        yield control
        return
    with tqdm(unit="", bar_format="{desc} {elapsed}") as bar:
        line = _Line(bar, control, listen)
        control.progress = line
        try:
            yield control
        finally:
            line.draw()


@dataclass
class _Line:
    """Draws what is known, and hands it on to who listens as well."""

    bar: tqdm
    control: Control
    listen: Callable | None
    first: tuple[float, dict] | None = None
    state: dict = field(default_factory=dict)
    drawn: float = float("-inf")

    def __call__(self, **state) -> None:
        if self.listen is not None:
            self.listen(**state)
        self.state, now = state, time.perf_counter()
        self.first = self.first or (now, state)
        if now - self.drawn >= DRAWN_EVERY:
            self.draw()

    def draw(self) -> None:
        """The last state that was reported; nothing if there was none."""
        if self.first is not None:
            self.drawn = time.perf_counter()
            began, before = self.first
            self.bar.set_description_str(described(self.state, before, self.drawn - began, self.control))


def described(state: dict, first: dict, seconds: float, control: Control) -> str:
    """What is known, in a line.

    Best and bound, the gap between them, parts left, and the speed since the ``first`` state. How long a search will
    take nobody knows: parts are split again. Time is only estimated where the number of steps is known, as of rounds;
    and where a time limit ends the call, that is shown.

    >>> described(dict(lower=1.0, upper=1.5, nodes=300, left=7), dict(nodes=100), 2.0, Control())
    'best 1, bound 1.5, gap 0.5, 7 parts left, 300 nodes, 100 nodes/s'
    >>> described(dict(round=2, rounds=10, lower=0.5, upper=0.5), dict(round=0), 4.0, Control())
    'round 2 of 10, about 16 s left, best 0.5, bound 0.5, gap 0'
    >>> described(dict(lower=-math.inf, upper=2.0, nodes=0, left=1), dict(nodes=0), 0.0, Control())
    'bound 2, 1 part left, 0 nodes'
    """
    state, words = dict(state), []
    if "round" in state:
        number, total = state.pop("round"), state.pop("rounds", None)
        words.append(f"round {number}" + (f" of {total}" if total else ""))
        done = number - first.get("round", 0)
        if total and done > 0:
            words.append(f"about {seconds / done * (total - number):.0f} s left")
    lower, upper, left = (state.pop(name, None) for name in ("lower", "upper", "left"))
    known = [(name, value) for name, value in (("best", lower), ("bound", upper)) if value is not None]
    words += [f"{name} {value:.6g}" for name, value in known if math.isfinite(value)]
    if lower is not None and upper is not None and math.isfinite(upper - lower):
        words.append(f"gap {max(upper - lower, 0.0):.3g}")
    if left is not None:
        words.append(f"{left} part{'s' if left != 1 else ''} left")
    words += [f"{value:.6g} {name}" if isinstance(value, float) else f"{value} {name}" for name, value in state.items()]
    counted = next((name for name in COUNTED if name in state), None)
    if counted and seconds > 0:
        words.append(f"{(state[counted] - first.get(counted, 0)) / seconds:.3g} {counted}/s")
    if control.time_limit is not None:
        words.append(f"stops in {control.remaining:.0f} s")
    return ", ".join(words)
