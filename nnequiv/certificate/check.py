"""Checks a certificate in exact arithmetic. Standard library and NumPy only: copy this file out and read it alone.

Run ``python check.py certificate.json.gz``. What is in the file is described in ``write.py``. (With ``fast.py`` beside
this file ``python fast.py certificate.json.gz`` computes in floats and bounds all rounding: quicker, more to believe.)

**The claim.** A question about networks f and g, such as "how large is |f_i − g_i|?", is a list of objectives. An
objective is the least of its goals, where all its guards are ≥ 0; elsewhere it has no value. In a box, one objective is
≥ ``lower`` at a point, the witness, and none is > ``upper`` anywhere. (Half-spaces that cut the box are guards too.)

**The cover.** The proof of ``upper`` is a tree. Its root stands for the box and all objectives. An inner node has two
children: it cuts an input at a value, or a hidden neuron at 0, into ≤ and ≥, or it deals out its objectives. What a
child stands for is derived from its parent and not read from the file, so nothing can be left out.

**What is known on a leaf.** Values are written as forms: for every x of the leaf there is an e in [−1, 1]^K, the same
for all values, with ``value = center + generators · e``. Inputs are forms, and affine layers keep them. A ReLU of z in
[l, u] needs one e more. It is convex, so it is ``s z + half + half e_new`` for any slope s in [0, 1], with some e_new
in [−1, 1], if ``half = max(−s l, (1 − s) u) / 2``.

**Weak duality.** On a leaf these are ≥ 0: ± z of a neuron cut above it, relu(z), relu(z) − z, and the guards. So for
any numbers w, λ ≥ 0 the value v of an objective, wherever it has one, obeys

    (Σ w) v  ≤  Σ w · goal + Σ λ · (what is ≥ 0)  ≤  center + Σ |generators|   of the form of that sum.

If the right side is ≤ (Σ w) · upper, the objective is proved; if it is < 0 and Σ w = 0, there is no such x. It does not
matter where w and λ come from. Where none are given the first goal alone must do. Nothing is rounded: floats are whole
numbers over powers of two, and so are their sums and products.
"""

# ruff: noqa: B905  (the lists that are zipped have lengths that were checked)
import gzip
import hashlib
import json
import math
import sys
from collections import namedtuple
from fractions import Fraction
from itertools import combinations

import numpy as np

FORMAT = "nnequiv certificate 2"
SLOPE_BITS = 48  # of the slopes s, which the checker chooses by itself
MOST_BYTES, MOST_LAYERS, MOST_OBJECTIVES, MOST_WEIGHT = 2**26, 200, 100_000, 2**52  # no file may exhaust the machine
Network = namedtuple("Network", "inputs outputs exact matrices label")
Report = namedtuple("Report", "accepted text")  # the text: what is proved, or the first thing that is wrong


def need(condition, why: str) -> None:
    if not condition:
        raise ValueError(why)


def whole(value, limit: int) -> int:
    need(type(value) is int and 0 <= value < limit, f"a number is not whole or not in [0, {limit})")
    return value


def floats(value, *shape: int):
    """Nested lists of floats, from hexadecimal digits, which can say neither NaN nor infinity."""
    if shape:
        need(type(value) is list and len(value) == shape[0], f"something is no list of {shape[0]}")
        return [floats(entry, *shape[1:]) for entry in value]
    need(type(value) is str and len(value) <= 32 and "0x" in value, "a number is not hexadecimal")
    return float.fromhex(value)


def read(source) -> dict:
    """The record in a file, gzipped or not. What is no short whole number stays text, and is refused on use."""

    def distinct(pairs):
        need(len(dict(pairs)) == len(pairs), "a name occurs twice")
        return dict(pairs)

    with open(source, "rb") as file:
        text = (gzip.open(file) if file.peek(2)[:2] == b"\x1f\x8b" else file).read(MOST_BYTES + 1)
    need(len(text) <= MOST_BYTES, "the file is too large")
    numbers: dict = dict(parse_float=str, parse_constant=str, parse_int=lambda d: int(d) if len(d) < 20 else d)
    return json.loads(text, object_pairs_hook=distinct, **numbers)


def digest(layers) -> str:
    """SHA-256 over all layers of: shape as little-endian int64, weight by rows and bias as little-endian float64."""
    parts = [part for w, b in layers for part in (np.array(np.shape(w), "<i8"), np.array(w, "<f8"), np.array(b, "<f8"))]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def augmented(weight, bias, width: int) -> list:
    """A layer as one matrix, for values of which the last is always 1: the bias is a column like any other."""
    return [*([*row, b] for row, b in zip(weight, bias)), [0.0] * width + [1.0]]


