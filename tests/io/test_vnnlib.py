"""VNN-LIB 1.0: what a file says, against a second evaluator; numbers, orders, refusals with line numbers."""

from __future__ import annotations

import gzip
from fractions import Fraction

import numpy as np
import pytest

from nnequiv.io.vnnlib import load_query, parse_query
from nnequiv.sets import Box, Polytope

DECLARED = "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n(declare-const Y_1 Real)\n"
BOUNDS = "(assert (and (>= X_0 -1) (<= X_0 1) (>= X_1 -2.0) (<= X_1 2.0)))\n"


def query(text: str, bounds: str = BOUNDS):
    return parse_query(DECLARED + bounds + text)


def rows(conjunction):
    return [
        (row, offset, strict)
        for row, offset, strict in zip(
            conjunction.matrix.tolist(), conjunction.offset.tolist(), conjunction.strict.tolist(), strict=True
        )
    ]


def test_comparisons_and_their_strictness():
    for operator, expected in {
        "<=": [([-1.0, 0.0], 0.5, False)],
        ">=": [([1.0, 0.0], -0.5, False)],
        "<": [([-1.0, 0.0], 0.5, True)],
        ">": [([1.0, 0.0], -0.5, True)],
        "=": [([1.0, 0.0], -0.5, False), ([-1.0, 0.0], 0.5, False)],
    }.items():
        [conjunction] = query(f"(assert ({operator} Y_0 0.5))").cases[0].conjunctions
        assert rows(conjunction) == expected, operator
    different = query("(assert (!= Y_0 0.5))").cases[0].conjunctions
    assert [rows(c) for c in different] == [[([1.0, 0.0], -0.5, True)], [([-1.0, 0.0], 0.5, True)]]


def test_reversed_repeated_and_tightened_inputs():
    text = "(assert (<= 0.25 X_0))(assert (<= X_0 0.5))(assert (>= 0.75 X_0))(assert (<= 0.25 X_0))"
    box = query(text).cases[0].input_set
    assert (box.lower.tolist(), box.upper.tolist()) == ([0.25, -2.0], [0.5, 2.0])


@pytest.mark.parametrize(
    "text, value",
    [("1.5", 1.5), ("+1.5", 1.5), ("15E-1", 1.5), ("1.5e+00", 1.5), (".5", 0.5), ("-2.", -2.0), ("-1e-3", -1e-3),
     ("(- 0.25)", -0.25), ("(/ 1 4)", 0.25), ("(+ 1 (* 2 0.25) -1)", 0.5), ("(- 1 0.25 0.5)", 0.25),
     ("0.679857769", 0.679857769)],
)  # fmt: skip
def test_numbers(text, value):
    [conjunction] = query(f"(assert (<=\tY_1   {text} ))").cases[0].conjunctions
    assert conjunction.offset.tolist() == [value]


def test_arithmetic():
    [conjunction] = (
        query("(assert (<= (+ (* 2 Y_0) (* Y_1 (- 3)) (- Y_0) 0.5) (- Y_1 (/ Y_0 2))))").cases[0].conjunctions
    )
    assert rows(conjunction) == [([-1.5, 4.0], -0.5, False)]


def test_nested_and_or():
    text = "(assert (or (and (<= Y_0 0) (or (<= Y_1 1) (<= Y_1 2))) (>= Y_0 3)))"
    assert [len(c.offset) for c in query(text).cases[0].conjunctions] == [2, 2, 1]


def test_a_union_of_inputs_and_paired_cases():
    """prop_6's form, and the form that pairs an input box with its own output part."""
    union = "(assert (or (and (<= X_0 -0.5)) (and (>= X_0 0.5))))(assert (or (<= Y_0 0) (<= Y_1 0)))"
    found = query(union)
    assert [(s.lower[0], s.upper[0]) for s in found.input_sets] == [(-1.0, -0.5), (0.5, 1.0)]
    assert [len(case.conjunctions) for case in found.cases] == [2, 2]
    paired = "(assert (or (and (<= X_0 -0.5) (<= Y_0 0)) (and (>= X_0 0.5) (<= Y_1 0)) (and (>= X_0 0.5) (<= Y_1 9))))"
    found = query(paired)
    assert [len(case.conjunctions) for case in found.cases] == [1, 2]


