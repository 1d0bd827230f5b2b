"""Checks a certificate in exact arithmetic. Standard library and NumPy only: copy this file out and read it alone.

    python -c "import check; print(check.check('certificate.json.gz').text)"

A claim: on ``X = {x in a box : matrix x ≤ bound}`` no objective of a question about the outputs of f and g is above
``upper``, and one is at least ``lower`` at ``witness``. An objective is the least of its goals, where all its guards
are ≥ 0; :func:`objectives` builds them. (The format is described in write.py.)

``upper`` is proved by a binary tree, its nodes in preorder. Inner nodes split an input at a value or a neuron at 0
(children ≤, ≥), or the set of objectives (those named, the others). A leaf proves every objective it has left. There
all values are known as forms: for each x of the leaf there is an e in [−1, 1]^K, the same for all forms, with
``|value − (center + generators e)| ≤ error``. Inputs are forms, affine layers keep them, and if z is in [l, u], then

    relu(z) = s z + half (1 + e_new)   for any slope s in [0, 1],   half = max(−s l, (1 − s) u) / 2 .

On a leaf these are ≥ 0: ±z of a split neuron, relu(z), relu(z) − z, all guards, ``bound − matrix x``. So for numbers
w, λ ≥ 0 an objective's value v satisfies ``(Σ w) v ≤ Σ w goal + Σ λ (what is ≥ 0)`` wherever it is defined. The right
side is a form, at most ``center + Σ |generators| + error``: this must be ≤ ``(Σ w) upper``, or < 0 if Σ w = 0 (the leaf
is empty). Where no multipliers are given, one goal, guard or row alone must do.

All numbers are whole multiples of 2**-bits. What does not fit is rounded, and a unit for each rounding joins the error.
"""

# ruff: noqa: B905  (every zip below is of lists whose lengths were checked)
import gzip
import hashlib
import json
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

import numpy as np

FORMAT = "nnequiv certificate 1"
SLOPE_BITS = 48  # of the slopes s, which the checker chooses by itself
MOST_BITS, MOST_BYTES, MOST_OBJECTIVES, MOST_WEIGHT = 8192, 2**29, 100_000, 2**52  # refused above: nothing may hang


class Refused(Exception):
    """Why a certificate proves nothing."""


class Report(NamedTuple):
    """``accepted``, and in words what is proved, or the first thing that is wrong."""

    accepted: bool
    text: str


def need(condition, why: str) -> None:
    if not condition:
        raise Refused(why)


def whole(value, limit: int, what: str) -> int:
    need(type(value) is int and 0 <= value < limit, f"{what} is not a whole number below {limit}")
    return value


def real(value, what: str) -> float:
    """A finite float from its hexadecimal string."""
    need(type(value) is str and len(value) <= 32 and "0x" in value, f"{what} is not a hexadecimal number")
    need(math.isfinite(number := float.fromhex(value)), f"{what} is not finite")
    return number


def reals(values, count: int, what: str) -> list[float]:
    need(type(values) is list and len(values) == count, f"{what} is not a list of {count} numbers")
    return [real(value, what) for value in values]


@dataclass(frozen=True, eq=False)
class Form:
    """Affine forms of n values, the last of which is always the number 1, so that a bias is a column like any other.

    ``columns`` says which e each generator belongs to: first those of ``generators (n, K)``, then those of ``single``,
    which are ``(rows, sizes)``: generators with one entry each.
    """

    center: np.ndarray
    generators: np.ndarray
    error: np.ndarray
    single: tuple
    columns: np.ndarray


