"""Single changes to a certificate, from a weight's last bit to nonsense, and what is true of the result."""

from __future__ import annotations

import copy
from fractions import Fraction

import numpy as np

import nnequiv as nq
from nnequiv.certificate.check import digest
from nnequiv.relations import discrepancy_objectives
from nnequiv.rounding import evaluate_exact

NONSENSE = ("nan", "inf", "-inf", "0x1p+99999", "1.5", "abc", "", "0x" + "f" * 100_000, None, True, -1, 2**60, 1.5)
NONSENSE += (10**5000, [], {}, float("nan"), ["0x1p+0"] * 3, {"kind": "leaf"}, "0x1p+1023", "-0x1p-1074", 0, 1)


def nested(depth: int) -> list:
    result: list = []
    for _ in range(depth):
        result = [result]
    return result


def places(value, path=()):
    """Paths of all scalars of a record, and of all lists."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    if isinstance(value, list):
        for key, entry in enumerate(value):
            yield from places(entry, (*path, key))


def at(record, path):
    for key in path:
        record = record[key]
    return record


def put(record, path, value) -> None:
    at(record, path[:-1])[path[-1]] = value


def _moved(rng, text: str) -> str:
    """A float changed: by its last bit, a little, or a lot."""
    value = float.fromhex(text)
    step = rng.integers(4)
    if step == 0:
        return float(np.nextafter(value, np.inf if rng.random() < 0.5 else -np.inf)).hex()
    return (value + float(rng.normal()) * (1e-9, 1e-3, 1.0)[step - 1]).hex()


def _floats(record, prefix):
    return [path for path in places(at(record, prefix), prefix) if str(at(record, path)).lstrip("-").startswith("0x")]


def change_a_weight(rng, record):
    path = ("networks", str(rng.choice(list(record["networks"]))), "layers")
    some = _floats(record, path)
    path = some[rng.integers(len(some))]
    put(record, path, _moved(rng, at(record, path)))


def change_a_weight_and_its_sha256(rng, record):
    change_a_weight(rng, record)
    for network in record["networks"].values():
        layers = [
            [[[float.fromhex(w) for w in row] for row in layer["weight"]], layer["bias"]] for layer in network["layers"]
        ]
        network["sha256"] = digest([(weight, [float.fromhex(b) for b in bias]) for weight, bias in layers])


def tighten_upper(rng, record):
    claim = record["claims"][0]
    if claim["upper"] is not None:
        claim["upper"] = (float.fromhex(claim["upper"]) - float(rng.choice([1e-9, 1e-6, 1e-3, 1.0]))).hex()


def raise_lower(rng, record):
    claim = record["claims"][0]
    if claim["lower"] is not None:
        claim["lower"] = (float.fromhex(claim["lower"]) + float(rng.choice([1e-9, 1e-6, 1e-3, 1.0]))).hex()


def change_a_claimed_number(rng, record):
    some = [
        path
        for part in ("input_set", "witness", "lower", "upper", "question")
        for path in _floats(record, ("claims", 0, part))
    ]
    path = some[rng.integers(len(some))]
    put(record, path, _moved(rng, at(record, path)))


def change_a_whole_number(rng, record):
    some = [path for path in places(record["claims"], ("claims",)) if type(at(record, path)) is int]
    if some:
        path = some[rng.integers(len(some))]
        put(record, path, int(rng.choice([0, 1, at(record, path) + 1, at(record, path) - 1, -at(record, path), 2**40])))


def change_the_tree(rng, record):
    """Nodes removed, doubled, copied from elsewhere, swapped; splits and kinds changed."""
    proof = record["claims"][0]["proof"]
    if not proof:
        return
    i, j = (int(k) for k in rng.integers(len(proof), size=2))
    action = rng.integers(7)
    if action == 0:
        del proof[i]
    elif action == 1:
        proof.insert(i, copy.deepcopy(proof[i]))
    elif action == 2:
        proof[i] = copy.deepcopy(proof[j])
    elif action == 3:
        proof[i], proof[j] = proof[j], proof[i]
    elif action == 4:
        proof[i] = ["leaf", []]
    elif action == 5:
        del proof[i:]
    else:
        splits = [k for k, node in enumerate(proof) if node[0] == "input"]
        if splits:
            node = proof[splits[rng.integers(len(splits))]]
            node[2] = _moved(rng, node[2])


def subtree_end(proof: list, start: int) -> int:
    """Where the subtree that begins at a node ends."""
    wanted = 1
    for position in range(start, len(proof)):
        wanted += 1 if proof[position][0] != "leaf" else -1
        if not wanted:
            return position + 1
    return len(proof)


def lose_a_child(rng, record):
    """A split and one of its subtrees taken out: what is left is a tree again."""
    proof = record["claims"][0]["proof"]
    splits = [k for k, node in enumerate(proof) if node[0] != "leaf"]
    if splits:
        k = splits[rng.integers(len(splits))]
        middle = subtree_end(proof, k + 1)
        end = subtree_end(proof, middle)
        proof[k:end] = proof[k + 1 : middle] if rng.random() < 0.5 else proof[middle:end]


def copy_a_subtree(rng, record):
    """One subtree in the place of another: a tree again."""
    proof = record["claims"][0]["proof"]
    if proof:
        i, j = (int(k) for k in rng.integers(len(proof), size=2))
        proof[i : subtree_end(proof, i)] = copy.deepcopy(proof[j : subtree_end(proof, j)])


def lower_an_epsilon(rng, record):
    question = record["claims"][0]["question"]
    for name in ("epsilon", "margin"):
        values = question.get(name)
        values = values if isinstance(values, list) else [values]
        if values[0] is not None:
            k = int(rng.integers(len(values)))
            values[k] = (float.fromhex(values[k]) * (1 - float(rng.choice([1e-9, 1e-3, 0.5])))).hex()
            question[name] = values if name == "epsilon" else values[0]


def change_a_leaf(rng, record):
    leaves = [node for node in record["claims"][0]["proof"] if node[0] == "leaf" and node[1]]
    if not leaves:
        return
    terms = leaves[rng.integers(len(leaves))][1][0][1]
    term = terms[rng.integers(len(terms))]
    action = rng.integers(4)
    if action == 0:
        term[2] = -term[2]
    elif action == 1:
        term[2] = int(term[2] * rng.random() * 2)
    elif action == 2:
        term[0] = str(rng.choice(["goal", "guard", "sign", "zero", "line"]))
    else:
        terms.remove(term)


def put_nonsense(rng, record):
    some = [path for path in places(record) if path]
    path = some[rng.integers(len(some))]
    put(record, path, copy.deepcopy(NONSENSE[rng.integers(len(NONSENSE))]))


def remove_something(rng, record):
    some = [path for path in places(record) if path]
    path = some[rng.integers(len(some))]
    del at(record, path[:-1])[path[-1]]


def nest_deeply(rng, record):
    some = [path for path in places(record) if path]
    put(record, some[rng.integers(len(some))], nested(5000))


CHANGES = (
    change_a_weight,
    change_a_weight_and_its_sha256,
    tighten_upper,
    raise_lower,
    change_a_claimed_number,
    change_a_whole_number,
    change_the_tree,
    lose_a_child,
    copy_a_subtree,
    lower_an_epsilon,
    change_a_leaf,
    put_nonsense,
    remove_something,
    nest_deeply,
)


#: Those that change nothing but the proof.
OF_THE_PROOF = (change_the_tree, lose_a_child, copy_a_subtree, change_a_leaf)


def mutated(rng, record: dict, changes=CHANGES):
    """A changed copy and the name of the change; changes that do not apply to a record are not counted."""
    while True:
        change = changes[rng.integers(len(changes))]
        result = copy.deepcopy(record)
        change(rng, result)
        if change is nest_deeply or result != record:
            return result, change.__name__


def _network(record) -> nq.Network:
    def floats(values):
        return [floats(v) if isinstance(v, list) else float.fromhex(v) for v in values]

    return nq.Network([(floats(layer["weight"]), floats(layer["bias"])) for layer in record["layers"]])


def objectives_of(question: dict, n_outputs: int):
    """The library's own objectives for a question as it is written in a certificate."""
    if question["kind"] == "difference":
        result = []
        for i, epsilon in zip(question["outputs"], question["epsilon"], strict=True):
            result += discrepancy_objectives(n_outputs, [i], float.fromhex(epsilon))
        return result
    if question["kind"] == "order":
        return nq.Order(question["i"], question["j"]).objectives(n_outputs)
    margin = float.fromhex(question["margin"])
    return (nq.Top1(margin) if question["k"] == 1 else nq.TopK(question["k"])).objectives(n_outputs)


