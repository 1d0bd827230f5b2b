"""What an engine is: the one task every algorithm in this folder solves, and what it answers.

The task: given one network or a pair on an input set X, bound ``max over objectives and x in X`` from both sides.
An engine that lists pieces has :meth:`pieces` as well. Engines are small frozen dataclasses that carry their options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.relations import Objective
from nnequiv.rounding import dot_error, evaluate_with_error
from nnequiv.sets import Box, Polytope

InputSet = Box | Polytope


@dataclass(frozen=True, eq=False)
class Piece:
    """A set of inputs on which every neuron keeps its sign, and the affine map there.

    Attributes
    ----------
    pattern : (n_hidden,) bool array
        Hidden neurons of the network, or of f and then of g for a pair.
    matrix, offset : (m, n) and (m,) arrays
        ``y = matrix @ x + offset`` on the piece; for a pair, y stacks f's and g's outputs. Columns of fixed inputs
        may be zero: their share is then in ``offset``.
    polytope : Polytope
        The piece itself, in the input space.
    error : (m,) array
        Proved: ``|y(x) − (matrix @ x + offset)| ≤ error`` on the piece, rounding included.
    vertices : (k, n) array or None
        From engines that have them.
    """

    pattern: np.ndarray
    matrix: np.ndarray
    offset: np.ndarray
    polytope: Polytope
    error: np.ndarray
    vertices: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Optimum:
    """An engine's answer: ``lower ≤ max ≤ upper``, over all objectives and all x in X.

    Attributes
    ----------
    lower : float
        Attained at ``witness``: re-evaluated through the networks, its rounding subtracted (−inf without one).
    upper : float
        Proved, rounding included; −inf if no x satisfies any guard.
    objective : int or None
        Index of the objective that the witness belongs to.
    witness : (n,) array or None
        A point that lies in X exactly.
    reason : str
        Empty when the engine finished; else why it stopped.
    proof : str
        In words, what makes ``upper`` sound (and which fallback was taken, if any).
    """

    lower: float
    upper: float
    objective: int | None = None
    witness: np.ndarray | None = None
    pieces: int = 0
    nodes: int = 0
    lps: int = 0
    reason: str = ""
    proof: str = ""


@runtime_checkable
class Engine(Protocol):
    """The protocol. With a ``threshold`` a verdict is wanted: stop once ``lower`` is above it or ``upper`` is not."""

    name: ClassVar[str]

    def maximise(
        self,
        networks: tuple[Network, ...],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum: ...


@runtime_checkable
class Enumerator(Engine, Protocol):
    """An engine that can list the pieces of one network or a pair."""

    def pieces(self, networks: tuple[Network, ...], input_set: InputSet, control: Control) -> Iterator[Piece]: ...


def stacked_outputs(networks: Sequence[Network], points) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of all networks side by side, with their proved rounding errors: two ``(k, m)`` arrays."""
    parts = [evaluate_with_error(network, np.atleast_2d(points)) for network in networks]
    return np.hstack([values for values, _ in parts]), np.hstack([errors for _, errors in parts])


def attained(networks: Sequence[Network], objective: Objective, points) -> np.ndarray:
    """Proved lower bounds on the objective's value at each point ``(k, n)``; −inf where a guard may fail."""
    outputs, errors = stacked_outputs(networks, points)

    def below(rows, offsets):
        size = np.abs(rows).T
        slack = errors @ size * (1 + 1e-12) + dot_error(
            rows.shape[1], (np.abs(outputs) + errors) @ size + np.abs(offsets)
        )
        return outputs @ rows.T + offsets - slack  # (k, rows)

    value = below(objective.goal, objective.goal_offset).min(axis=1)
    if len(objective.guard):
        value = np.where((below(objective.guard, objective.guard_offset) >= 0).all(axis=1), value, -np.inf)
    return value