class Exact:
    """Arithmetic on whole multiples of 2**-bits: Python integers in NumPy arrays. ``>>`` rounds down."""

    def __init__(self, bits: int):
        self.bits = bits

    def matrix(self, rows) -> tuple:
        """(integers, their moduli, shift): the rows are ``integers / 2**shift``, exactly."""
        ratios = [[value.as_integer_ratio() for value in row] for row in rows]
        shift = max(below.bit_length() - 1 for row in ratios for _, below in row)
        integers = np.array([[(above << shift) // below for above, below in row] for row in ratios], dtype=object)
        return integers, np.abs(integers), shift

    def box(self, lower, upper) -> Form:
        low = np.array([math.floor(Fraction(value) * 2**self.bits) for value in [*lower, 1]], dtype=object)
        high = np.array([math.ceil(Fraction(value) * 2**self.bits) for value in [*upper, 1]], dtype=object)
        center = low + high >> 1
        free = np.flatnonzero(low < high)
        return Form(center, low[:, None][:, :0], 0 * low, (free, (high - center)[free]), np.arange(len(free)))

    @staticmethod
    def down(values, shift: int):
        rounded = values >> shift
        return rounded, (rounded << shift != values).astype(int).astype(object)  # and where something was lost

    def affine(self, matrix, form: Form) -> Form:
        integers, moduli, shift = matrix
        used = (form.center != 0) | (form.error != 0) | (form.generators != 0).any(axis=1)
        rows, sizes = form.single
        product = integers[:, used] @ form.generators[used]
        generators, lost = self.down(np.hstack([product, integers[:, rows] * sizes]), shift)
        center, rounded = self.down(integers[:, used] @ form.center[used], shift)
        error = -(-(moduli[:, used] @ form.error[used]) >> shift) + rounded + lost.sum(axis=1)
        return Form(center, generators, error, (rows[:0], sizes[:0]), form.columns)

    def range(self, form: Form) -> tuple:
        reach = np.abs(form.generators).sum(axis=1) + form.error
        return form.center - reach, form.center + reach

    def interval(self, matrix, lower, upper) -> tuple:
        """Bounds on an affine layer from bounds on what goes in, by interval arithmetic."""
        integers, moduli, shift = matrix
        middle, width = integers @ (lower + upper), moduli @ (upper - lower)
        return middle - width >> shift + 1, -(-(middle + width) >> shift + 1)

    def relu(self, form: Form, lower, upper, column: int) -> Form:
        """relu(z), z in [lower, upper]; its new generators get the columns from ``column`` on."""
        keep = (lower >= 0).astype(int).astype(object)
        center, generators, error = form.center * keep, form.generators * keep[:, None], form.error * keep
        free = np.flatnonzero((lower < 0) & (upper > 0))
        low, high = lower[free], upper[free]
        slope, one = (high << SLOPE_BITS) // (high - low), 1 << SLOPE_BITS
        half = (np.maximum(-slope * low, (one - slope) * high) >> SLOPE_BITS + 1) + 1
        middle, rounded = self.down(slope * form.center[free], SLOPE_BITS)
        generators[free], lost = self.down(slope[:, None] * form.generators[free], SLOPE_BITS)
        center[free] = middle + half
        error[free] = -(-slope * form.error[free] >> SLOPE_BITS) + rounded + lost.sum(axis=1)
        columns = np.concatenate([form.columns, np.arange(column, column + len(free))])
        return Form(center, generators, error, (free, half), columns)

    def largest(self, rows, width: int) -> Fraction:
        """The largest ``Σ c · (row i of form)``, over all e in [−1, 1]^width, for rows (c, form, i)."""
        total, e = 0, np.zeros(width, dtype=object)
        for c, form, i in rows:
            count, own = form.generators.shape[1], form.single[0] == i
            e[form.columns[:count]] += c * form.generators[i]
            e[form.columns[count:][own]] += c * form.single[1][own]
            total += c * form.center[i] + abs(c) * form.error[i]
        return Fraction(total + sum(abs(e)), 2**self.bits)


class Network:
    """Layers (weight, bias) of floats, exactly as written; their SHA-256 must be the stated one."""

    def __init__(self, name: str, record: dict):
        self.layers, self.n_inputs, self.ready = [], len(record["layers"][0]["weight"][0]), None
        need(name.isidentifier() and len(name) <= 50, "the name of a network is not a short identifier")
        width = self.n_inputs
        for k, layer in enumerate(record["layers"]):
            count, what = len(layer["weight"]), f"layer {k} of {name}"
            need(count > 0 and width > 0, f"{what} is empty")
            weight = [reals(row, width, what) for row in layer["weight"]]
            self.layers.append((weight, reals(layer["bias"], count, what)))
            width = count
        self.n_outputs, self.sha256 = width, digest(self.layers)
        self.n_hidden = sum(len(bias) for _, bias in self.layers[:-1])
        need(record["sha256"] == self.sha256, f"network {name} is not the one its SHA-256 names")

    def matrices(self, arithmetic) -> list:
        if self.ready is None:
            rows = [[[*row, b] for row, b in zip(*layer)] for layer in self.layers]
            self.ready = [arithmetic.matrix([*some, [*[0.0] * (len(some[0]) - 1), 1.0]]) for some in rows]
        return self.ready

    def evaluate(self, point) -> list[Fraction]:
        values = [Fraction(value) for value in point]
        for k, (weight, bias) in enumerate(self.layers):
            used = [(j, value) for j, value in enumerate(values) if (value > 0 if k else value)]
            values = [sum((Fraction(row[j]) * v for j, v in used), Fraction(b)) for row, b in zip(weight, bias)]
        return values


def digest(layers) -> str:
    """SHA-256 over all layers of: shape as little-endian int64, weight by rows and bias as little-endian float64."""
    result = hashlib.sha256()
    for weight, bias in layers:
        for values, kind in ((np.shape(weight), "<i8"), (weight, "<f8"), (bias, "<f8")):
            result.update(np.array(values, dtype=kind).tobytes())
    return result.hexdigest()


def objectives(question: dict, m: int) -> tuple[str, list]:
    """The question in words, and the (goals, guards) of its objectives: rows (offset, [(side, output, factor), …])."""

    def ahead(side, i, j, margin=0.0):
        return -Fraction(margin), [(side, i, 1), (side, j, -1)]

    kind = question["kind"]
    if kind == "difference":  # f_i − g_i − ε_i and g_i − f_i − ε_i
        outputs = [whole(i, m, "an output") for i in question["outputs"]]
        epsilon = reals(question["epsilon"], len(outputs), "epsilon")
        need(min(epsilon, default=0) >= 0, "an epsilon is negative")
        margin = f" - {epsilon[0] if len(set(epsilon)) == 1 else epsilon}" if any(epsilon) else ""
        words = f"|f_i - g_i|{margin} over i in {outputs}"
        pairs = [(-Fraction(e), [(0, i, sign), (1, i, -sign)]) for i, e in zip(outputs, epsilon) for sign in (1, -1)]
        return words, [([goal], []) for goal in pairs]
    if kind == "winner":  # f's winner leads by margin, yet k outputs of g are above that one
        k, margin = whole(question["k"], 1000, "k"), real(question["margin"], "margin")
        need(0 < k and margin >= 0, "k is 0, or the margin is negative")
        need(m * math.comb(m - 1, k) <= MOST_OBJECTIVES, "there are too many objectives")
        others = [[j for j in range(m) if j != i] for i in range(m)]
        guards = [[ahead(0, i, j, margin) for j in others[i]] for i in range(m)]
        chosen = [(i, some) for i in range(m) for some in combinations(others[i], k)]
        words = f"lead in g of {k} outputs over f's winner where that leads by {margin}"
        return words, [([ahead(1, j, i) for j in some], guards[i]) for i, some in chosen]
    need(kind == "order", "unknown question")
    i, j = whole(question["i"], m, "i"), whole(question["j"], m, "j")
    words = f"lead of opposite signs, in f and g, of output {i} over {j}"
    return words, [([ahead(0, a, b), ahead(1, b, a)], []) for a, b in ((i, j), (j, i))]


class Claim:
    """One claim about two networks."""

    def __init__(self, record: dict, networks: dict, arithmetic):
        self.record, self.arithmetic = record, arithmetic
        f, g = self.networks = [networks[name] for name in record["networks"]]
        need((f.n_inputs, f.n_outputs) == (g.n_inputs, g.n_outputs), "the networks do not fit")
        region, n = record["input_set"], f.n_inputs
        self.lower, self.upper = reals(region["lower"], n, "lower"), reals(region["upper"], n, "upper")
        need(all(a <= b for a, b in zip(self.lower, self.upper)), "the box is empty")
        self.rows = [reals(row, n, "matrix") for row in region["matrix"]]
        self.bound = reals(region["bound"], len(self.rows), "bound")
        self.words, self.objectives = objectives(record["question"], f.n_outputs)

    def check(self, progress) -> str:
        """What is proved, in words."""
        low, high, words, verdict = self.record["lower"], self.record["upper"], f"max {self.words}", ""
        need(low is not None or high is not None, "nothing is claimed")
        if low is not None:
            low, value = real(low, "lower"), self.at(reals(self.record["witness"], len(self.lower), "the witness"))
            need(value is not None and value >= low, "the witness does not attain lower")
            words, verdict = f"{low!r} <= {words}", "NOT_EQUIVALENT: " * (value > 0)
        if high is not None:
            self.claimed = Fraction(real(high, "upper"))
            self.prove(progress)
            words, verdict = f"{words} <= {float(self.claimed)!r}", "EQUIVALENT: " if self.claimed <= 0 else verdict
        relation = self.record["question"]["kind"] != "difference" or any(goals[0][0] for goals, _ in self.objectives)
        return f"{verdict if relation else ''}{words}, {self.where()}"

    def where(self) -> str:
        sides = [f"[{a!r}, {b!r}]" for a, b in zip(self.lower, self.upper)]
        box = " x ".join(sides) if len(sides) <= 6 else f"the stated box of {len(sides)} inputs"
        half_spaces = f" and {len(self.rows)} half-spaces" if self.rows else ""
        pair = (f"{name} {network.sha256[:12]}" for name, network in zip(self.record["networks"], self.networks))
        return f"on {box}{half_spaces} ({', '.join(pair)})"

    def at(self, point) -> Fraction | None:
        """The largest objective at a point of X, exactly."""
        inside = all(a <= x <= b for a, x, b in zip(self.lower, point, self.upper))
        x = [Fraction(value) for value in point]
        sums = (sum((Fraction(a) * v for a, v in zip(row, x)), -Fraction(b)) for row, b in zip(self.rows, self.bound))
        need(inside and all(value <= 0 for value in sums), "the witness is outside the input set")
        y = [network.evaluate(point) for network in self.networks]

        def value(row):
            return row[0] + sum(factor * y[side][i] for side, i, factor in row[1])

        valid = [goals for goals, guards in self.objectives if all(value(row) >= 0 for row in guards)]
        return max((min(map(value, goals)) for goals in valid), default=None)

    def prove(self, progress) -> None:
        """Preorder: each node takes the part that is next, and a split gives two back."""
        self.matrices = [network.matrices(self.arithmetic) for network in self.networks]
        rows = [[*(-a for a in row), b] for row, b in zip(self.rows, self.bound)]
        self.slack = self.arithmetic.matrix([*rows, [*[0.0] * len(self.lower), 1.0]])
        nodes, parts = self.record["proof"], [(self.lower, self.upper, {}, range(len(self.objectives)))]
        for position, node in enumerate(nodes):
            try:
                need(parts, "no part is left for it")
                parts += self.children(node, *parts.pop())
            except Exception as error:
                raise Refused(f"node {position}: {str(error) or type(error).__name__}") from None
            progress(position + 1, len(nodes))
        need(not parts, f"node {len(nodes)} is missing")

    def children(self, node, lower, upper, signs, left) -> list:
        """The parts that a node leaves to prove: none, or the second child and the first."""
        kind, what = node[:2]
        if kind == "input":
            i, at = whole(what, len(lower), "the input"), real(node[2], "the value")
            need(lower[i] <= at <= upper[i], "the value is outside the part")
            below, above = upper[:i] + [at] + upper[i + 1 :], lower[:i] + [at] + lower[i + 1 :]
            return [(above, upper, signs, left), (lower, below, signs, left)]
        if kind == "relu":
            neuron = whole(what, sum(network.n_hidden for network in self.networks), "the neuron")
            need(neuron not in signs, "the neuron is split already")
            return [(lower, upper, {**signs, neuron: sign}, left) for sign in (1, -1)]
        if kind == "objectives":
            named = {whole(o, len(self.objectives), "an objective") for o in what}
            return [(lower, upper, signs, [o for o in left if (o in named) == choice]) for choice in (False, True)]
        need(kind == "leaf", "unknown node")
        leaf, given = Leaf(self, lower, upper, signs), dict(what)
        for o in () if leaf.empty else left:
            goals, guards = self.objectives[o]
            alone = (("goal", goals), ("guard", guards), ("row", self.rows))
            tries = [given[o]] if o in given else [[(kind, k, 1)] for kind, some in alone for k in range(len(some))]
            need(any(leaf.proves(goals, guards, terms) for terms in tries), f"objective {o} is not proved")
        return []


class Leaf:
    """The forms of all values on one leaf."""

    def __init__(self, claim: Claim, lower, upper, signs: dict):
        arithmetic, self.claim, self.signs = claim.arithmetic, claim, signs
        x = arithmetic.box(lower, upper)
        self.slack, self.width = arithmetic.affine(claim.slack, x), len(x.columns)
        self.neurons, self.outputs, self.empty = [], [], False
        for matrices in claim.matrices:
            form, known = x, None
            for matrix in matrices[:-1]:
                z = arithmetic.affine(matrix, form)
                form, known = self.relu(z, arithmetic.range(z), known and arithmetic.interval(matrix, *known))
            self.outputs.append(arithmetic.affine(matrices[-1], form))

    def relu(self, z: Form, bounds, known) -> tuple:
        """relu(z) and its bounds; a split neuron whose sign the bounds of z exclude makes the leaf empty."""
        lower, upper = (np.maximum(bounds[0], known[0]), np.minimum(bounds[1], known[1])) if known else bounds
        for i in range(len(lower) - 1):
            sign = self.signs.get(len(self.neurons) + i, 0)
            self.empty |= bool(sign > 0 > upper[i] or sign < 0 < lower[i])
            # A split neuron counts as its sign says, even where its value is 0 all over the leaf.
            lower[i] = max(lower[i], 0) if sign > 0 else min(lower[i], -1) if sign < 0 else lower[i]
            upper[i] = min(upper[i], 0) if sign < 0 else upper[i]
        form = self.claim.arithmetic.relu(z, lower, upper, self.width)
        self.width += len(form.single[0])
        self.neurons += [(z, form, i) for i in range(len(lower) - 1)]
        return form, (np.maximum(lower, 0), np.maximum(upper, 0))

    def proves(self, goals, guards, multipliers) -> bool:
        rows, constant, weight = [], Fraction(0), 0
        for kind, k, c in multipliers:
            c, k = whole(c, MOST_WEIGHT, "a multiplier"), whole(k, 2**63, "the number of a term")
            if kind in ("goal", "guard"):
                offset, terms = (goals if kind == "goal" else guards)[k]
                constant, weight = constant + c * offset, weight + (c if kind == "goal" else 0)
                rows += [(c * factor, self.outputs[side], i) for side, i, factor in terms]
            elif kind == "row":
                need(k < len(self.claim.rows), "no such row")
                rows.append((c, self.slack, k))
            else:
                z, relu, i = self.neurons[k]
                need(kind in ("zero", "line") or (kind == "sign" and k in self.signs), "unknown term")
                rows.append((c * self.signs[k], z, i) if kind == "sign" else (c, relu, i))
                rows += [(-c, z, i)] if kind == "line" else []
        value = self.claim.arithmetic.largest(rows, self.width) + constant
        return value <= weight * self.claim.claimed if weight else value < 0


def read(source) -> dict:
    """The record in a file, gzipped or not. JSON's own real numbers, NaN and endless digits are refused."""

    def refuse(digits):
        raise Refused(f"{digits[:20]} is neither a short whole number nor a hexadecimal string")

    with open(source, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(source) if zipped else open(source, "rb") as file:
        text = file.read(MOST_BYTES + 1)
    need(len(text) <= MOST_BYTES, "the file is too large")
    short = dict(parse_int=lambda digits: int(digits) if len(digits) < 20 else refuse(digits))
    return json.loads(text, parse_float=refuse, parse_constant=refuse, **short)


def check(source, networks=None, arithmetic=Exact, progress=lambda done, total: None) -> Report:
    """Check a certificate: a file's name or its record. Whatever is wrong with it, the answer is a refusal.

    ``networks``, such as ``{"f": [(weight, bias), …]}`` with floats, are those that the certificate must be about.
    """
    place = ""
    try:
        record = source if isinstance(source, dict) else read(source)
        need(record["format"] == FORMAT, "unknown format")
        found = {name: Network(name, entry) for name, entry in record["networks"].items()}
        for name, layers in (networks or {}).items():
            need(name in found and found[name].sha256 == digest(layers), f"it is not about the network given as {name}")
        numbers, proved = arithmetic(whole(record["bits"], MOST_BITS, "bits")), []
        need(len(record["claims"]) > 0, "nothing is claimed")
        for k, entry in enumerate(record["claims"]):
            place = f"claim {k}: "
            proved.append(Claim(entry, found, numbers).check(progress))
    except Exception as error:
        why = " ".join((str(error) or type(error).__name__).split())  # it may quote the file: one line, not too long
        return Report(False, f"refused: {place}{why[:300]}")
    return Report(True, "proved: " + "; ".join(dict.fromkeys(proved)))