def network(name: str, record: dict, leaf) -> Network:
    """A network, exactly as written; ``matrices`` are what leaves of this kind use."""
    need(name.isascii() and name.isidentifier() and len(name) <= 50, "a network's name is no short identifier")
    need(0 < len(record["layers"]) <= MOST_LAYERS, f"{name} has no layers, or too many")
    layers, width = [], len(record["layers"][0]["weight"][0])
    for layer in record["layers"]:
        layers.append((floats(layer["weight"], len(layer["bias"]), width), floats(layer["bias"], len(layer["bias"]))))
        width = len(layer["bias"])
    need(record["sha256"] == digest(layers), f"{name} is not the network that its SHA-256 names")
    rows = [augmented(weight, bias, len(weight[0])) for weight, bias in layers]
    exact, matrices = [Leaf.matrix(some) for some in rows], [leaf.matrix(some) for some in rows]
    return Network(len(rows[0][0]) - 1, width, exact, matrices, f"{name} {record['sha256'][:12]}")


def objectives(question: dict, m: int, f: str, g: str) -> tuple:
    """The question in words; its objectives (goals, guards), of rows (offset, [(factor, side, output), …]): 0 is f."""
    kind = question["kind"]
    if kind == "difference":  # f_i − g_i − ε_i, and g_i − f_i − ε_i
        outputs = [whole(i, m) for i in question["outputs"]]
        epsilon = floats(question["epsilon"], len(outputs))
        need(0 < len(outputs) <= m and min(epsilon) >= 0, "no output is named, or too many, or an epsilon is negative")
        margin = f" - {epsilon[0] if len(set(epsilon)) == 1 else epsilon}" if any(epsilon) else ""
        rows = [(-Fraction(e), [(sign, 0, i), (-sign, 1, i)]) for i, e in zip(outputs, epsilon) for sign in (1, -1)]
        return f"|{f}_i - {g}_i|{margin} over i in {outputs}", [([row], []) for row in rows]
    if kind == "winner":  # f's winner leads by margin, yet k outputs of g are above that one
        k, margin = whole(question["k"], 1000), floats(question["margin"])
        need(k > 0 and margin >= 0 and m * math.comb(m - 1, k) <= MOST_OBJECTIVES, "k or margin is out of range")
        others = [[j for j in range(m) if j != i] for i in range(m)]
        guards = [[(-Fraction(margin), [(1, 0, i), (-1, 0, j)]) for j in others[i]] for i in range(m)]
        chosen = [(i, above) for i in range(m) for above in combinations(others[i], k)]
        words = f"lead in {g} of {k} outputs over {f}'s winner where that leads by {margin}"
        return words, [([(0, [(1, 1, j), (-1, 1, i)]) for j in above], guards[i]) for i, above in chosen]
    need(kind == "order", "unknown question")
    i, j = whole(question["i"], m), whole(question["j"], m)
    swapped = [[(0, [(1, 0, a), (-1, 0, b)]), (0, [(1, 1, b), (-1, 1, a)])] for a, b in ((i, j), (j, i))]
    return f"lead of opposite signs, in {f} and {g}, of output {i} over {j}", [(goals, []) for goals in swapped]


