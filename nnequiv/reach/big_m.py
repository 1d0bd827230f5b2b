"""The big-M encoding: networks as linear rows in which every ReLU that can have both signs has a binary variable.

Source: Tjeng, Xiao, Tedrake 2019 (MIPVerify), with M from sound intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nnequiv.lp import LPError
from nnequiv.network import Layer, Network
from nnequiv.reach.engine import InputSet
from nnequiv.reach.intervals import interval_layers
from nnequiv.relations import Objective
from nnequiv.rounding import UNDERFLOW, UNIT, dot_error, power_of_two
from nnequiv.sets import StarSet
from nnequiv.tolerances import MILP_TOL

#: A linear expression in the variables: coefficients by variable, and a constant.
Expression = tuple[dict[int, float], float]


#: Numbers in the table of a program: a gigabyte.
MOST_ENTRIES = 2**27


@dataclass
class Encoding:
    """Rows ``expression ≤ high`` and variable bounds that every x of the input set satisfies with its true values.

    HiGHS's tolerances are absolute, so every variable and row is brought to size 1 by a power of two. What rounding
    did to a row is added to its right side.

    Attributes
    ----------
    rows : list of (coefficients by variable, right side)
    lower, upper : lists of variable bounds
    binaries : dict
        Variable of each neuron that can have both signs, by the neuron's number among all hidden ones.
    pattern : list of bool
        Signs of all hidden neurons; what it says of those in ``binaries`` means nothing.
    outputs : list of expressions
        The stacked outputs of all networks.
    rounding : (m,) array
        What rounding may make an output differ from its expression, at the true values.
    drift : (m,) array
        What errors of ``MILP_TOL`` in every row and binary may make an output differ from its true value.
    """

    rows: list[tuple[dict[int, float], float]] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    binaries: dict[int, int] = field(default_factory=dict)
    pattern: list[bool] = field(default_factory=list)
    outputs: list[Expression] = field(default_factory=list)
    rounding: np.ndarray = field(default_factory=lambda: np.zeros(0))
    drift: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def variable(self, lower: float, upper: float) -> int:
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.lower) - 1

    def add_row(self, coefficients: dict[int, float], high: float, slack: float) -> None:
        """``coefficients ≤ high + slack``, and what scaling down may have lost to underflow, for variables within 1."""
        slack += 2 * UNIT * (abs(high) + slack) + 8 * len(coefficients) * UNDERFLOW
        self.rows.append((coefficients, high + slack))

    def inputs(self, input_set: InputSet, values: np.ndarray) -> np.ndarray:
        """The network input ``(n,)`` that the first variables stand for."""
        start = StarSet.from_input_set(input_set)
        sizes = power_of_two(np.maximum(np.abs(start.lower), np.abs(start.upper)))
        return start.inputs(values[: len(sizes)] * sizes, input_set.box)

    def with_objective(self, objective: Objective, size: float, drift: np.ndarray | None = None) -> np.ndarray:
        """``matrix @ (v, t) ≤ high``, as ``[matrix, high]``: all rows, ``t ≤ goal / size``, and ``guard ≥ 0``.

        t is one more variable, the last. Goals and guards are raised by ``rounding``; guards by ``drift`` too if given.
        """
        t, rows = len(self.lower), list(self.rows)
        for row, offset in zip(objective.goal, objective.goal_offset, strict=True):
            (coefficients, constant), slack = self._of_outputs(-row, -offset)
            coefficients, constant = _divided(coefficients, constant, size)
            rows.append(({**coefficients, t: 1.0}, -constant + slack / size))
        for row, offset in zip(objective.guard, objective.guard_offset, strict=True):
            (coefficients, constant), slack = self._of_outputs(-row, -offset)
            largest = float(power_of_two(max(map(abs, coefficients.values()), default=0.0)))
            if drift is not None:
                slack += float(np.abs(row) @ drift) + MILP_TOL * largest
            coefficients, constant = _divided(coefficients, constant, largest)
            rows.append((coefficients, -constant + slack / largest))
        if len(rows) * (t + 2) > MOST_ENTRIES:
            raise LPError(f"a table of {len(rows)} x {t + 2} numbers is too large")
        table = np.zeros((len(rows), t + 2))
        for i, (coefficients, high) in enumerate(rows):
            table[i, list(coefficients)] = list(coefficients.values())
            table[i, -1] = high + 4 * UNIT * abs(high) + 8 * (t + 2) * UNDERFLOW
        return table

    def _of_outputs(self, row: np.ndarray, offset: float) -> tuple[Expression, float]:
        """``row @ outputs + offset``, and how far rounding may put it from the true value."""
        coefficients, constant = combined(row, offset, self.outputs)
        reach = [sum(abs(c) for c in terms.values()) + abs(rest) for terms, rest in self.outputs]  # variables are ≤ 1
        magnitude = np.abs(row) @ np.array(reach) + abs(offset)
        return (coefficients, constant), float(np.abs(row) @ self.rounding + dot_error(2 * len(row), magnitude))


def encode(networks: Sequence[Network], input_set: InputSet) -> Encoding:
    """The encoding of one network or a pair, on one set of input variables.

    >>> from nnequiv.sets import Box
    >>> net = Network([([[1.0], [1.0]], [0.0, 5.0]), ([[1.0, 1.0]], [0.0])])
    >>> encoding = encode([net], Box([-1.0], [1.0]))
    >>> encoding.binaries, encoding.pattern[1], len(encoding.rows)
    ({0: 2}, True, 3)
    """
    encoding, box = Encoding(), input_set.box
    inputs = []
    for low, high in zip(box.lower, box.upper, strict=True):
        size = float(power_of_two(max(abs(low), abs(high))))
        inputs.append(({encoding.variable(low / size, high / size): size}, 0.0) if low < high else ({}, float(low)))
    reach = np.maximum(np.abs(box.lower), np.abs(box.upper))
    for row, bound in zip(*input_set.cuts, strict=True):
        coefficients, constant = combined(row, 0.0, inputs)
        size = float(power_of_two(max(map(abs, coefficients.values()), default=0.0)))
        slack = float(dot_error(len(row), np.abs(row) @ reach + abs(bound)))
        coefficients, constant = _divided(coefficients, constant - bound, size)
        encoding.add_row(coefficients, -constant, slack / size)
    for network in networks:
        _encode_network(encoding, network, inputs, box, reach)
    return encoding


def _encode_network(encoding: Encoding, network: Network, terms: list[Expression], box, reach: np.ndarray) -> None:
    """Layer by layer; ``reach`` bounds the magnitude of all sums that make up a term."""
    rounding, drift = np.zeros(network.n_inputs), np.zeros(network.n_inputs)
    for layer, (low, high) in zip(network.hidden, interval_layers(network, box.lower, box.upper), strict=False):
        rounding, drift, reach = _through(layer, rounding, drift, reach)
        pre = [combined(row, bias, terms) for row, bias in zip(layer.weight, layer.bias, strict=True)]
        terms = [_relu(encoding, *values) for values in zip(pre, low, high, rounding, strict=True)]
        drift = drift + 2 * MILP_TOL * power_of_two(np.maximum(-low, high)) * ((low < 0) & (high > 0))
        rounding = np.where(low >= 0, rounding, 0.0)  # elsewhere a variable, or 0, stands for the true value
    last = network.layers[-1]
    rounding, drift, _ = _through(last, rounding, drift, reach)
    encoding.outputs += [combined(row, bias, terms) for row, bias in zip(last.weight, last.bias, strict=True)]
    encoding.rounding = np.append(encoding.rounding, rounding)
    encoding.drift = np.append(encoding.drift, drift)


def _through(layer: Layer, rounding: np.ndarray, drift: np.ndarray, reach: np.ndarray):
    """What a layer makes of the errors of its inputs, its own rounding added; and how large its terms can be."""
    size = np.abs(layer.weight)
    reach = size @ reach + np.abs(layer.bias)
    own = dot_error(2 * layer.n_in, reach)
    return size @ rounding * (1 + 1e-12) + own, size @ drift + own, reach


def _relu(encoding: Encoding, pre: Expression, low: float, high: float, rounding: float) -> Expression:
    """``y = relu(z)``: y ≥ 0, y ≥ z, y ≤ z − low (1 − s), y ≤ high s, with a binary s where both signs occur."""
    encoding.pattern.append(bool(low >= 0))
    if low >= 0:
        return pre
    if high <= 0:
        return {}, 0.0
    size = float(power_of_two(max(-low, high)))  # the variable is y / size
    y, s = encoding.variable(0.0, high / size), encoding.variable(0.0, 1.0)
    encoding.binaries[len(encoding.pattern) - 1] = s
    plus, constant = _divided(*pre, size)
    minus = {variable: -value for variable, value in plus.items()}
    slack = rounding / size
    encoding.add_row({**plus, y: -1.0}, -constant, slack)
    encoding.add_row({**minus, y: 1.0, s: -low / size}, constant - low / size, slack)
    encoding.add_row({y: 1.0, s: -high / size}, 0.0, 0.0)
    return {y: size}, 0.0


def combined(row: np.ndarray, offset: float, terms: list[Expression]) -> Expression:
    """``row @ terms + offset`` as one linear expression in the variables."""
    total: dict[int, float] = {}
    for weight, (coefficients, constant) in zip(row, terms, strict=True):
        if weight:
            offset += weight * constant
            for variable, value in coefficients.items():
                total[variable] = total.get(variable, 0.0) + weight * value
    return total, offset


def _divided(coefficients: dict[int, float], constant: float, size: float) -> Expression:
    return {variable: value / size for variable, value in coefficients.items()}, constant / size
