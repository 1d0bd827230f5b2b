"""Writes certificates: an answer together with all that a checker needs to believe it without us.

The format (:mod:`nnequiv.certificate.check` says why it proves anything). One JSON object; every real number is a
hexadecimal string such as ``0x1.8p+0``, every other number is whole::

    {"format": "nnequiv certificate 2",
     "networks": {"f": {"sha256": …, "layers": [{"weight": [[…]], "bias": […]}, …]}, "g": …},
     "claims": [{"networks": ["f", "g"],
                 "input_set": {"lower": […], "upper": […], "matrix": [[…]], "bound": […]},
                 "question": {"kind": "difference", "outputs": [0, 1], "epsilon": ["0x0.0p+0", …]},
                             or {"kind": "winner", "k": 1, "margin": …}, {"kind": "order", "i": 0, "j": 1}
                 "lower": …, "witness": […], "upper": …,                     null where nothing is claimed
                 "proof": [["input", 2, "0x0.0p+0"], ["leaf", []], …]}]}

Nodes are ``["input", i, value]``, ``["relu", neuron]`` (f's hidden neurons first), ``["objectives", [o, …]]`` and
``["leaf", [[o, [[kind, index, multiplier], …]], …]]`` with kinds goal, guard, sign, zero, line: the multipliers of each
objective o that its first goal does not prove alone. Half-spaces are numbered after an objective's other guards.

The SHA-256 is that of :func:`nnequiv.certificate.check.digest`. A claim without a witness may speak of an empty set, if
half-spaces cut the box.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from nnequiv.certificate.check import FORMAT, digest, read
from nnequiv.certificate.prove import prove
from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.engine import InputSet
from nnequiv.relations import Epsilon, Order, Relation, Top1, TopK, discrepancy_objectives
from nnequiv.results import Discrepancy, Equivalence, Verdict
from nnequiv.rounding import evaluate_exact


@dataclass(frozen=True)
class Certificate:
    """What a checker needs. ``record`` is the JSON object of the module's docstring.

    Examples
    --------
    >>> import nnequiv as nq
    >>> f, g = nq.Network([([[1.0]], [0.0])]), nq.Network([([[0.5]], [0.0])])
    >>> proof = nq.max_discrepancy(f, g, nq.Box([0.0], [1.0])).certificate()
    >>> nq.check_certificate(proof).accepted
    True
    """

    record: dict

    def save(self, path) -> None:
        """Write it as JSON, gzipped where the name ends in ``.gz``: the whole file or none."""
        text = json.dumps(self.record, separators=(",", ":"), allow_nan=False).encode()
        data = gzip.compress(text, compresslevel=4, mtime=0) if str(path).endswith(".gz") else text
        _write_atomically(Path(path), data)

    @classmethod
    def load(cls, path) -> Certificate:
        """What :meth:`save` wrote; ValueError if it is no certificate. Whether it proves anything, the checker says."""
        try:
            record = read(path)
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
        except Exception as error:
            raise ValueError(f"{path}: no certificate ({error})") from None
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"{path}: no certificate (its format is not {FORMAT!r})")
        return cls(record)


@dataclass(frozen=True, eq=False)
class Statement:
    """What is to be certified about two networks, by name, on one input set.

    Attributes
    ----------
    pair : (str, str)
    input_set : Box or Polytope
    question : Relation or tuple of ints
        A relation, or the outputs whose discrepancy is spoken of.
    lower : float, optional
        Some objective is at least this at ``witness``.
    witness : sequence of floats, optional
    upper : float, optional
        No objective is above this anywhere: this needs a proof.
    """

    pair: tuple[str, str]
    input_set: InputSet
    question: Relation | tuple[int, ...]
    lower: float | None = None
    witness: Sequence[float] | None = None
    upper: float | None = None


def certify(
    networks: dict[str, Network], statements: Iterable[Statement], control: Control | None = None
) -> Certificate:
    """A certificate of some statements.

    Parameters
    ----------
    networks : dict of Network
        By the names that the statements use.
    statements : iterable of Statement
    control : Control, optional
        Watches the search for proofs.

    Raises
    ------
    nnequiv.certificate.prove.NotProved
        If an upper bound is false, or true by less than what rounding needs.
    nnequiv.Stopped
        If the time is up first.

    Examples
    --------
    >>> from nnequiv import Box, check_certificate
    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[1.0]], [0.25])])
    >>> claim = Statement(("f", "g"), Box([0.0], [1.0]), Epsilon(0.5), upper=0.0)
    >>> check_certificate(certify({"f": f, "g": g}, [claim])).accepted
    True
    """
    control = control or Control()
    statements = list(statements)
    return Certificate(
        {
            "format": FORMAT,
            "networks": {name: _network(network) for name, network in networks.items()},
            "claims": [_claim(networks, statement, control) for statement in statements],
        }
    )


def certificate(
    answer: Discrepancy | Equivalence,
    f: Network,
    g: Network,
    input_set: InputSet,
    question: Relation | Sequence[int] | None = None,
    *,
    control: Control | None = None,
) -> Certificate:
    """The certificate of an answer of :func:`nnequiv.max_discrepancy` or :func:`nnequiv.check_equivalence`.

    Parameters
    ----------
    answer, f, g, input_set
        The answer, and what was asked.
    question : Relation, or sequence of outputs
        The relation that was checked; for a discrepancy the outputs, all of them by default.

    Notes
    -----
    A discrepancy's ``upper`` is certified to its tolerance: what the certificate proves is at most
    ``max(upper, lower + tolerance)``.

    Examples
    --------
    >>> import nnequiv as nq
    >>> f, g, box = nq.Network([([[1.0]], [0.0])]), nq.Network([([[1.5]], [0.25])]), nq.Box([0.0], [1.0])
    >>> answer = nq.check_equivalence(f, g, box, nq.Epsilon(1.0))
    >>> nq.check_certificate(certificate(answer, f, g, box, nq.Epsilon(1.0))).text
    'proved: EQUIVALENT: max |f_i - g_i| - 1.0 over i in [0] <= 0.0, on [0.0, 1.0] (f 9ceed2d18cdd, g 2090223eafaa)'
    """
    statement = statement_of(answer, f, g, input_set, question)
    return certify({"f": f, "g": g}, [statement], control)


def statement_of(answer, f: Network, g: Network, input_set: InputSet, question=None, pair=("f", "g")) -> Statement:
    """What an answer claims, in the form that can be certified."""
    witness = answer.witness
    if isinstance(answer, Equivalence):
        if question is None:
            raise ValueError(f"the certificate of a verdict needs the relation, such as {answer.relation}")
        violated = answer.verdict is Verdict.NOT_EQUIVALENT
        lower = _value_at((f, g), question.objectives(f.n_outputs), witness) if violated else None
        upper = 0.0 if answer.verdict is Verdict.EQUIVALENT else None
        if lower is upper is None:
            raise ValueError(f"the verdict is UNKNOWN ({answer.reason}): there is nothing to certify")
        return Statement(pair, input_set, question, lower, witness if violated else None, upper)
    outputs = tuple(range(f.n_outputs)) if question is None else tuple(question)
    upper = max(answer.upper, float(np.nextafter(answer.lower + answer.tolerance, np.inf)))
    lower = None if witness is None else answer.lower
    return Statement(pair, input_set, outputs, lower, witness, upper if np.isfinite(upper) else None)


def _write_atomically(path: Path, data: bytes) -> None:
    """The whole file or none. (Nothing in the core imports ``nnequiv.io``.)"""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _hex(values):
    values = np.asarray(values, dtype=np.float64).tolist()
    return [[v.hex() for v in row] if isinstance(row, list) else row.hex() for row in values]


def _network(network: Network) -> dict:
    layers = [{"weight": _hex(layer.weight), "bias": _hex(layer.bias)} for layer in network.layers]
    return {"sha256": digest([(layer.weight, layer.bias) for layer in network.layers]), "layers": layers}


def _question(question, n_outputs: int) -> tuple[dict, list]:
    """A question as the certificate names it, and its objectives in the order in which the checker builds them."""
    if isinstance(question, Epsilon):
        epsilon = np.broadcast_to(np.asarray(question.epsilon, dtype=np.float64), n_outputs)
        record = {"kind": "difference", "outputs": list(range(n_outputs)), "epsilon": _hex(epsilon)}
    elif isinstance(question, Top1):
        record = {"kind": "winner", "k": 1, "margin": float(question.margin).hex()}
    elif isinstance(question, TopK):
        record = {"kind": "winner", "k": int(question.k), "margin": (0.0).hex()}
    elif isinstance(question, Order):
        record = {"kind": "order", "i": int(question.i), "j": int(question.j)}
    else:
        outputs = [int(i) for i in question]
        record = {"kind": "difference", "outputs": outputs, "epsilon": _hex(np.zeros(len(outputs)))}
        return record, discrepancy_objectives(n_outputs, outputs)
    return record, question.objectives(n_outputs)


def _claim(networks: dict[str, Network], statement: Statement, control: Control) -> dict:
    pair = tuple(networks[name] for name in statement.pair)
    question, objectives = _question(statement.question, pair[0].n_outputs)
    box, (matrix, bound) = statement.input_set.box, statement.input_set.cuts
    upper = statement.upper
    return {
        "networks": list(statement.pair),
        "input_set": {
            "lower": _hex(box.lower),
            "upper": _hex(box.upper),
            "matrix": _hex(matrix),
            "bound": _hex(bound),
        },
        "question": question,
        "lower": None if statement.lower is None else float(statement.lower).hex(),
        "witness": None if statement.lower is None else _hex(statement.witness),
        "upper": None if upper is None else float(upper).hex(),
        "proof": [] if upper is None else prove(pair, statement.input_set, objectives, upper, control),
    }


def _value_at(networks, objectives, point) -> float:
    """The largest objective at a point, exactly, then rounded down."""
    outputs = [value for network in networks for value in evaluate_exact(network, point)]
    exact = max(value for objective in objectives if (value := objective.exact_value(outputs)) is not None)
    near = float(exact)
    return near if Fraction(near) <= exact else float(np.nextafter(near, -np.inf))
