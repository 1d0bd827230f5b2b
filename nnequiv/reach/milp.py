"""The independent cross-check: every ReLU as a binary variable, HiGHS through :func:`scipy.optimize.milp`.

Source: the big-M encoding of Tjeng, Xiao, Tedrake 2019 (MIPVerify), with M from sound intervals. It shares nothing
with the enumerating engines but the networks and the interval bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

from nnequiv.control import Control, Stopped
from nnequiv.lp import HighspySolver, LPError, silent
from nnequiv.network import Layer, Network
from nnequiv.reach.engine import InputSet, Optimum, interval_bound, interval_layers
from nnequiv.reach.leaf import climb, leaf_around
from nnequiv.relations import Objective
from nnequiv.rounding import dot_error, power_of_two
from nnequiv.sets import StarSet
from nnequiv.tolerances import MILP_TOL


@dataclass(frozen=True)
class Milp:
    """Exact maximisation by mixed-integer programming, one program an objective.

    Notes
    -----
    HiGHS's tolerances are absolute, so every variable and row is brought to size 1 by a power of two.
    The witness is re-evaluated, after an LP on its own piece has removed the solver's tolerance. ``upper`` is HiGHS's
    dual bound plus what errors of ``MILP_TOL`` in every constraint and binary can do, carried through the layers.

    Sound: if HiGHS keeps its stated tolerances (it is not proved to; ``proof`` says so). Complete: to that error.

    Examples
    --------
    >>> from nnequiv import Box, Network, max_discrepancy
    >>> f, g = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])]), Network([([[0.5]], [0.0])])
    >>> round(max_discrepancy(f, g, Box([-1.0], [1.0]), engine="milp").lower, 6)
    0.5
    """

    name: ClassVar[str] = "milp"

    def maximise(
        self,
        networks: Sequence[Network],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum:
        """Solve one program for each objective; the largest counts."""
        model = _encode(networks, input_set)
        lower, upper, index, witness, reason = -np.inf, -np.inf, None, None, ""
        try:
            for i, objective in enumerate(objectives):
                control.check(lower=lower, left=len(objectives) - i)
                bound, point = _solve(model, networks, input_set, objective, control)
                upper = max(upper, bound)
                if point is not None:
                    best = climb(
                        leaf_around(networks, input_set, point), objective, networks, input_set, HighspySolver()
                    )
                    if best.reached > lower:
                        lower, index, witness = best.reached, i, best.point
                if threshold is not None and lower > threshold:
                    raise Stopped("")
        except (Stopped, KeyboardInterrupt, LPError) as stop:
            reason = "interrupted" if isinstance(stop, KeyboardInterrupt) else str(stop)
            upper = interval_bound(networks, input_set, objectives)
        proof = f"HiGHS's bound, if it keeps its tolerance of {MILP_TOL:g}"
        return Optimum(
            lower, max(upper, lower), index, witness, lps=0, nodes=model.nodes[0], reason=reason, proof=proof
        )


@dataclass
class _Model:
    """Rows ``row @ v ≤ high`` and variable bounds; ``outputs`` says how y depends on v."""

    rows: list[tuple[dict[int, float], float]] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    binary: list[bool] = field(default_factory=list)
    outputs: list[tuple[dict[int, float], float]] = field(default_factory=list)
    output_error: list[float] = field(default_factory=list)
    nodes: list[int] = field(default_factory=lambda: [0])

    def variable(self, lower: float, upper: float, binary: bool = False) -> int:
        self.lower.append(lower)
        self.upper.append(upper)
        self.binary.append(binary)
        return len(self.lower) - 1


def _combine(row: np.ndarray, offset: float, terms: list[tuple[dict[int, float], float]]) -> tuple[dict, float]:
    """``row @ terms + offset`` as one linear expression in the variables."""
    total: dict[int, float] = {}
    for weight, (coefficients, constant) in zip(row, terms, strict=True):
        if weight:
            offset += weight * constant
            for variable, value in coefficients.items():
                total[variable] = total.get(variable, 0.0) + weight * value
    return total, offset


def _encode(networks: Sequence[Network], input_set: InputSet) -> _Model:
    model, box = _Model(), input_set.box
    inputs = []
    for low, high in zip(box.lower, box.upper, strict=True):
        size = float(power_of_two(max(abs(low), abs(high))))
        inputs.append(({model.variable(low / size, high / size): size}, 0.0) if low < high else ({}, float(low)))
    for row, bound in zip(*input_set.cuts, strict=True):
        expression, constant = _combine(row, 0.0, inputs)
        size = float(power_of_two(max(map(abs, expression.values()), default=0.0)))
        model.rows.append(_divided(expression, bound - constant, size))
    for network in networks:
        terms, error = inputs, np.zeros(network.n_inputs)
        reach = np.maximum(np.abs(box.lower), np.abs(box.upper))  # of the sums that the encoding rounds
        ranges = interval_layers(network, box)
        for layer, (low, high) in zip(network.hidden, ranges, strict=False):
            error, reach = _through(layer, error, reach)
            pre = [_combine(row, bias, terms) for row, bias in zip(layer.weight, layer.bias, strict=True)]
            terms = [_relu(model, *values) for values in zip(pre, low, high, strict=True)]
            error = error + 2 * MILP_TOL * power_of_two(np.maximum(-low, high)) * ((low < 0) & (high > 0))
        last = network.layers[-1]
        model.outputs += [_combine(row, bias, terms) for row, bias in zip(last.weight, last.bias, strict=True)]
        model.output_error += _through(last, error, reach)[0].tolist()
    return model


def _through(layer: Layer, error: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a layer makes of the errors of its inputs, its own rounding added; and how large its terms can be."""
    size = np.abs(layer.weight)
    reach = size @ reach + np.abs(layer.bias)
    return size @ error + dot_error(2 * layer.n_in, reach), reach


