"""Checks a certificate in exact arithmetic. Standard library and NumPy only: copy this file out and read it alone.

A certificate (JSON, or the same gzipped) holds networks and claims. A claim says: on ``X = {x in a box: matrix x ≤ bound}``
no objective of a question about the outputs of f and g is above ``upper``, and one is at least ``lower`` at ``witness``. Here
an objective is ``min over its goals`` where all its guards are ≥ 0; :func:`objectives` builds them from the question's name.

The proof of ``upper`` is a binary tree, written in preorder. Inner nodes split an input at a value (children ≤, ≥), a
neuron's pre-activation at 0 (children ≤, ≥), or the set of objectives (those named, the others). A leaf must prove every
objective it still has. For that the checker bounds both networks by affine forms: for each x of the leaf there is an e
in [−1, 1]^K, the same for all forms, with ``|value − (center + generators e)| ≤ error``. Inputs are such forms, affine layers
keep them, and for a pre-activation z in [l, u] and any slope s in [0, 1]

    relu(z) = s z + half (1 + e_new),   half = max(−s l, (1 − s) u) / 2 .

On the leaf these are ≥ 0: ±z of a split neuron, relu(z), relu(z) − z, every guard, every ``bound − matrix x``. So for
whole numbers w, λ ≥ 0, wherever the objective's value v is defined, ``(Σ w) v ≤ Σ w goal + Σ λ (what is ≥ 0)``. The right
side is an affine form, at most ``center + Σ|generators| + error``; that must be ≤ ``(Σ w) upper``, or < 0 if Σ w = 0 (the leaf
is empty). Where a leaf gives no multipliers, one goal alone or one guard or row alone must do.

Every number is a whole multiple of 2**-bits. Sums and products are exact; what does not fit is rounded, and one unit for
each rounding joins the error, so that rounding can only make a proof fail.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np

FORMAT = "nnequiv certificate 1"
SLOPE_BITS = 40
LARGEST_MULTIPLIER = 2**40
MOST_BITS, MOST_BYTES, MOST_OBJECTIVES = 8192, 2**31, 100_000


class Refused(Exception):
    """Why a certificate proves nothing."""


def need(condition, why: str) -> None:
    if not condition:
        raise Refused(why)


def whole(value, limit: int, what: str) -> int:
    need(type(value) is int and 0 <= value < limit, f"{what} is not a whole number below {limit}")
    return value


def real(value, what: str) -> float:
    """A finite float from its hexadecimal string."""
    need(type(value) is str and len(value) <= 32, f"{what} is not a hexadecimal float")
    number = float.fromhex(value)
    need(math.isfinite(number), f"{what} is not finite")
    return number


def reals(values, count: int | None, what: str) -> list[float]:
    need(type(values) is list and count in (None, len(values)), f"{what} is not a list of the right length")
    return [real(value, what) for value in values]


@dataclass(frozen=True, eq=False)
class Form:
    """``|value − center − generators e[columns[:K]] − (single) e[columns[K:]]| ≤ error``, for n values at once.

    ``generators`` is (n, K). ``single = (rows, sizes)`` are further generators, each in one row only.
    """

    center: np.ndarray
    generators: np.ndarray
    error: np.ndarray
    single: tuple[np.ndarray, np.ndarray]
    columns: np.ndarray


class Exact:
    """Arithmetic on whole multiples of 2**-bits, as Python integers in NumPy arrays."""

    def __init__(self, bits: int):
        self.bits = bits

    def matrix(self, values) -> tuple:
        """(integers, their moduli, shift): exactly ``integers / 2**shift``."""
        pairs = [[value.as_integer_ratio() for value in row] for row in values]
        shift = max(den.bit_length() - 1 for row in pairs for _, den in row)
        integers = np.array([[(num << shift) // den for num, den in row] for row in pairs], dtype=object)
        return integers, np.abs(integers), shift

    def vector(self, values) -> tuple[np.ndarray, np.ndarray]:
        """Rounded down to whole units, and 1 where something was lost."""
        scaled = [Fraction(value) * 2**self.bits for value in values]
        down = [math.floor(value) for value in scaled]
        lost = [int(low != value) for low, value in zip(down, scaled, strict=True)]
        return np.array(down, dtype=object), np.array(lost, dtype=object)

    @staticmethod
    def _down(values, shift: int):
        down = values >> shift
        return down, (down << shift != values).astype(int).astype(object)

    def box(self, lower, upper) -> Form:
        """The inputs, as forms in one generator for each input that is not fixed."""
        low, high = self.vector(lower)[0], -self.vector([-value for value in upper])[0]
        center = (low + high) >> 1
        radius = high - center
        free = np.flatnonzero(radius > 0)
        nothing = np.zeros((len(low), 0), dtype=object)
        return Form(center, nothing, low * 0, (free, radius[free]), np.arange(len(free)))

    def affine(self, matrix, form: Form, bias) -> Form:
        integers, moduli, shift = matrix
        used = (form.center != 0) | (form.error != 0) | (form.generators != 0).any(axis=1)
        integers, moduli = integers[:, used], moduli[:, used]
        rows, sizes = form.single
        parts = [integers @ form.generators[used], matrix[0][:, rows] * sizes]
        generators, lost = self._down(np.hstack(parts), shift)
        center, rounded = self._down(integers @ form.center[used], shift)
        error = -(-(moduli @ form.error[used]) >> shift)
        error = error + rounded + lost.sum(axis=1) + bias[1]
        empty = np.zeros(0, dtype=int)
        return Form(center + bias[0], generators, error, (empty, empty.astype(object)), form.columns)

    def range(self, form: Form) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest value of forms without single generators."""
        reach = np.abs(form.generators).sum(axis=1) + form.error
        return form.center - reach, form.center + reach

    def interval(self, matrix, lower, upper, bias):
        """Bounds on an affine layer from bounds on its inputs, by interval arithmetic."""
        integers, moduli, shift = matrix
        middle, width = integers @ (lower + upper), moduli @ (upper - lower)
        return (middle - width >> shift + 1) + bias[0], -(-(middle + width) >> shift + 1) + bias[0] + bias[1]

    def relu(self, form: Form, lower, upper, column: int) -> Form:
        """``relu(z)`` for z in [lower, upper]; its new generators are numbered from ``column``."""
        active, unstable = lower >= 0, np.flatnonzero((lower < 0) & (upper > 0))
        keep = (active & (upper > 0)).astype(int).astype(object)
        center, generators, error = form.center * keep, form.generators * keep[:, None], form.error * keep
        low, high = lower[unstable], upper[unstable]
        slope, one = (high << SLOPE_BITS) // (high - low), 1 << SLOPE_BITS
        half = (np.maximum(-slope * low, (one - slope) * high) >> SLOPE_BITS + 1) + 1
        middle, rounded = self._down(slope * form.center[unstable], SLOPE_BITS)
        generators[unstable], lost = self._down(slope[:, None] * form.generators[unstable], SLOPE_BITS)
        center[unstable] = middle + half
        error[unstable] = -(-slope * form.error[unstable] >> SLOPE_BITS) + rounded + lost.sum(axis=1)
        columns = np.concatenate([form.columns, np.arange(column, column + len(unstable))])
        return Form(center, generators, error, (unstable, half), columns)

    def largest(self, rows) -> Fraction:
        """The largest value of ``Σ coefficient · (row of a form)``, over all e: rows are (coefficient, form, index)."""
        total, error, generators = 0, 0, {}
        for coefficient, form, i in rows:
            total, error = total + coefficient * form.center[i], error + abs(coefficient) * form.error[i]
            singles = zip(form.single[0], form.single[1], form.columns[form.generators.shape[1] :], strict=True)
            entries = [*zip(form.columns, form.generators[i], strict=False), *((c, s) for r, s, c in singles if r == i)]
            for column, value in entries:
                generators[column] = generators.get(column, 0) + coefficient * value
        return Fraction(total + sum(abs(value) for value in generators.values()) + error, 2**self.bits)