def _asked(claim: dict, networks: dict):
    """Networks, input set and objectives of a claim, as the library knows them."""
    pair = [_network(networks[name]) for name in claim["networks"]]
    region = claim["input_set"]
    lower, upper, bound = ([float.fromhex(v) for v in region[name]] for name in ("lower", "upper", "bound"))
    box = nq.Box(lower, upper)
    matrix = [[float.fromhex(v) for v in row] for row in region["matrix"]]
    input_set = nq.Polytope(matrix, bound, within=box) if matrix else box
    return pair, input_set, objectives_of(claim["question"], pair[0].n_outputs)


def exact_largest(claim: dict, networks: dict) -> Fraction | None:
    """The largest objective on the input set, by exact enumeration; None if none has a value anywhere."""
    pair, input_set, objectives = _asked(claim, networks)
    return nq.Vertices("exact").exact_maximum(pair, input_set, objectives) if objectives else None


def is_true(claim: dict, networks: dict) -> bool:
    """Whether a claim holds."""
    pair, input_set, objectives = _asked(claim, networks)
    if claim["lower"] is not None:
        point = [float.fromhex(v) for v in claim["witness"]]
        outputs = [y for network in pair for y in evaluate_exact(network, point)]
        values = [v for o in objectives if (v := o.exact_value(outputs)) is not None]
        if not input_set.contains(point) or not values or max(values) < Fraction(float.fromhex(claim["lower"])):
            return False
    if claim["upper"] is None:
        return True
    largest = exact_largest(claim, networks)
    return largest is None or largest <= Fraction(float.fromhex(claim["upper"]))
