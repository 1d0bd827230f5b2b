"""The checkpoint of a query: what its finished searches add up to, and the state of the one that is not finished.

Searches follow one another, and each may take hours. So the file holds how many are done and what they found, and
beside it what the engine keeps of the search it is in (:mod:`nnequiv.reach.branch_and_bound.state`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple

from nnequiv.checkpoint import hash_of, open_checkpoint
from nnequiv.control import Checkpoint, Control, Stopped
from nnequiv.io.query import Query
from nnequiv.network import Network


def query_checkpoint(path, every: float, query: Query, networks: Sequence[Network], engine) -> Checkpoint | None:
    """The checkpoint of a query, by all that its answer depends on; None without a path."""
    if path is None:
        return None
    cases = [
        [case.input_set, [[astuple(c.objective()), c.closed, c.contradictory] for c in case.conjunctions]]
        for case in query.cases
    ]
    identity = {
        **{f"network {d.name}": hash_of(n) for d, n in zip(query.declarations, networks, strict=True)},
        "the query": hash_of([cases, [selection.tolist() for selection in query.selections], repr(query.assertions)]),
        "the engine": repr(engine),
    }
    return open_checkpoint(path, identity, every)


class KeptSearch:
    """Where the searches of one call are kept; without a checkpoint it keeps nothing.

    Attributes
    ----------
    file : Checkpoint or None
    done : int
        Searches that an earlier call finished.
    record : dict or None
        What they add up to.
    failure : str
        Why the file cannot be written; empty while it can.
    """

    def __init__(self, control: Control):
        self.control, self.file, self.failure = control, control.checkpoint, ""
        facts, arrays = (self.file and self.file.saved) or ({}, {})
        try:
            self.done, self.record = int(facts.get("done", 0)), facts.get("record")
            self._seconds, inner = float(facts.get("seconds", 0.0)), facts.get("inner")
        except (TypeError, ValueError) as error:
            raise ValueError(f"the checkpoint is damaged: {type(error).__name__}: {error}") from None
        self._inner = None if inner is None else (inner, arrays)
        self._written = float("-inf")

    @property
    def seconds(self) -> float:
        """With those of the earlier calls that this one goes on from."""
        return self._seconds + self.control.seconds

    def begin(self, number: int, record: dict, stop: str) -> None:
        """Before a search: let the engine find what was kept of it, and keep more. Nothing once a search was stopped.

        Parameters
        ----------
        number : int
            Of the search: so many are done.
        record : dict
            What they add up to.
        stop : str
            Why nothing more is searched; empty while all is well.
        """
        if self.file is None:
            return
        if stop or self.control.remaining == 0:
            self.control.checkpoint = None  # what is in the file is the state of the search that was stopped
            return

        def write(facts: dict, arrays: dict) -> None:
            if self.control.remaining == 0 or self.control.seconds - self._written >= self.file.every:
                self._write(number, record, facts, arrays)

        inner, self._inner = self._inner, None
        with suppress(Stopped):  # kept as the failure
            if inner is None:
                write({}, {})
        self.control.checkpoint = Checkpoint(write, inner, self.file.every)

    def end(self, number: int, record: dict, stop: str) -> None:
        """After the last search: all is done, or stopped."""
        if self.file is not None and not stop and self.control.remaining > 0:
            with suppress(Stopped):  # the answer is known
                self._write(number, record, {}, {})

    def _write(self, number: int, record: dict, inner: dict, arrays: dict) -> None:
        facts = {"done": number, "record": record, "inner": inner or None, "seconds": self.seconds}
        try:
            self.file.write(facts, arrays)
        except Stopped as stop:
            self.failure = str(stop)
            raise
        self._written = self.control.seconds