class Network:
    """Layers of floats as they are written; their SHA-256 is checked."""

    def __init__(self, name, record):
        self.layers, width = [], None
        need(len(record["layers"]) > 0, f"network {name} has no layers")
        for k, layer in enumerate(record["layers"]):
            bias = reals(layer["bias"], None, f"{name}, bias of layer {k}")
            width = len(layer["weight"][0]) if width is None else width
            need(len(layer["weight"]) == len(bias) > 0 < width, f"{name}, layer {k}: weight and bias do not fit")
            self.layers.append(([reals(row, width, f"{name}, weight of layer {k}") for row in layer["weight"]], bias))
            width = len(bias)
        self.sha256, self.n_outputs = digest(self.layers), width
        need(record["sha256"] == self.sha256, f"network {name} is not the one its SHA-256 names")

    def prepare(self, arithmetic) -> list:
        return [(arithmetic.matrix(weight), arithmetic.vector(bias)) for weight, bias in self.layers]

    def evaluate(self, point) -> list[Fraction]:
        """Outputs, exactly."""
        values = [Fraction(value) for value in point]
        for k, (weight, bias) in enumerate(self.layers):
            used = [(j, value) for j, value in enumerate(values) if (value > 0 if k else value)]
            values = [sum((Fraction(row[j]) * v for j, v in used), Fraction(b)) for row, b in zip(weight, bias)]
        return values