def test_rows_over_several_inputs_make_a_polytope():
    found = query("(assert (<= (+ X_0 (* 2 X_1)) 0.5))").cases[0].input_set
    assert isinstance(found, Polytope)
    assert found.box.lower.tolist() == [-1.0, -2.0] and found.contains([0.5, 0.0]) and not found.contains([0.5, 0.25])


def test_a_polytope_bounds_its_own_inputs():
    triangle = "(assert (and (>= X_0 0) (>= X_1 0) (<= (+ X_0 X_1) 1)))"
    found = query(triangle, bounds="").cases[0].input_set
    assert np.abs(found.box.upper - 1.0).max() < 1e-6
    with pytest.raises(ValueError, match="unbounded"):
        query("(assert (<= (+ X_0 X_1) 1))", bounds="")


def test_input_bounds_are_rounded_outward():
    box = query("(assert (and (<= (* 3 X_0) 1) (>= (* 3 X_1) 1)))").cases[0].input_set
    assert Fraction(box.upper[0]) >= Fraction(1, 3) > Fraction(np.nextafter(box.upper[0], 0))
    assert Fraction(box.lower[1]) <= Fraction(1, 3)


def test_strict_inputs_keep_the_boundary_in_the_set_but_not_in_the_replay():
    found = query("(assert (< X_0 0.5))(assert (>= Y_0 0))")
    assert found.cases[0].input_set.upper[0] == 0.5
    assert not found.holds([[0.5, 0.0]], [[1.0, 0.0]])
    assert found.holds([[0.25, 0.0]], [[1.0, 0.0]])


def test_empty_input_sets_are_left_out_with_a_note():
    found = query("(assert (>= X_0 3))(assert (>= Y_0 0))")
    assert found.cases == () and found.contradictory
    assert found.notes == ("an input set is empty: X_0 has lower 3.0, upper 1.0",)
    found = query("(assert (or (>= X_0 3) (>= X_0 0)))(assert (>= Y_0 0))")
    assert len(found.cases) == 1 and not found.contradictory and len(found.notes) == 1
    assert query("(assert (< X_0 -1))").cases == ()
    assert query("(assert (>= (+ X_0 X_1) 4))").cases == ()


@pytest.mark.parametrize(
    "text, contradictory",
    [
        ("(assert (and (>= Y_0 0.05) (<= Y_0 -0.05)))", True),
        ("(assert (>= Y_0 1))\n(assert (<= Y_0 1))", False),
        ("(assert (> Y_0 1))\n(assert (<= Y_0 1))", True),
        ("(assert (> Y_0 Y_1))\n(assert (> Y_1 Y_0))", True),
        ("(assert (and (>= (+ Y_0 Y_1) 2) (<= (* 3 Y_0) 1) (<= (* 7 Y_1) 1)))", True),
        ("(assert (or (and (>= Y_0 1) (<= Y_0 0)) (and (>= Y_1 1) (<= Y_1 0))))", True),
        ("(assert (or (and (>= Y_0 1) (<= Y_0 0)) (>= Y_1 1)))", False),
        ("(assert (<= 1 0))", True),
        ("", False),
    ],
)
def test_a_contradictory_output_part_is_flagged(text, contradictory):
    assert query(text).contradictory is contradictory


def test_contradiction_names_the_lines():
    found = query("(assert (>= Y_0 1))\n(assert (<= Y_0 0))")
    assert found.notes == ("the output part is contradictory: no outputs satisfy the constraints of line 6, 7",)


