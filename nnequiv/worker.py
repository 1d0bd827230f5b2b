"""Worker processes: how one ends with its parent, and what an answer says where one was lost."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process when its parent has ended, however that came about.

    The workers of a pool whose caller was killed would wait for work for ever: each of them holds the other end of the
    pipe it reads from.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent) -> None:
    parent.join()
    os._exit(1)


def lost_work(failure: Exception) -> str:
    """For the proof of an answer: an executor lost a part of the work.

    Whatever the failure was, the caller does the part again: where the fault is not the executor's, it shows again.

    >>> lost_work(MemoryError())
    "a worker failed (MemoryError), what it had was done again in the caller's process"
    """
    return f"a worker failed ({type(failure).__name__}), what it had was done again in the caller's process"
