"""Bounds against time: how the proved interval closes while a search runs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes

from nnequiv.plot.style import CYCLE, plain, ready
from nnequiv.results import Answer


@dataclass
class Trace:
    """Writes down the bounds of a call: ``progress=trace`` while it runs, ``trace.finish(answer)`` at its end.

    Examples
    --------
    >>> trace = Trace()
    >>> trace(lower=0.5, upper=2.0)
    >>> trace(lower=1.0, upper=1.5)
    >>> trace.lower, trace.upper
    ([0.5, 1.0], [2.0, 1.5])

    With ``Trace(shown=True)`` the call draws its line on the terminal too.
    """

    seconds: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    shown: bool = False

    #: Seconds between two reports that the call may leave out (see :class:`nnequiv.Control`): none are.
    interval = 0.0

    def __call__(self, lower: float = -math.inf, upper: float = math.inf, **_) -> None:
        self.seconds.append(time.perf_counter() - self.started)
        self.lower.append(float(lower))
        self.upper.append(float(upper))

    def finish(self, answer: Answer) -> Trace:
        """Add what the call answered."""
        self(answer.lower, answer.upper)
        return self


def bounds_over_time(
    traces: Trace | Mapping[str, Trace], ax: Axes | None = None, *, unit: str = "output units", caption: str = ""
) -> Axes:
    """The proved interval of δ while a search runs: what is known at any time lies between the two lines.

    Parameters
    ----------
    traces : Trace, or name → Trace
    unit : of the networks' outputs
    caption : str
        Such as :func:`nnequiv.plot.about` makes.
    """
    ax = ready(ax, caption, 5.6, 3.6)
    named = traces if isinstance(traces, Mapping) else {"": traces}
    for (name, trace), color in zip(named.items(), CYCLE, strict=False):
        seconds, lower, upper = _finite(trace)
        prefix = f"{name}: " if name else ""
        ax.step(seconds, upper, where="post", color=color, linewidth=1.6, label=f"{prefix}upper, proved")
        ax.step(
            seconds, lower, where="post", color=color, linewidth=1.6, linestyle="--", label=f"{prefix}lower, at a point"
        )
        ax.fill_between(seconds, lower, upper, step="post", color=color, alpha=0.15)
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.set_xlabel("seconds", fontsize=9)
    ax.set_ylabel(f"largest |f − g| ({unit})", fontsize=9)
    ax.legend(fontsize=7.5, framealpha=0.9, edgecolor="none")
    plain(ax)
    return ax


def gap_over_time(
    traces: Trace | Mapping[str, Trace], ax: Axes | None = None, *, unit: str = "output units", caption: str = ""
) -> Axes:
    """The width of the interval while a search runs, on a log scale."""
    ax = ready(ax, caption, 5.6, 3.6)
    named = traces if isinstance(traces, Mapping) else {"": traces}
    for (name, trace), color in zip(named.items(), CYCLE, strict=False):
        seconds, lower, upper = _finite(trace)
        ax.step(seconds, np.maximum(upper - lower, 1e-16), where="post", color=color, linewidth=1.6, label=name or None)
    ax.set_yscale("log")
    ax.set_xlim(left=0)
    ax.set_xlabel("seconds", fontsize=9)
    ax.set_ylabel(f"gap: upper − lower ({unit})", fontsize=9)
    if isinstance(traces, Mapping):
        ax.legend(fontsize=7.5, framealpha=0.9, edgecolor="none")
    plain(ax)
    return ax


def _finite(trace: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, lower and upper bounds from the first finite upper bound on; δ is never below 0; bounds only improve."""
    seconds, lower, upper = (np.array(values) for values in (trace.seconds, trace.lower, trace.upper))
    kept = np.isfinite(upper)
    if not kept.any():
        raise ValueError("the trace has no finite upper bound: pass it as progress= and finish(answer)")
    lower = np.maximum.accumulate(np.maximum(lower[kept], 0.0))
    return seconds[kept], lower, np.maximum(np.minimum.accumulate(upper[kept]), lower)
