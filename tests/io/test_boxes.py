"""``load_box``: every source of an input set, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv.io import load_box
from nnequiv.sets import Polytope


def write(tmp_path, name: str, text: str):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("text, ends", [("0:1", (0, 1)), (" -0.5 : 5e-1 ", (-0.5, 0.5)), ("-1:-.5", (-1, -0.5))])
def test_lo_hi(text, ends):
    box = load_box(text, dimension=3)
    assert box.lower.tolist() == [ends[0]] * 3 and box.upper.tolist() == [ends[1]] * 3


def test_lo_hi_refusals():
    with pytest.raises(ValueError, match="box 0:1: lo:hi needs the number of inputs"):
        load_box("0:1")
    with pytest.raises(ValueError, match="lower 1.0 > upper 0.0"):
        load_box("1:0", dimension=2)
    for text in ("0:nan", "0-1", "nothing.txt"):
        with pytest.raises(ValueError, match="neither lo:hi nor a .vnnlib, .json or .csv file"):
            load_box(text, dimension=2)


@pytest.mark.parametrize(
    "name, text",
    [
        ("box.json", '{"lower": [0, -1.5], "upper": [1, 2e0]}'),
        ("box.json", "[[0, -1.5], [1, 2]]"),
        ("box.csv", "0,-1.5\n1,2\n"),
        ("box.csv", "lower, 0, -1.5\r\nupper, 1, +2.0\r\n\r\n"),
    ],
)
def test_json_and_csv(tmp_path, name, text):
    box = load_box(write(tmp_path, name, text), dimension=2)
    assert box.lower.tolist() == [0.0, -1.5] and box.upper.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("box.json", "{", "not JSON"),
        ("box.json", '{"lower": [0]}', "no key 'upper' among 'lower'"),
        ("box.json", "[[0], [1], [2]]", "expected a list of lower and a list of upper"),
        ("box.json", "3", "expected a list of lower"),
        ("box.json", '[[0], ["1"]]', "upper is not a list of numbers"),
        ("box.json", "[[0], [true]]", "upper is not a list of numbers"),
        ("box.json", "[[0], [Infinity]]", r"input 0 has bounds \[0.0, inf\]"),
        ("box.json", "[[0], [1, 2]]", r"lower has shape \(1,\) and upper \(2,\)"),
        ("box.json", "[[2], [1]]", "lower 2.0 > upper 1.0"),
        ("box.json", f"[[0], [1{'0' * 400}]]", "too large"),
        ("box.json", "[" * 100_000, "not JSON"),
        ("box.csv", "0,1\n", "1 rows"),
        ("box.csv", "0,1\n1,x\n", r"upper\[1\] is 'x', not a number"),
        ("box.csv", "0,1\n1,nan\n", "'nan', not a number"),
        ("box.csv", "0,1\n1\n", r"lower has shape \(2,\) and upper \(1,\)"),
        ("box.vnnlib", "(declare-const X_0 Real)", "input X_0 is unbounded"),
        ("box.vnnlib", "(declare-const X_0 Real)(assert (= X_0 1))(assert (= X_0 2))", "input set is empty: X_0"),
        ("box.vnnlib", "(declare-const X_0 Real)(assert (or (= X_0 1) (= X_0 2)))", "a union of 2 sets"),
    ],
)
def test_refusals_name_the_file(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        load_box(write(tmp_path, name, text))


def test_the_dimension_is_checked(tmp_path):
    with pytest.raises(ValueError, match="box.csv: has 2 inputs, but 5 are needed"):
        load_box(write(tmp_path, "box.csv", "0,0\n1,1\n"), dimension=5)


def test_properties(data_dir):
    box = load_box(data_dir / "acasxu" / "prop_1.vnnlib", dimension=5)
    assert box.lower.tolist() == [0.6, -0.5, -0.5, 0.45, -0.5] and box.upper.tolist() == [
        0.679857769,
        0.5,
        0.5,
        0.5,
        -0.45,
    ]
    with pytest.raises(ValueError, match="prop_6.vnnlib: its input part is a union of 2 sets"):
        load_box(data_dir / "acasxu" / "prop_6.vnnlib")


def test_a_polytope(data_dir):
    pytest.importorskip("vnnlib")
    found = load_box(data_dir / "vnnlib2" / "polytope_input.vnnlib", dimension=5)
    assert isinstance(found, Polytope)
    matrix, bound = found.cuts
    assert matrix.tolist() == [[0, 1, 1, 0, 0]] and bound.tolist() == [0.02]
    assert np.array_equal(found.box.lower, [-0.303531156, -0.009549297, 0, 0.318181818, 0.083333333])
