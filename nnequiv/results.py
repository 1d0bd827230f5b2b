"""What is answered: frozen dataclasses that carry their evidence and round-trip through JSON."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import dataclass, field, fields
from enum import Enum

import numpy as np

from nnequiv.version import VERSION


class Verdict(Enum):
    """EQUIVALENT and NOT_EQUIVALENT are proved; UNKNOWN is honest.

    >>> Verdict("UNKNOWN") is Verdict.UNKNOWN
    True
    """

    EQUIVALENT = "EQUIVALENT"
    NOT_EQUIVALENT = "NOT_EQUIVALENT"
    UNKNOWN = "UNKNOWN"


def plain(value):
    """A value as JSON can hold it: arrays as lists, infinities as the strings ``inf`` and ``-inf``, enums by value."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


class Json:
    """What has a record of plain values can be written as one JSON object."""

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object, complete and without NaN."""
        return json.dumps(plain(self._record()), indent=indent, allow_nan=False)

    def _record(self) -> dict:
        raise TypeError(f"{type(self).__name__} has no record")


@dataclass(frozen=True, eq=False)
class Asked:
    """What was asked: two networks, an input set, and a relation or the outputs whose discrepancy is meant."""

    f: object
    g: object
    input_set: object
    question: object


@dataclass(frozen=True)
class Answer(Json):
    """What every answer has.

    Attributes
    ----------
    lower, upper : float
        The proved interval: ``lower`` is attained at ``witness``, ``upper`` is proved, rounding included.
    output : int or None
        The output the witness speaks of.
    witness : tuple of floats or None
        A point of the input set.
    pieces, nodes, lps : int
        Pieces listed, parts bounded, LPs solved.
    seconds : float
    engine : str
        The engine and, if it was chosen for the caller, why.
    proof : str
        What ``upper`` rests on.
    reason : str
        Why an answer is not complete; empty if it is.
    asked : Asked or None
        What a certificate needs; neither compared nor written as JSON.
    """

    lower: float
    upper: float
    output: int | None
    witness: tuple[float, ...] | None
    pieces: int
    nodes: int
    lps: int
    seconds: float
    engine: str
    tolerance: float
    proof: str = ""
    reason: str = ""
    version: str = VERSION
    asked: Asked | None = field(default=None, compare=False, repr=False)

    def _record(self) -> dict:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "asked"}

    def certificate(self, control=None):
        """The answer with a proof that an independent checker can go over: :class:`nnequiv.Certificate`.

        Parameters
        ----------
        control : Control, optional
            A time limit for the search for the proof.

        Raises
        ------
        ValueError
            If the answer was read from JSON, or is UNKNOWN, or no proof was found.

        Examples
        --------
        >>> import nnequiv as nq
        >>> f, g = nq.Network([([[1.0]], [0.0])]), nq.Network([([[0.5]], [0.0])])
        >>> answer = nq.check_equivalence(f, g, nq.Box([0.0], [1.0]), nq.Epsilon(0.6))
        >>> nq.check_certificate(answer.certificate()).accepted
        True
        """
        if self.asked is None:
            raise ValueError("the answer does not hold what was asked: call nnequiv.certificate.certificate with it")
        asked = self.asked  # certificates are built on answers, not the other way around: imported when asked for
        write = importlib.import_module("nnequiv.certificate").certificate
        return write(self, asked.f, asked.g, asked.input_set, asked.question, control=control)

    @classmethod
    def from_json(cls, text: str):
        """The answer that :meth:`to_json` wrote: equal to it."""
        record = json.loads(text)
        names = {field.name for field in fields(cls)}
        values = {name: value for name, value in record.items() if name in names}
        for name in ("lower", "upper", "seconds", "tolerance"):
            values[name] = float(values[name])
        if values["witness"] is not None:
            values["witness"] = tuple(float(v) for v in values["witness"])
        return cls(**values)


@dataclass(frozen=True)
class Discrepancy(Answer):
    """``lower ≤ δ_max ≤ upper``: how far apart two networks are on an input set.

    >>> d = Discrepancy(0.5, 0.5, 0, (1.0,), 2, 0, 4, 0.1, "star", 1e-6)
    >>> d.exact, Discrepancy.from_json(d.to_json()) == d
    (True, True)
    """

    @property
    def exact(self) -> bool:
        """Whether the interval is no wider than the tolerance."""
        return self.upper - self.lower <= self.tolerance

    def _record(self) -> dict:
        return {"verdict": None, **super()._record()}


@dataclass(frozen=True)
class Equivalence(Answer):
    """A three-valued verdict on a relation.

    Attributes
    ----------
    verdict : Verdict
    relation : str
        Such as ``Epsilon(epsilon=0.05)``.
    lower, upper : float
        The interval of the largest violation: the relation holds iff it is ≤ 0. For ``Epsilon(e)`` that is
        ``max |f_i − g_i| − e``; for the others the lead of an output that g should not prefer.

    Examples
    --------
    >>> e = Equivalence(-0.1, -0.1, 0, (1.0,), 2, 0, 4, 0.1, "star", 1e-6, verdict=Verdict.EQUIVALENT)
    >>> Equivalence.from_json(e.to_json()) == e
    True
    """

    verdict: Verdict = Verdict.UNKNOWN
    relation: str = ""

    @classmethod
    def from_json(cls, text: str):
        """The answer that :meth:`to_json` wrote: equal to it."""
        record = json.loads(text)
        answer = super().from_json(text)
        object.__setattr__(answer, "verdict", Verdict(record["verdict"]))
        return answer
