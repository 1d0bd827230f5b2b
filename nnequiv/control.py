"""How a long call is watched, stopped and spread: progress, time limit, Ctrl-C, workers. One object."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field


class Stopped(Exception):
    """Raised inside an engine when its time is up; says why. An engine turns it into what is proved so far."""


@dataclass
class Control:
    """Watches one call.

    Parameters
    ----------
    progress : callable, optional
        Called with keyword arguments (``lower``, ``upper``, ``pieces``, ``left`` …) a few times a second.
    time_limit : float, optional
        Seconds from now.
    executor : concurrent.futures.Executor, optional
        Where an engine that can may send parts of its work.

    Examples
    --------
    >>> Control(time_limit=0.0).check()
    Traceback (most recent call last):
        ...
    nnequiv.control.Stopped: time limit of 0 s reached
    """

    progress: Callable | None = None
    time_limit: float | None = None
    executor: Executor | None = None
    interval: float = 0.1
    started: float = field(default_factory=time.perf_counter)
    _last: float = field(default=0.0, repr=False)

    def __post_init__(self):
        if self.time_limit is not None and not self.time_limit >= 0:
            raise ValueError(f"time_limit is {self.time_limit}: it must be at least 0 seconds")

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    @property
    def remaining(self) -> float:
        """Seconds until the time limit, at least 0; infinite without one."""
        return float("inf") if self.time_limit is None else max(0.0, self.time_limit - self.seconds)

    def check(self, **state) -> None:
        """Report progress if it is due; raise :class:`Stopped` if the time is up. Cheap: call it often."""
        now = time.perf_counter()
        if self.progress is not None and now - self._last >= self.interval:
            self._last = now
            self.progress(**state)
        if self.time_limit is not None and now - self.started >= self.time_limit:
            raise Stopped(f"time limit of {self.time_limit:g} s reached")
