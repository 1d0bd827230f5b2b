"""What repair answers: its history, the network it reached, and what is proved of that network and of its rivals."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np

from nnequiv.compression import Compressed
from nnequiv.results import Answer, Discrepancy, Json, plain
from nnequiv.sets import Box, Polytope
from nnequiv.version import VERSION


@dataclass(frozen=True)
class Violation(Answer):
    """How far outputs leave a target set on an input set, in the units of its rows: ``lower ≤ largest ≤ upper``.

    They lie in it everywhere iff the largest is ≤ 0.

    >>> v = Violation(-0.5, -0.5, None, (1.0,), 2, 0, 4, 0.1, "star", 1e-6)
    >>> Violation.from_json(v.to_json()) == v
    True
    """

    def certificate(self, control=None):
        raise ValueError("certificates speak of distances to f, not of other target sets")


@dataclass(frozen=True)
class Part:
    """Outputs that a target couples, and their part of the last layer.

    Attributes
    ----------
    outputs : tuple of int
    before, value : float
        The largest value of the old and of the new layer over the points: attained up to rounding, not proved.
    lower_bound : float
        Proved: no last layer has a smaller value.
    limit : float
        What ``lower_bound`` says only speaks of last layers with entries up to this; infinite if of all of them.
    how : str
        How it is proved (:mod:`nnequiv.repair.lower_bound`).
    rounds : int
        Of cutting planes.
    """

    outputs: tuple[int, ...]
    before: float
    value: float
    lower_bound: float
    limit: float
    how: str
    rounds: int

    @classmethod
    def of(cls, outputs, before: float, chosen, bound) -> Part:
        outputs = tuple(int(i) for i in outputs)
        return cls(outputs, before, chosen.value, bound.value, bound.limit, bound.how, chosen.rounds)

    def bounded_by(self, other: Part) -> Part:
        """The same with another part's lower bound."""
        return replace(self, lower_bound=other.lower_bound, limit=other.limit, how=other.how)


#: A last layer is called optimal if its proved value is within this share of the proved lower bound.
OPTIMAL = 1e-6


@dataclass(frozen=True)
class LastLayer(Json):
    """The best last layer over g's hidden layers, and the proof that it is.

    Attributes
    ----------
    lower, upper : float
        The largest value over all input sets, proved on ``network`` from scratch: the discrepancy from f, or how far
        the target set is left (≤ 0: nowhere).
    lower_bound : float
        Proved: no last layer over these hidden layers, on the same mask or within the range of the same grid, has a
        smaller value.
    limit : float
        ``lower_bound`` only speaks of last layers with entries up to this; infinite if of all of them.
    threshold : float or None
        The value at which the target is reached; None if none was given.
    rounds : int
        Of solving and proving.
    parts : tuple of Part
        Output by output, or by groups of outputs that the target couples.
    discrepancies : tuple of Discrepancy, or of Violation
        The proof of ``upper``, one an input set; empty if the call was stopped before it.
    seconds : float
    reason : str
        Why the search ended early; empty if it did not.
    network : Compressed
        g with that last layer; neither compared nor written as JSON.

    Examples
    --------
    >>> part = Part((0,), 2.0, 0.5, 0.5, math.inf, "exact", 2)
    >>> best = LastLayer(0.5, 0.5, 0.5, math.inf, 0.25, 1, (part,), (), 0.1)
    >>> best.gap, best.optimal, best.infeasible, LastLayer.from_json(best.to_json()) == best
    (0.0, True, True, True)
    """

    lower: float
    upper: float
    lower_bound: float
    limit: float
    threshold: float | None
    rounds: int
    parts: tuple[Part, ...]
    discrepancies: tuple[Answer, ...]
    seconds: float
    reason: str = ""
    version: str = VERSION
    network: Compressed | None = field(default=None, compare=False, repr=False)

    @property
    def gap(self) -> float:
        """How much smaller the value of another last layer could be at most."""
        return max(self.upper - self.lower_bound, 0.0)

    @property
    def optimal(self) -> bool:
        """Whether no last layer is better by more than a millionth of the value."""
        return math.isfinite(self.gap) and self.gap <= OPTIMAL * abs(self.upper) and math.isinf(self.limit)

    @property
    def reached(self) -> bool:
        """Proved: the target is reached."""
        return self.threshold is not None and self.upper <= self.threshold

    @property
    def infeasible(self) -> bool:
        """Proved: no last layer (with entries up to ``limit``) reaches the target, over these hidden layers."""
        return self.threshold is not None and self.lower_bound > self.threshold

    def _record(self) -> dict:
        record = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "network"}
        record["parts"] = [asdict(part) for part in self.parts]
        record["discrepancies"] = [answer._record() for answer in self.discrepancies]
        derived = {name: getattr(self, name) for name in ("gap", "optimal", "reached", "infeasible")}
        return record | derived

    @classmethod
    def from_json(cls, text: str) -> LastLayer:
        """What :meth:`to_json` wrote: equal to it, without its network."""
        record = json.loads(text)
        values = {entry.name: record[entry.name] for entry in fields(cls) if entry.name != "network"}
        for name in ("lower", "upper", "lower_bound", "limit", "seconds"):
            values[name] = float(values[name])
        values["parts"] = tuple(_part(part) for part in record["parts"])
        values["discrepancies"] = tuple(_answer(entry) for entry in record["discrepancies"])
        return cls(**values)