class Leaf:
    """All forms on a leaf: of ``sides``, which are f's outputs, g's, and half-spaces; (z, relu(z), row) of all neurons.
    A form is (table, columns, shift), of whole numbers: a row of ``table / 2**shift`` is a value's center and those of
    its generators that may not be 0; these belong to the e whose numbers are in ``columns``."""

    def __init__(self, sides, box, signs: dict):
        self.first, self.signs, self.empty, self.neurons, self.sides = len(box) + 2, signs, False, list[tuple](), []
        x, ends = self.inputs(box)
        for *hidden, last in sides:
            form, known = x, ends
            for matrix in hidden:
                form, known = self.relu(self.affine(matrix, form), *self.interval(matrix, *known))
            self.sides.append(self.affine(last, form))

    @staticmethod
    def matrix(rows) -> tuple:
        """(integers, their moduli, shift) with ``rows = integers / 2**shift``."""
        ratios = [[value.as_integer_ratio() for value in row] for row in rows]
        shift = max(below.bit_length() for row in ratios for _, below in row)
        integers = [[above << shift - below.bit_length() for above, below in row] for row in ratios]
        return np.array(integers, dtype=object), abs(np.array(integers, dtype=object)), shift - 1

    def inputs(self, box) -> tuple:
        """Forms of the inputs, and their bounds in the same units."""
        (low, high), _, shift = self.matrix(zip(*box, (1.0, 1.0)))
        free = np.flatnonzero(low < high)
        table = np.column_stack([low + high, np.diag(high - low)[:, free]])
        return (table, np.array([0, *free + 1]), shift + 1), (2 * low, 2 * high)

    def affine(self, matrix, form) -> tuple:
        (integers, _, more), (table, columns, shift) = matrix, form
        rows = (table != 0).any(axis=1)  # many are 0: leave them out
        return integers[:, rows] @ table[rows], columns, shift + more

    def interval(self, matrix, lower, upper) -> tuple:
        """Bounds on an affine layer from bounds on what goes in. (What is halved is even.)"""
        middle, reach = matrix[0] @ (lower + upper), matrix[1] @ (upper - lower)
        return middle - reach >> 1, middle + reach >> 1

    def relu(self, z, lower, upper) -> tuple:
        """Forms of relu(z), and their bounds in the same units. Of z its forms are known, bounds, and the cuts."""
        (table, columns, shift), first, one = z, len(self.neurons), 1 << SLOPE_BITS
        sign = np.array([*(self.signs.get(first + i, 0) for i in range(len(table) - 1)), 0])
        reach = abs(table[:, 1:]).sum(axis=1)
        lower, upper = np.maximum(lower, table[:, 0] - reach), np.minimum(upper, table[:, 0] + reach)
        lower, upper = np.where(sign > 0, np.maximum(lower, 0), lower), np.where(sign < 0, np.minimum(upper, 0), upper)
        self.empty |= bool((lower > upper).any())
        free = np.flatnonzero((lower < 0) & (upper > 0))
        low, high = lower[free], upper[free]
        slope, half = one * ((lower >= 0) & (sign >= 0)).astype(object), 0 * lower  # cut to z ≤ 0 is off, even at z = 0
        slope[free] = s = (high << SLOPE_BITS) // (high - low)
        half[free] = np.maximum(-s * low, (one - s) * high)  # in units half as large, so that there is no division by 2
        result = np.hstack([2 * slope[:, None] * table, np.diag(half)[:, free]])
        result[:, 0] += half
        form = result, np.array([*columns, *self.first + first + free]), shift + SLOPE_BITS + 1
        self.neurons += [(z, form, i) for i in range(len(table) - 1)]
        return form, [np.maximum(bound, 0) << SLOPE_BITS + 1 for bound in (lower, upper)]

    def largest(self, terms) -> Fraction:
        """The largest ``Σ c · (row i of form)``, over all e, for terms (c, form, i)."""
        total, most = np.zeros(self.first + len(self.neurons), dtype=object), max(form[2] for _, form, _ in terms)
        for c, (table, columns, shift), i in terms:
            total[columns] += c * table[i] << most - shift
        return Fraction(total[0] + sum(abs(total[1:])), 2**most)

    def bound(self, goals, guards, multipliers) -> tuple:
        """Weak duality: the right side, and Σ w."""
        terms, constant, weight = [], 0, 0
        for kind, k, c in multipliers:
            c, k = whole(c, MOST_WEIGHT), whole(k, 2**63)
            if kind in ("goal", "guard"):
                offset, row = (goals if kind == "goal" else guards)[k]
                terms += [(c * factor, self.sides[side], i) for factor, side, i in row]
                constant, weight = constant + c * offset, weight + c * (kind == "goal")
            else:
                z, relu, i = self.neurons[k]
                rows = {"sign": [(self.signs.get(k, 0), z)], "zero": [(1, relu)], "line": [(1, relu), (-1, z)]}[kind]
                terms += [(c * factor, form, i) for factor, form in rows]
        return self.largest(terms) + constant, weight


def children(node, box: list, signs: dict, left) -> list:
    """The two parts that an inner node's children stand for."""
    kind, what = node[:2]
    if kind == "input":
        i, at = whole(what, len(box)), floats(node[2])
        need(box[i][0] <= at <= box[i][1], "the value is outside the part")
        return [([*box[:i], ends, *box[i + 1 :]], signs, left) for ends in ((box[i][0], at), (at, box[i][1]))]
    if kind == "relu":
        return [(box, {**signs, whole(what, 2**63): sign}, left) for sign in (-1, 1)]
    need(kind == "objectives", "unknown node")
    named = set(what)
    return [(box, signs, [o for o in left if (o in named) == first]) for first in (True, False)]