def digest(layers) -> str:
    """SHA-256 over all layers of: shape as little-endian int64, weight (by rows) and bias as little-endian float64."""
    result = hashlib.sha256()
    for weight, bias in layers:
        weight = np.array(weight, dtype="<f8")
        for part in (np.array(weight.shape, dtype="<i8"), weight, np.array(bias, dtype="<f8")):
            result.update(part.tobytes())
    return result.hexdigest()


def objectives(question, m: int) -> list[tuple[list, list]]:
    """(goals, guards) of each objective; a goal is ``(offset, ((side, output, coefficient), …))``, side 0 is f."""
    kind = question["kind"]

    def ahead(side, i, j, offset=0.0):
        return Fraction(offset), ((side, i, 1), (side, j, -1))

    def rivals(i):
        return [j for j in range(m) if j != i]

    def leads(i, margin=0.0):
        return [ahead(0, i, j, -margin) for j in rivals(i)]

    if kind in ("discrepancy", "epsilon"):
        epsilon = reals(question["epsilon"], m, "epsilon") if kind == "epsilon" else [0.0] * m
        outputs = range(m) if kind == "epsilon" else [whole(i, m, "an output") for i in question["outputs"]]
        need(len(outputs) > 0, "no outputs")
        return [([(Fraction(-epsilon[i]), ((0, i, s), (1, i, -s)))], []) for i in outputs for s in (1, -1)]
    if kind == "top1":
        margin = real(question["margin"], "margin")
        return [([ahead(1, j, i)], leads(i, margin)) for i in range(m) for j in rivals(i)]
    if kind == "topk":
        k = whole(question["k"], 1000, "k")
        need(k > 0 and m * math.comb(m - 1, k) <= MOST_OBJECTIVES, "k is 0, or there are too many objectives")
        chosen = [(i, some) for i in range(m) for some in combinations(rivals(i), k)]
        return [([ahead(1, j, i) for j in some], leads(i)) for i, some in chosen]
    need(kind == "order", "unknown question")
    i, j = whole(question["i"], m, "i"), whole(question["j"], m, "j")
    return [([ahead(0, a, b), ahead(1, b, a)], []) for a, b in ((i, j), (j, i))]


