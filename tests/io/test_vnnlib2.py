"""VNN-LIB 2.0: two networks, how their inputs are tied, and what is not supported."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnequiv.io.vnnlib import load_query, parse_query
from nnequiv.network import Network
from nnequiv.sets import Polytope

pytest.importorskip("vnnlib")


def declare(name: str, inputs: str = "[2]", outputs: str = "[1]", extra: str = "") -> str:
    return (
        f"(declare-network {name} {extra}\n  (declare-input X_{name} real {inputs})\n"
        f"  (declare-output Y_{name} real {outputs}))\n"
    )


def bounds(name: str, entries=("0", "1")) -> str:
    return "".join(f"(assert (and (>= X_{name}[{i}] 0.0) (<= X_{name}[{i}] 1.0)))\n" for i in entries)


def ties(*pairs) -> str:
    return "".join(f"(assert (== X_{a} X_{b}))\n" for a, b in pairs)


HEAD = "(vnnlib-version <2.0>)\n"
TWO = HEAD + declare("f") + declare("g")
TIED = TWO + bounds("f") + ties(("f[0]", "g[0]"), ("f[1]", "g[1]"))


def test_another_version_is_refused_and_nothing_is_printed(capfd):
    with pytest.raises(ValueError, match=r"vnnlib-version is 2\.4: 2\.0 is supported"):
        parse_query(TIED.replace("2.0", "2.4") + "(assert (>= Y_f[0] 0.0))")
    assert capfd.readouterr() == ("", "")


def linear(*rows) -> Network:
    return Network([(np.array(rows, dtype=float), np.zeros(len(rows)))])


def test_tied_inputs_are_one():
    query = parse_query(TIED + "(assert (>= (- Y_f[0] Y_g[0]) 0.05))")
    assert query.dimension == 2 and [s.tolist() for s in query.selections] == [[0, 1], [0, 1]]
    assert query.input_sets[0].upper.tolist() == [1.0, 1.0]
    [conjunction] = query.cases[0].conjunctions
    assert conjunction.matrix.tolist() == [[1.0, -1.0]] and conjunction.offset.tolist() == [-0.05]
    f, g = linear([1, 2]), linear([3, 4])
    assert query.bind({"f": f, "g": g}) == (f, g)


def test_tied_in_another_order():
    query = parse_query(TWO + bounds("f") + ties(("g[1]", "f[0]"), ("f[1]", "g[0]")) + "(assert (>= Y_f[0] Y_g[0]))")
    assert [s.tolist() for s in query.selections] == [[0, 1], [1, 0]]
    f, g = query.bind({"f": linear([1, 2]), "g": linear([3, 4])})
    assert g.layers[0].weight.tolist() == [[4.0, 3.0]]
    joint = [0.25, 0.75]
    x_f, x_g = query.network_inputs(joint)
    assert (x_f.tolist(), x_g.tolist()) == ([0.25, 0.75], [0.75, 0.25])
    assert g(joint) == linear([3, 4])(x_g)


def test_inputs_tied_in_part_and_ordered_in_part():
    """Monotonicity: the second copy's first input is not below the first's, all else equal."""
    text = HEAD + declare("f") + declare("g", extra="(equal-to f)") + bounds("f") + bounds("g", "0")
    text += ties(("f[1]", "g[1]")) + "(assert (<= X_f[0] X_g[0]))(assert (> Y_f[0] Y_g[0]))"
    query = parse_query(text)
    assert query.dimension == 3 and [s.tolist() for s in query.selections] == [[0, 1], [2, 1]]
    assert isinstance(query.input_sets[0], Polytope) and query.input_sets[0].contains([0.25, 1.0, 0.5])
    assert not query.input_sets[0].contains([0.5, 1.0, 0.25])
    f, g = query.bind({"f": linear([1, 2])})
    assert f.layers[0].weight.tolist() == [[1, 2, 0]] and g.layers[0].weight.tolist() == [[0, 2, 1]]


def test_two_inputs_of_one_network_are_never_merged():
    """Merging would add two columns of weights up, and round."""
    text = TWO + bounds("f") + bounds("g") + ties(("f[0]", "g[0]"), ("f[0]", "g[1]")) + "(assert (>= Y_f[0] Y_g[0]))"
    query = parse_query(text)
    assert query.dimension == 3 and [s.tolist() for s in query.selections] == [[0, 1], [0, 2]]
    assert query.input_sets[0].contains([0.5, 0.0, 0.5]) and not query.input_sets[0].contains([0.5, 0.0, 0.25])


def test_ties_inside_an_or_are_only_constraints():
    text = TWO + bounds("f") + bounds("g") + "(assert (or (== X_f[0] X_g[0]) (<= X_f[1] 0.5)))(assert (>= Y_f[0] 0.0))"
    query = parse_query(text)
    assert query.dimension == 4 and len(query.cases) == 2


def test_ties_inside_an_and_count():
    text = TWO + bounds("f") + "(assert (and (== X_f[0] X_g[0]) (== X_f[1] X_g[1])))(assert (>= Y_f[0] 0.0))"
    assert parse_query(text).dimension == 2


def test_different_shapes_are_tied_entry_by_entry():
    text = HEAD + declare("f", "[2]", "[2]") + declare("g", "[1,2]", "[1,2]") + bounds("f")
    text += ties(("f[0]", "g[0,0]"), ("f[1]", "g[0,1]")) + "(assert (>= Y_g[0,1] 0.5))"
    query = parse_query(text)
    assert query.dimension == 2 and query.cases[0].conjunctions[0].matrix.tolist() == [[0, 0, 0, 1]]


def test_unbounded_inputs_of_the_second_network_are_refused():
    with pytest.raises(ValueError, match=r"input X_g\[0\] is unbounded"):
        parse_query(TWO + bounds("f") + "(assert (>= Y_f[0] 0.0))")


def test_three_networks_in_a_chain():
    text = HEAD + declare("f") + declare("g") + declare("h") + bounds("h")
    text += ties(("g[0]", "h[0]"), ("f[0]", "g[0]"), ("h[1]", "g[1]"), ("h[1]", "f[1]")) + "(assert (>= Y_h[0] 0.0))"
    query = parse_query(text)
    seen = [s.tolist() for s in query.selections]
    assert query.dimension == 2 and seen == [[0, 1]] * 3


def test_equal_to_and_isomorphic_to():
    deep = Network([(np.eye(2), np.zeros(2)), ([[1.0, 1.0]], [0.0])])
    text = HEAD + declare("f") + declare("g", extra="(isomorphic-to f)") + bounds("f")
    query = parse_query(text + ties(("f[0]", "g[0]"), ("f[1]", "g[1]")) + "(assert (>= Y_f[0] 0.0))")
    assert query.declarations[1].isomorphic_to == "f"
    query.bind({"f": linear([1, 2]), "g": linear([3, 4])})
    with pytest.raises(ValueError, match=r"network g is declared isomorphic-to one of widths \(2, 1\), but has"):
        query.bind({"f": linear([1, 2]), "g": deep})
    query = parse_query(
        TIED.replace("(declare-network g ", "(declare-network g (equal-to f)") + "(assert (>= Y_f[0] 0.0))"
    )
    f, g = query.bind({"f": deep})
    assert f is g
    query.bind({"f": linear([1, 2]), "g": linear([1, 2])})
    with pytest.raises(ValueError, match="declared equal-to f, but their files differ"):
        query.bind({"f": linear([1, 2]), "g": linear([1, 3])})


@pytest.mark.parametrize(
    "networks, message",
    [
        ({"f": linear([1, 2])}, "network g is declared, but no file"),
        ({"f": linear([1, 2]), "g": linear([1, 2]), "k": linear([1])}, "network k is not declared; declared are f, g"),
        (
            {"f": linear([1, 2]), "g": linear([1, 2, 3])},
            "network g is declared with 2 inputs and 1 outputs, but its file",
        ),
    ],
)
def test_bind_refuses(networks, message):
    with pytest.raises(ValueError, match=message):
        parse_query(TIED + "(assert (>= Y_f[0] Y_g[0]))").bind(networks)


@pytest.mark.parametrize(
    "text, message",
    [
        (HEAD + declare("f") + "(assert (<= X_f[2] 1.0))", "X_f"),
        (HEAD + declare("f") + "(assert (<= X_f[0] 1.0)", "line 5: the parenthesis opened here is never closed"),
        (HEAD + declare("f") + "(assert (<= X_h[0] 1.0))", "line 5: .*'X_h'"),
        (HEAD + declare("f") + "(assert (<= (* X_f[0] X_f[1]) 1.0))", "line 5: a product of two variables"),
        (
            HEAD + declare("f").replace("real", "int32") + "(assert (<= X_f[0] 1))",
            "X_f has type I32: only real numbers",
        ),
        (
            HEAD + declare("f", "[2000000]") + "(assert (<= X_f[0] 1.0))",
            r"X_f has shape \[2000000\]: it needs 1 to 1000000",
        ),
        (
            HEAD
            + declare("f").replace("(declare-output", "(declare-input Z real [1])(declare-output")
            + "(assert (<= X_f[0] 1.0))",
            "2 inputs",
        ),
        (HEAD + declare("f") + "(assert (<= X_f[0] Y_f[0]))", "line 5: one constraint speaks of inputs and outputs"),
        (
            HEAD
            + declare("f").replace("(declare-output", '(declare-hidden H real [1] "h") (declare-output')
            + "(assert (<= X_f[0] 1.0))",
            "1 hidden nodes: 0 is supported",
        ),
        (HEAD, "error|declare"),
        (HEAD + declare("f") + "(assert " + "(and " * 50_000, "over 200 parentheses"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(ValueError, match=message) as refusal:
        parse_query(text)
    assert "\n" not in str(refusal.value)


def test_strict_against_non_strict_in_the_replay():
    query = parse_query(TIED + "(assert (< Y_f[0] Y_g[0]))")
    assert query.holds([[0, 0], [0, 0]], [[1.0], [1.5]]) and not query.holds([[0, 0], [0, 0]], [[1.0], [1.0]])
    assert not query.holds([[0, 0], [0, 0.5]], [[1.0], [1.5]])  # the inputs are not tied


@pytest.mark.parametrize("seed", range(30))
def test_joint_inputs_say_what_the_file_says(seed):
    """Random ties, in any order, some doubled or missing, and random rows over both inputs."""
    rng = np.random.default_rng(seed)
    entries = [f"{name}[{i}]" for name in "fg" for i in range(2)]
    text = TWO + bounds("f") + bounds("g")
    text += ties(*(rng.choice(entries, 2, replace=False) for _ in range(rng.integers(4))))
    a, b = rng.choice(entries, 2, replace=False)
    text += f"(assert (or (<= X_{a} X_{b}) (>= X_{a} 0.5)))(assert (> Y_f[0] Y_g[0]))"
    query = parse_query(text)
    satisfied = 0
    for point in itertools.product([0.0, 0.5, 1.0], repeat=5):
        inputs, outputs = np.reshape(point[:4], (2, 2)), np.array([[0.5], [point[4]]])
        joint = np.zeros(query.dimension)
        for x, selection in zip(inputs, query.selections, strict=True):
            joint[selection] = x
        fits = all(np.array_equal(x, y) for x, y in zip(inputs, query.network_inputs(joint), strict=True))
        found = fits and any(
            case.input_set.contains(joint)
            and any(c.objective().exact_value(outputs.ravel()) > 0 for c in case.conjunctions)
            for case in query.cases
        )
        assert found == query.holds(inputs, outputs), (seed, text)
        satisfied += found
    assert satisfied, seed


@pytest.mark.parametrize(
    "name, conjunctions, contradictory",
    [("acas_prop1_eps_0.05", 10, False), ("acas_prop3_same_advisory", 20, False), ("polytope_input", 10, False),
     ("acas_prop1_contradiction", 1, True)],
)  # fmt: skip
def test_real_queries(data_dir, name, conjunctions, contradictory):
    query = load_query(data_dir / "vnnlib2" / f"{name}.vnnlib")
    assert query.names == ("f", "g") and query.dimension == 5 and query.version == "2.0"
    assert len(query.cases[0].conjunctions) == conjunctions
    assert query.contradictory is contradictory and bool(query.notes) is contradictory
    assert isinstance(query.input_sets[0], Polytope) is (name == "polytope_input")