def prove(upper: Fraction, nodes, rows, sides, box, leaf, progress) -> None:
    """Each node, in preorder, takes the part that is next; an inner node gives two back."""
    parts: list = [(box, {}, range(len(rows)))]
    for position, node in enumerate(nodes):
        try:
            need(parts, "no part is left for it")
            box, signs, left = parts.pop()
            if node[0] == "leaf":
                here, given = leaf(sides, box, signs), dict(node[1])
                for o in () if here.empty else left:
                    value, weight = here.bound(*rows[o], given.get(o, [["goal", 0, 1]]))
                    need(value <= weight * upper if weight else value < 0, f"objective {o} is not proved")
            else:
                parts += reversed(children(node, box, signs, left))
        except Exception as error:
            raise ValueError(f"node {position}: {str(error) or type(error).__name__}") from None
        progress(position + 1, len(nodes))
    need(not parts, f"node {len(nodes)} is missing")


def claim(record: dict, networks: dict, leaf, progress) -> str:
    """Check one claim; what it says, in words."""
    names, region, lower, upper = (record[key] for key in ("networks", "input_set", "lower", "upper"))
    f, g = (networks[name] for name in names)
    n, m, count = f.inputs, f.outputs, len(region["bound"])
    need((n, m) == (g.inputs, g.outputs), "the networks do not fit")
    box = list(zip(floats(region["lower"], n), floats(region["upper"], n)))
    need(all(a <= b for a, b in box), "the box is empty")
    excess = augmented(
        floats(region["matrix"], count, n), [-b for b in floats(region["bound"], count)], n
    )  # one more network
    words, rows = objectives(record["question"], m, *names)
    relation = record["question"]["kind"] != "difference" or any(goals[0][0] for goals, _ in rows)
    rows = [(goals, guards + [(0, [(-1, 2, k)]) for k in range(count)]) for goals, guards in rows]
    left = right = verdict = ""
    if lower is not None:
        lower, point = floats(lower), floats(record["witness"], n)
        need(all(a <= x <= b for (a, b), x in zip(box, point)), "the witness is outside the box")
        sides = f.exact, g.exact, [Leaf.matrix(excess)]
        at = Leaf(sides, [(x, x) for x in point], {})  # nothing is open: the forms are the values
        values = [[[at.bound(some, [], [["goal", k, 1]])[0] for k in range(len(some))] for some in row] for row in rows]
        value = max((min(goals) for goals, guards in values if min(guards, default=0) >= 0), default=-math.inf)
        need(value >= lower, "the witness does not attain lower")
        left, verdict = f"{lower!r} <= ", "NOT_EQUIVALENT: " * (value > 0)
    if upper is not None:
        upper = floats(upper)
        sides = f.matrices, g.matrices, [leaf.matrix(excess)]
        prove(Fraction(upper), record["proof"], rows, sides, box, leaf, progress)
        right, verdict = f" <= {upper!r}", "EQUIVALENT: " if upper <= 0 else verdict
    need(left or right, "nothing is claimed")
    where = " x ".join(f"[{a!r}, {b!r}]" for a, b in box) if n <= 6 else f"the stated box of {n} inputs"
    where += f" and {count} half-spaces" if count else ""
    return f"{verdict * relation}{left}max {words}{right}, on {where} ({f.label}, {g.label})"


def check(source, leaf=Leaf, progress=lambda done, total: None) -> Report:
    """Check a certificate: a file's name or its record. Whatever is wrong with it, the answer is a refusal."""
    place, proved = "", list[str]()
    try:
        record = source if isinstance(source, dict) else read(source)
        need(record["format"] == FORMAT and record["claims"], "unknown format, or nothing is claimed")
        networks = {name: network(name, entry, leaf) for name, entry in record["networks"].items()}
        for entry in record["claims"]:
            place = f"claim {len(proved)}: "
            proved.append(claim(entry, networks, leaf, progress))
    except Exception as error:
        why = " ".join((str(error) or type(error).__name__).split())  # it may quote the file: one line, not too long
        return Report(False, f"refused: {place}{why[:300]}")
    return Report(True, "proved: " + "; ".join(dict.fromkeys(proved)))


if __name__ == "__main__":
    report = check(sys.argv[1])
    print(report.text)
    raise SystemExit(not report.accepted)
