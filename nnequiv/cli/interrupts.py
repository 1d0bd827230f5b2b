"""SIGINT and SIGTERM: a command stops and prints what is proved so far.

The first signal raises :class:`KeyboardInterrupt`, which every engine turns into an answer; further ones are ignored,
so that the answer is printed. A few commands have no part of an answer to give: there the first signal raises
:class:`Interrupted`, which no engine catches, so that no report is made of half its numbers.

Python runs a handler between two of its own instructions: a call of HiGHS, or of any other compiled code, is finished
first. That is well below a second for the programs of all engines but "milp", whose one long call a signal cannot end.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nnequiv.worker import end_with_parent

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Commands that answer nothing in part.
WHOLE = ("check", "convert", "demo", "study", "supports")


class Interrupted(BaseException):
    """A signal came, and nothing is to be answered."""


@contextmanager
def interruptible(command: str) -> Iterator[None]:
    """Signals as above for as long as a command runs; the old handlers afterwards.

    In another thread than the main one, which alone may set handlers, and for signals that are ignored on purpose
    (as SIGINT is under ``nohup`` or ``&``), nothing is changed.

    >>> with interruptible("discrepancy"):
    ...     try:
    ...         signal.raise_signal(signal.SIGTERM)
    ...     except KeyboardInterrupt:
    ...         signal.raise_signal(signal.SIGTERM)  # ignored
    ...         print("the answer so far")
    the answer so far
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kind, seen = Interrupted if command in WHOLE else KeyboardInterrupt, []

    def stop(number, frame):
        if not seen:
            seen.append(number)
            raise kind

    old = {number: signal.getsignal(number) for number in SIGNALS}
    changed = {number: handler for number, handler in old.items() if handler not in (signal.SIG_IGN, None)}
    try:
        for number in changed:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


@contextmanager
def answering() -> Iterator[None]:
    """While an answer is written signals are ignored: it is complete, or absent.

    >>> with answering():
    ...     signal.raise_signal(signal.SIGINT)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.getsignal(number) for number in SIGNALS}
    changed = [number for number, handler in old.items() if handler is not None]
    try:
        for number in changed:
            signal.signal(number, signal.SIG_IGN)
        yield
    finally:
        for number in changed:
            signal.signal(number, old[number])


def begin_worker() -> None:
    """What a worker process does first: a terminal sends Ctrl-C to it as well, but its parent decides when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