def test_comments_blanks_gzip_and_windows_line_ends(tmp_path):
    text = "; a comment (assert\n" + DECLARED + BOUNDS + "(assert ; inside\n (<= Y_0\n 0.5))"
    (tmp_path / "a.vnnlib").write_bytes(text.replace("\n", "\r\n").encode())
    (tmp_path / "b.vnnlib.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("a.vnnlib", "b.vnnlib.gz"):
        [conjunction] = load_query(tmp_path / name).cases[0].conjunctions
        assert rows(conjunction) == [([-1.0, 0.0], 0.5, False)] and conjunction.lines == (8,)


@pytest.mark.parametrize(
    "text, message",
    [
        ("(assert (<= Y_0 0.5)", "line 6: the parenthesis opened here is never closed"),
        ("(assert (<= Y_0 0.5)))", r"line 6: '\)' outside"),
        ("(assert (<= Y_0 1_000))", "line 6: '1_000' is neither a number nor a declared variable"),
        ("(assert (<= Y_0 - 5))", "line 6: <= takes 2 arguments, not 3"),
        ("(assert (<= Y_0 1e999))", "line 6: 1e999 is too large"),
        ("(assert (<= Y_0 nan))", "line 6: 'nan'"),
        ("(assert (<= Y_7 0))", "line 6: 'Y_7' is neither"),
        ("\n(assert (=> Y_0 0))", "line 7: '=>' is not one of"),
        ("(assert (not (<= Y_0 0)))", "line 6: 'not' is not one of"),
        ("(assert (<= (* Y_0 Y_1) 0))", "line 6: a product of two variables"),
        ("(assert (<= (/ Y_0 0) 0))", "line 6: a divisor must be"),
        ("(assert (<= (^ Y_0 2) 0))", r"line 6: '\^' of 2 arguments"),
        ("(assert (<= (+ X_0 Y_0) 0))", "line 6: one constraint speaks of inputs and outputs"),
        ("(assert Y_0)", "line 6: expected .operator ...., found Y_0"),
        ("(assert (<= Y_0 0) (<= Y_1 0))", "line 6: assert takes 1 formula, not 2"),
        ("(declare-const X_0 Real)", "line 6: X_0 is declared twice"),
        ("(declare-const Z_0 Real)", "line 6: cannot declare Z_0"),
        ("(declare-const X_5 Real)", "X_2 is not declared, but X_5 is"),
        ("(frobnicate)", "line 6: command 'frobnicate'"),
        ("()", "line 6: a command"),
        ("x", "line 6: 'x' outside"),
        ("(" * 300, "line 6: over 200 parentheses"),
        ("(assert (and))", "line 6: and of nothing"),
        ("(assert (<= (* 0.1 0.1 Y_0) Y_1))", "line 6: coefficient .* no exact float64"),
    ],
)
def test_refusals_name_the_line(text, message):
    with pytest.raises(ValueError, match=message):
        query(text)


def test_refusals_name_the_file(tmp_path):
    (tmp_path / "a.vnnlib").write_bytes(b"(declare-const X_0 Real)\n(assert \xff)")
    with pytest.raises(ValueError, match=r"a.vnnlib, line 2: byte 0xff is not ASCII"):
        load_query(tmp_path / "a.vnnlib")
    (tmp_path / "b.vnnlib").write_text("(declare-const X_0 Real)\n(assert (<= X_0 0))")
    with pytest.raises(ValueError, match=r"b.vnnlib: input X_0 is unbounded"):
        load_query(tmp_path / "b.vnnlib")
    (tmp_path / "c.vnnlib.gz").write_bytes(gzip.compress(DECLARED.encode())[:-9])
    with pytest.raises(ValueError, match=r"c.vnnlib.gz: damaged gzip"):
        load_query(tmp_path / "c.vnnlib.gz")


def test_too_many_cases_are_refused():
    text = "".join(f"(assert (or (<= Y_0 {i}) (<= Y_1 {i})))" for i in range(30))
    with pytest.raises(ValueError, match="over 100000 cases"):
        query(text)


# A second evaluator, and random formulas


def _random_formula(rng, variables, depth: int):
    """A formula as text, and a function that evaluates it at a dict of Fractions."""
    if depth and rng.random() < 0.6:
        parts = [_random_formula(rng, variables, depth - 1) for _ in range(rng.integers(1, 4))]
        word, combine = ("and", all) if rng.random() < 0.5 else ("or", any)
        return f"({word} {' '.join(t for t, _ in parts)})", lambda v: combine(f(v) for _, f in parts)
    weights = {str(name): int(rng.integers(-2, 3)) for name in rng.choice(variables, 2, replace=False)}
    bound = Fraction(int(rng.integers(-4, 5)), 4)
    operator = str(rng.choice(["<=", ">=", "<", ">", "="] if variables[0][0] == "Y" else ["<=", ">=", "="]))
    text = f"({operator} (+ {' '.join(f'(* {w} {n})' for n, w in weights.items())}) {float(bound)})"

    def evaluate(values):
        left = sum(w * values[n] for n, w in weights.items())
        return {"<=": left <= bound, ">=": left >= bound, "<": left < bound, ">": left > bound, "=": left == bound}[
            operator
        ]

    return text, evaluate


@pytest.mark.parametrize("seed", range(60))
def test_cases_say_what_the_file_says(seed):
    """On grid points, where many constraints hold with equality: text, formula, cases and objectives agree."""
    rng = np.random.default_rng(seed)
    formulas = [_random_formula(rng, ["X_0", "X_1"], 2), _random_formula(rng, ["Y_0", "Y_1"], 2)]
    found = query("".join(f"(assert {text})\n" for text, _ in formulas))
    for _ in range(200):
        x = [Fraction(int(rng.integers(-4, 5)), 4), Fraction(int(rng.integers(-8, 9)), 4)]
        y = [Fraction(int(v), 4) for v in rng.integers(-6, 7, size=2)]
        values = {"X_0": x[0], "X_1": x[1], "Y_0": y[0], "Y_1": y[1]}
        expected = all(evaluate(values) for _, evaluate in formulas)
        assert found.holds([x], [y]) == expected, seed
        assert any(_satisfied(case, x, y) for case in found.cases) == expected, (seed, x, y)


def _satisfied(case, x, y) -> bool:
    def objective_holds(conjunction):
        value = conjunction.objective().exact_value(y)
        if value is None:
            return False
        return value >= 0 if conjunction.closed else value > 0

    inside = case.input_set.contains([float(v) for v in x])
    return inside and any(objective_holds(conjunction) for conjunction in case.conjunctions)


def test_slack_is_the_smallest_row():
    [conjunction] = query("(assert (and (<= Y_0 1) (>= Y_1 0.5)))").cases[0].conjunctions
    assert conjunction.slack([0.5, 1.5]) == Fraction(1, 2) and conjunction.slack([0.5, 0.25]) == Fraction(-1, 4)


def test_a_query_without_an_output_part_is_satisfied_by_every_output():
    found = parse_query("(declare-const X_0 Real)(assert (<= 0 X_0))(assert (<= X_0 1))")
    [conjunction] = found.cases[0].conjunctions
    assert conjunction.objective().exact_value([]) == 1 and not conjunction.closed


@pytest.mark.parametrize(
    "name, cases, conjunctions",
    [("prop_1", 1, 1), ("prop_3", 1, 1), ("prop_5", 1, 4), ("prop_6", 2, 4), ("prop_7", 1, 2), ("prop_8", 1, 3)],
)
def test_acas_properties(data_dir, name, cases, conjunctions):
    found = load_query(data_dir / "acasxu" / f"{name}.vnnlib")
    assert [len(case.conjunctions) for case in found.cases] == [conjunctions] * cases
    assert all(isinstance(s, Box) and s.dimension == 5 for s in found.input_sets)
    assert not found.contradictory and found.version == "1.0"


def test_every_property_of_the_data_folder_is_read(data_dir):
    pytest.importorskip("vnnlib")
    paths = sorted(data_dir.glob("*/*.vnnlib"))
    queries = {path.name: load_query(path) for path in paths}
    assert len(queries) == 20
    assert [name for name, found in queries.items() if found.contradictory] == ["acas_prop1_contradiction.vnnlib"]
    assert all(found.cases for found in queries.values())


def test_mnist_properties(data_dir):
    for digit in (0, 7):
        [case] = load_query(data_dir / "pruned" / f"mnist_{digit}_local_15.vnnlib").cases
        assert case.input_set.dimension == 784 and len(case.input_set.free) == 15
