"""What a worker process does first, wherever one is started."""

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