class Claim:
    """One claim, read and ready to be checked."""

    def __init__(self, record, networks, arithmetic):
        self.record, self.pair, self.arithmetic = record, [networks[name] for name in record["networks"]], arithmetic
        need(len(self.pair) == 2, "a claim needs two networks")
        n, m = len(self.pair[0].layers[0][0][0]), self.pair[0].n_outputs
        need(all((len(p.layers[0][0][0]), p.n_outputs) == (n, m) for p in self.pair), "the networks do not fit")
        X = record["input_set"]
        self.low, self.high = reals(X["lower"], n, "lower"), reals(X["upper"], n, "upper")
        need(all(a <= b for a, b in zip(self.low, self.high)), "the box is empty")
        self.bound = reals(X["bound"], None, "bound")
        self.rows = [reals(row, n, "a row of the input set") for row in X["matrix"]]
        need(len(self.rows) == len(self.bound), "matrix and bound of the input set do not fit")
        self.objectives = objectives(record["question"], m)
        self.upper = None if record["upper"] is None else Fraction(real(record["upper"], "upper"))
        self.lower = None if record["lower"] is None else Fraction(real(record["lower"], "lower"))

    def check(self, progress) -> tuple:
        """The proved (lower, upper, value at the witness); None for what is not claimed."""
        value = None
        if self.lower is not None:
            value = self.at(reals(self.record["witness"], len(self.low), "the witness"))
            need(value is not None and value >= self.lower, "the witness does not attain lower")
        if self.upper is not None:
            self.prove(progress)
        return self.lower, self.upper, value

    def at(self, point) -> Fraction | None:
        """The largest objective at a point of X, exactly; None where no objective is defined."""
        need(all(a <= x <= b for a, x, b in zip(self.low, point, self.high)), "the witness is outside the box")
        for row, bound in zip(self.rows, self.bound):
            need(sum(Fraction(a) * Fraction(x) for a, x in zip(row, point)) <= bound, "the witness is outside a row")
        y = [network.evaluate(point) for network in self.pair]

        def value(row):
            return row[0] + sum(c * y[side][i] for side, i, c in row[1])

        valid = [goals for goals, guards in self.objectives if all(value(row) >= 0 for row in guards)]
        return max((min(map(value, goals)) for goals in valid), default=None)

    def prove(self, progress) -> None:
        """Walks the tree in preorder: every node takes the region that is next, a split gives back two."""
        arithmetic, nodes = self.arithmetic, self.record["proof"]
        self.layers = [network.prepare(arithmetic) for network in self.pair]
        if self.rows:
            negated = [[-a for a in row] for row in self.rows]
            self.slack = arithmetic.matrix(negated), arithmetic.vector(self.bound)
        hidden = sum(len(bias) for network in self.pair for _, bias in network.layers[:-1])
        regions = [(self.low, self.high, {}, frozenset(range(len(self.objectives))))]
        for position, node in enumerate(nodes):
            try:
                need(regions, "there is no part of the input set left for it")
                regions += self.children(node, *regions.pop(), hidden)
            except Exception as error:
                raise Refused(f"node {position}: {error or type(error).__name__}") from None
            progress(position + 1, len(nodes))
        need(not regions, f"node {len(nodes)} is missing")

    def children(self, node, low, high, signs, left, hidden) -> list:
        """What is left to prove after a node: the second child, then the first."""
        if node[0] == "input":
            i, at = whole(node[1], len(low), "the input"), real(node[2], "the split")
            need(low[i] <= at <= high[i], "the split is outside the part")
            return [
                (low[:i] + [at] + low[i + 1 :], high, signs, left),
                (low, high[:i] + [at] + high[i + 1 :], signs, left),
            ]
        if node[0] == "relu":
            neuron = whole(node[1], hidden, "the neuron")
            need(neuron not in signs, "the neuron is split already")
            return [(low, high, {**signs, neuron: sign}, left) for sign in (1, -1)]
        if node[0] == "objectives":
            named = left & {whole(o, len(self.objectives), "an objective") for o in node[1]}
            return [(low, high, signs, left - named), (low, high, signs, named)]
        need(node[0] == "leaf" and len(node) == 2, "unknown node")
        self.leaf(low, high, signs, left, {whole(o, len(self.objectives), "an objective"): c for o, c in node[1]})
        return []

    def leaf(self, low, high, signs, left, given) -> None:
        arithmetic = self.arithmetic
        x = arithmetic.box(low, high)
        column, neurons, outputs = len(x.columns), [], []
        for layers in self.layers:
            form = x
            for k, (matrix, bias) in enumerate(layers):
                z = arithmetic.affine(matrix, form, bias)
                if k == len(layers) - 1:
                    break
                lower, upper = arithmetic.range(z)
                if k:
                    known = arithmetic.interval(matrix, *known, bias)
                    lower, upper = np.maximum(lower, known[0]), np.minimum(upper, known[1])
                sign = np.array([signs.get(len(neurons) + i, 0) for i in range(len(lower))])
                if ((sign > 0) & (upper < 0) | (sign < 0) & (lower > 0)).any():
                    return  # no point of this part gives the neuron its sign
                lower, upper = (
                    np.where(sign > 0, np.maximum(lower, 0), lower),
                    np.where(sign < 0, np.minimum(upper, 0), upper),
                )
                form = arithmetic.relu(z, lower, upper, column)
                column += len(form.single[0])
                neurons += [(z, form, i) for i in range(len(lower))]
                known = np.maximum(lower, 0), np.maximum(upper, 0)
            outputs.append(z)
        slack = arithmetic.affine(self.slack[0], x, self.slack[1]) if self.rows else None

        def proves(goals, guards, multipliers) -> bool:
            rows, constant, weight = [], Fraction(0), 0
            for kind, index, c in multipliers:
                whole(c, LARGEST_MULTIPLIER, "a multiplier")
                lists = {"goal": goals, "guard": guards, "row": self.rows}
                whole(index, len(lists.get(kind, neurons)), f"the index of a {kind}")
                if kind in ("goal", "guard"):
                    offset, terms = lists[kind][index]
                    constant, weight = constant + c * offset, weight + (c if kind == "goal" else 0)
                    rows += [(c * s, outputs[side], i) for side, i, s in terms]
                elif kind == "row":
                    rows.append((c, slack, index))
                else:
                    z, relu, i = neurons[index]
                    need(kind in ("zero", "line") or index in signs and kind == "sign", "unknown multiplier")
                    rows += [(c, relu, i)] if kind != "sign" else [(c * signs[index], z, i)]
                    rows += [(-c, z, i)] if kind == "line" else []
            value = arithmetic.largest(rows) + constant
            return value <= weight * self.upper if weight else value < 0

        for o in sorted(left):
            goals, guards = self.objectives[o]
            alone = [("goal", goals), ("guard", guards), ("row", self.rows)]
            tries = [given[o]] if o in given else [[(kind, i, 1)] for kind, some in alone for i in range(len(some))]
            need(any(proves(goals, guards, some) for some in tries), f"objective {o} is not proved")