def _part(record: dict) -> Part:
    numbers = {name: float(record[name]) for name in ("before", "value", "lower_bound", "limit")}
    return Part(**record | numbers | {"outputs": tuple(record["outputs"])})


def _answer(record: dict) -> Answer:
    kind = Discrepancy if "verdict" in record else Violation
    return kind.from_json(json.dumps(record))


@dataclass(frozen=True, eq=False)
class Round:
    """One look at g: round 0 is g as it came, round k what k trainings made of it.

    Attributes
    ----------
    discrepancies : tuple of Discrepancy, or of Violation
        One an input set: the distance to f, or how far the target set is left.
    loss : float
        Mean loss of the training that led here; NaN in round 0.
    accuracy : float
        On the training labels; NaN without labels.
    seconds : float
        Of this training and this look.
    """

    number: int
    discrepancies: tuple[Answer, ...]
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
        A proof from scratch: on every input set, ``|f − network| ≤ target`` in every output; or ``f − network`` in the
        target set; or each label ahead by the margin.
    discrepancies : tuple of Discrepancy, or of Violation
        That proof, one an input set; empty if the call was stopped before it.
    target : float, Box or Polytope
        As it was given; with labels their margin.
    seconds : float
    reason : str
        Why ``proved`` is False; empty if it is True.
    last_layer : LastLayer or None
        Of the methods that choose one: with the proof that no other does better over its hidden layers.
    labels : tuple of int or None
        One an input set, where there was no f.

    Examples
    --------
    >>> import nnequiv as nq
    >>> f, g = nq.Network([([[1.0]], [0.0])]), nq.Network([([[0.5]], [0.3])])
    >>> out = nq.repair(f, g, [nq.Box([0.0], [1.0])], target=0.01, rng=np.random.default_rng(0), method="last-layer")
    >>> out.proved, out.network.widths
    (True, (1, 1))
    """

    network: Compressed
    history: tuple[Round, ...]
    proved: bool
    discrepancies: tuple[Answer, ...]
    target: float | Box | Polytope
    seconds: float
    reason: str = ""
    last_layer: LastLayer | None = None
    labels: tuple[int, ...] | None = None

    @property
    def infeasible(self) -> bool:
        """Proved: no last layer over the hidden layers at hand reaches the target."""
        return self.last_layer is not None and self.last_layer.infeasible

    def certificate(self, control=None):
        """A proof, for each input set, of how far g was before and that the network is within the target now.

        Returns a :class:`nnequiv.Certificate`; raises ValueError if the repair is not proved, or was of another target
        than a distance.
        """
        from nnequiv.certificate.repaired import certify_repair  # which needs what this module is built on

        if not self.proved:
            raise ValueError(f"the repair is not proved: {self.reason}")
        if self.labels is not None or isinstance(self.target, Box | Polytope):
            raise ValueError("certificates speak of distances to f: this repair had another target")
        return certify_repair(self.history[0].discrepancies, self.discrepancies, self.target, control)

    def to_json(self, indent: int | None = None) -> str:
        """All but the network's weights, as one JSON object."""
        record = {
            "proved": self.proved,
            "infeasible": self.infeasible,
            "target": _target_record(self.target),
            "labels": self.labels,
            "seconds": self.seconds,
            "reason": self.reason,
            "last_layer": None if self.last_layer is None else self.last_layer._record(),
            "history": [entry._record() for entry in self.history],
            "discrepancies": [json.loads(discrepancy.to_json()) for discrepancy in self.discrepancies],
        }
        return json.dumps(plain(record), indent=indent, allow_nan=False)


def _target_record(target: float | Box | Polytope):
    if isinstance(target, Box):
        return {"lower": target.lower, "upper": target.upper}
    if isinstance(target, Polytope):
        within = None if target.within is None else _target_record(target.within)
        return {"matrix": target.matrix, "bound": target.bound, "within": within}
    return target
