"""What repair answers: its history, the network it reached, and whether that network is proved."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from nnequiv.compression import Compressed
from nnequiv.results import Discrepancy, plain


@dataclass(frozen=True, eq=False)
class Round:
    """One look at g: round 0 is g as it came, round k what k trainings made of it.

    Attributes
    ----------
    discrepancies : tuple of Discrepancy
        One an input set.
    loss : float
        Mean loss of the training that led here; NaN in round 0.
    accuracy : float
        On the training labels; NaN without labels.
    seconds : float
        Of this training and this look.
    """

    number: int
    discrepancies: tuple[Discrepancy, ...]
    loss: float
    accuracy: float
    seconds: float

    @property
    def intervals(self) -> np.ndarray:
        """``[lower, upper]`` of the discrepancy on each input set, ``(sets, 2)``."""
        return np.array([[entry.lower, entry.upper] for entry in self.discrepancies])

    @property
    def witnesses(self) -> np.ndarray:
        """Where the lower bounds are attained, ``(k, n)``: one an input set, but for sets where none was found."""
        return np.array([entry.witness for entry in self.discrepancies if entry.witness is not None])

    @property
    def worst(self) -> tuple[float, float]:
        """The discrepancy over all input sets together: ``lower, upper``."""
        lower, upper = self.intervals.max(axis=0)
        return float(lower), float(upper)

    def _record(self) -> dict:
        return {
            "round": self.number,
            "intervals": self.intervals,
            "witnesses": [entry.witness for entry in self.discrepancies],
            "loss": self.loss,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, eq=False)
class Repair:
    """What repair has reached.

    Attributes
    ----------
    network : Compressed
        g of the best round, on its constraint.
    history : tuple of Round
    proved : bool
        A proof from scratch: on every input set, ``|f − network| ≤ target`` in every output.
    discrepancies : tuple of Discrepancy
        That proof, one an input set; empty if the call was stopped before it.
    target : float
    seconds : float
    reason : str
        Why ``proved`` is False; empty if it is True.
    """

    network: Compressed
    history: tuple[Round, ...]
    proved: bool
    discrepancies: tuple[Discrepancy, ...]
    target: float
    seconds: float
    reason: str = ""

    def certificate(self, control=None):
        """A proof, for each input set, of how far g was before and that the network is within the target now.

        Returns a :class:`nnequiv.Certificate`; raises ValueError if the repair is not proved.
        """
        from nnequiv.certificate.repaired import certify_repair  # which needs what this module is built on

        if not self.proved:
            raise ValueError(f"the repair is not proved: {self.reason}")
        return certify_repair(self.history[0].discrepancies, self.discrepancies, self.target, control)

    def to_json(self, indent: int | None = None) -> str:
        """All but the network's weights, as one JSON object."""
        record = {
            "proved": self.proved,
            "target": self.target,
            "seconds": self.seconds,
            "reason": self.reason,
            "history": [entry._record() for entry in self.history],
            "discrepancies": [json.loads(discrepancy.to_json()) for discrepancy in self.discrepancies],
        }
        return json.dumps(plain(record), indent=indent, allow_nan=False)
