"""How a long call is watched, stopped, kept and spread: progress, time limit, checkpoint, workers. One object."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field


class Stopped(Exception):
    """Raised inside an engine when its time is up; says why. An engine turns it into what is proved so far.

    >>> Control(time_limit=0.0).check()
    Traceback (most recent call last):
    ...
    nnequiv.control.Stopped: time limit of 0 s reached
    """


@dataclass
class Checkpoint:
    """Where a call keeps its state, so that a later one goes on after this one was killed.

    Parameters
    ----------
    write : callable
        Takes ``facts``, a dict that JSON can hold, and ``arrays``, a dict of arrays; keeps all of it or nothing. Raises
        :class:`Stopped` if it cannot.
    saved : pair of dicts, optional
        The facts and arrays that an earlier call kept.
    every : float
        Seconds between two writes.
    """

    write: Callable[[dict, dict], None]
    saved: tuple[dict, dict] | None = None
    every: float = 60.0

    def __post_init__(self):
        if not self.every >= 0:
            raise ValueError(f"checkpoint_every is {self.every}: it must be at least 0 seconds")


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
    checkpoint : Checkpoint, optional
        Where an engine that can keeps its state.

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
    checkpoint: Checkpoint | None = None
    _last: float = field(default=0.0, repr=False)
    _kept: float = field(default=float("-inf"), repr=False)

    def __post_init__(self):
        if self.time_limit is not None and not self.time_limit >= 0:
            raise ValueError(f"time_limit is {self.time_limit}: it must be at least 0 seconds")

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return time.perf_counter() - self.started

    @property
    def all_seconds(self) -> float:
        """With those of the earlier calls that this one goes on from."""
        saved = self.checkpoint.saved if self.checkpoint is not None else None
        return self.seconds + (saved[0]["seconds"] if saved is not None else 0.0)

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

    def keep(self, state: Callable[[], tuple[dict, dict]], last: bool = False) -> None:
        """Write ``state()``, facts and arrays, to the checkpoint: if it is due, if the time is up, or as the ``last``.

        To be called between two steps only: what is written must cover all that is not done yet.
        """
        if self.checkpoint is None:
            return
        if last or self.remaining == 0 or self.seconds - self._kept >= self.checkpoint.every:
            facts, arrays = state()
            self.checkpoint.write(facts | {"seconds": self.all_seconds}, arrays)
            self._kept = self.seconds