@dataclass(frozen=True)
class Report:
    """``accepted``, and in words what is proved, or the first thing that is wrong."""

    accepted: bool
    text: str


def read(source) -> dict:
    """The record in a file, which may be gzipped. Real numbers are hexadecimal strings; JSON's own are refused."""
    with open(source, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(source) if zipped else open(source, "rb") as file:
        text = file.read(MOST_BYTES + 1)
    need(len(text) <= MOST_BYTES, "the file is too large")

    def refuse(number):
        raise Refused(f"{number[:20]} is neither a whole number nor a hexadecimal string")

    short = lambda number: int(number) if len(number) < 20 else refuse(number)
    return json.loads(text, parse_float=refuse, parse_constant=refuse, parse_int=short)


def check(source, networks=None, arithmetic=Exact, progress=lambda done, total: None) -> Report:
    """Check a certificate: a file's name, or its record. Never raises for what is in it.

    ``networks`` names those it must speak of: ``{"f": [(weight, bias), …]}``, arrays or lists of floats.
    """
    try:
        record = source if isinstance(source, dict) else read(source)
        need(record["format"] == FORMAT, "unknown format")
        found = {name: Network(name, entry) for name, entry in record["networks"].items()}
        for name, layers in (networks or {}).items():
            need(
                name in found and found[name].sha256 == digest(layers),
                f"network {name} is not the one in the certificate",
            )
        numbers = arithmetic(16 + whole(record["bits"], MOST_BITS, "bits"))
        need(len(record["claims"]) > 0, "nothing is claimed")
        lines = []
        for k, entry in enumerate(record["claims"]):
            try:
                claim = Claim(entry, found, numbers)
                claim.check(progress)
                lines.append(claim.text())
            except Exception as error:
                raise Refused(f"claim {k}, {error or type(error).__name__}") from None
    except Exception as error:  # whatever goes wrong, nothing is proved
        return Report(False, f"{error or type(error).__name__}")
    return Report(True, "; ".join(dict.fromkeys(lines)))