def _relu(model: _Model, pre: tuple[dict, float], low: float, high: float) -> tuple[dict, float]:
    """``y = relu(z)``: y ≥ 0, y ≥ z, y ≤ z − low (1 − s), y ≤ high s, with a binary s where both signs occur."""
    if low >= 0:
        return pre
    if high <= 0:
        return {}, 0.0
    size = float(power_of_two(max(-low, high)))  # the variable is y / size
    y, s = model.variable(0.0, high / size), model.variable(0.0, 1.0, binary=True)
    plus, constant = _divided(*pre, size)
    minus = {variable: -value for variable, value in plus.items()}
    model.rows.append(({**plus, y: -1.0}, -constant))
    model.rows.append(({**minus, y: 1.0, s: -low / size}, constant - low / size))
    model.rows.append(({y: 1.0, s: -high / size}, 0.0))
    return {y: size}, 0.0


def _divided(coefficients: dict[int, float], constant: float, size: float) -> tuple[dict[int, float], float]:
    return {variable: value / size for variable, value in coefficients.items()}, constant / size


def _solve(
    model: _Model, networks, input_set, objective: Objective, control: Control
) -> tuple[float, np.ndarray | None]:
    """HiGHS's bound on one objective, with its error added, and the maximiser (None if it found none)."""
    highest = interval_bound(networks, input_set, [objective])
    if not np.isfinite(highest):
        raise LPError("numbers overflow")
    lowest = -interval_bound(networks, input_set, _negated_goals(objective))
    size = float(power_of_two(max(abs(highest), abs(lowest))))
    rows = model.rows + _objective_rows(model, objective, size)
    matrix = lil_matrix((len(rows), len(model.lower) + 1))
    for i, (expression, _) in enumerate(rows):
        for variable, value in expression.items():
            matrix[i, variable] = value
    left = None if control.time_limit is None else max(control.time_limit - control.seconds, 0.0)
    with silent():
        result = milp(
            -np.eye(len(model.lower) + 1)[-1],
            constraints=LinearConstraint(matrix.tocsr(), -np.inf, [high for _, high in rows]),
            integrality=np.array([*model.binary, False], dtype=int),
            bounds=Bounds([*model.lower, lowest / size], [*model.upper, highest / size]),
            options={"mip_rel_gap": 0.0, **({} if left is None else {"time_limit": left})},
        )
    model.nodes[0] += int(getattr(result, "mip_node_count", 0) or 0)
    if result.status == 2 and len(objective.guard):
        return -np.inf, None  # no input satisfies the guards, to the solver's tolerance
    if result.status == 1:
        control.check()  # out of time: stops the search if it is ours
    # Without binaries it is a linear program, which has no dual bound of its own.
    bound = result.mip_dual_bound if any(model.binary) else result.fun if result.status == 0 else None
    if result.status not in (0, 1) or bound is None:
        return highest, None
    point = None if result.x is None else _inputs(input_set, result.x)
    error = float((np.abs(objective.goal) @ model.output_error).max()) + MILP_TOL * size
    error += float(dot_error(objective.goal.shape[1], np.abs(objective.goal_offset)).max())
    return min(highest, error - bound * size), point


def _objective_rows(model: _Model, objective: Objective, size: float) -> list[tuple[dict[int, float], float]]:
    """``t ≤ goal / size`` for every goal, where t is one more variable, and ``guard ≥ 0`` up to its error."""
    t, rows = len(model.lower), []
    for row, offset in zip(objective.goal, objective.goal_offset, strict=True):
        expression, constant = _divided(*_combine(-row, -offset, model.outputs), size)
        rows.append(({**expression, t: 1.0}, -constant))
    for row, offset in zip(objective.guard, objective.guard_offset, strict=True):
        expression, constant = _combine(-row, -offset, model.outputs)
        largest = float(power_of_two(max(map(abs, expression.values()), default=0.0)))
        error = float(np.abs(row) @ model.output_error) + MILP_TOL * largest
        rows.append(_divided(expression, error - constant, largest))
    return rows


def _negated_goals(objective: Objective) -> list[Objective]:
    """Minus each goal alone: an upper bound on all of these is minus a lower bound on every goal."""
    pairs = zip(objective.goal, objective.goal_offset, strict=True)
    return [replace(objective, goal=-row[None], goal_offset=-np.array([offset])) for row, offset in pairs]


def _inputs(input_set: InputSet, values: np.ndarray) -> np.ndarray:
    """The network input that the first variables of the program stand for."""
    box, start = input_set.box, StarSet.from_input_set(input_set)
    sizes = power_of_two(np.maximum(np.abs(start.lower), np.abs(start.upper)))
    return start.inputs(values[: len(sizes)] * sizes, box)
