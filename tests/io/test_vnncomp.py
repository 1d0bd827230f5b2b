"""Other tools' answers, in every form they write them, and lists of instances."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from nnequiv.io.instances import Instance, load_instances
from nnequiv.io.vnncomp import format_answer, load_answer, parse_answer
from nnequiv.io.vnnlib import parse_query

ONE = parse_query(
    "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)"
    "(assert (and (>= X_0 0) (<= X_0 1) (>= X_1 0) (<= X_1 1)))(assert (>= Y_0 0))"
)


def two():
    pytest.importorskip("vnnlib")
    return parse_query(
        "(vnnlib-version <2.0>)"
        "(declare-network f (declare-input A float32 [1,2]) (declare-output Y float32 [1]))"
        "(declare-network g (declare-input C real [2]) (declare-output Z real [1]))"
        "(assert (and (>= A[0,0] 0.0) (<= A[0,0] 1.0) (>= A[0,1] 0.0) (<= A[0,1] 1.0)))"
        "(assert (and (>= C[0] 0.0) (<= C[0] 1.0) (>= C[1] 0.0) (<= C[1] 1.0)))(assert (>= Y[0] 0.0))"
    )


@pytest.mark.parametrize(
    "text",
    [
        "sat\n((X_0 0.5)\n(X_1 -1e-3)\n(Y_0 2.5))",
        "sat\n(\n(X_0   5.0E-1)\n\n(X_1 -0.001)\n(Y_0 +2.5)\n)\n\n",
        "\n  sat  \n(X_0 0.5)(X_1 -0.001)(Y_0 2.5)",
        "violated\n((Y_0 2.5) (X_1 -0.001) (X_0 .5))",
        "((X_0 0.5)\n(X_1 -0.001)\n(Y_0 2.5))",
        "SAT\n((X_0 0.5) ; a comment\n(X_1 -0.001) (Y_0 2.5))",
        "sat\nX real [2]\n0.5\n-0.001\nY real [1]\n2.5\n",
        "sat\nX[0]=0.5\nX[1] = -0.001\nY[0]=2.5",
    ],
)
def test_every_form_of_a_counterexample(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text.replace("\n", "\r\n").encode())
    (tmp_path / "b.counterexample.gz").write_bytes(gzip.compress(text.encode()))
    for answer in (parse_answer(text), load_answer(tmp_path / "a.txt"), load_answer(tmp_path / "b.counterexample.gz")):
        [x], [y] = answer.tensors(ONE)
        assert (answer.verdict, x.tolist(), y.tolist()) == ("sat", [0.5, -0.001], [2.5])


@pytest.mark.parametrize(
    "text, verdict",
    [("unsat", "unsat"), ("holds\n", "unsat"), ("timeout", "timed-out"), ("timed-out\n", "timed-out"),
     ("unknown", "unknown"), ("sat", "sat"), ("error\n", "error")],
)  # fmt: skip
def test_verdicts_without_a_counterexample(text, verdict):
    answer = parse_answer(text)
    assert (answer.verdict, dict(answer.values)) == (verdict, {})


def test_outputs_may_be_left_out():
    _, [y] = parse_answer("sat\n((X_0 0.5) (X_1 0))").tensors(ONE)
    assert y is None


def test_tensors_of_several_networks_are_row_major():
    answer = parse_answer("sat\nA float32 [1,2]\n0.5\n0.25\nY float32 [1]\n1\nC real [2]\n0\n1\nZ real [1]\n-1")
    inputs, outputs = answer.tensors(two())
    assert [v.tolist() for v in (*inputs, *outputs)] == [[0.5, 0.25], [0.0, 1.0], [1.0], [-1.0]]
    answer = parse_answer("sat\nA[0,1]=0.25\nA[0,0]=0.5\nC[0]=0\nC[1]=1")
    assert answer.tensors(two())[0][0].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "line 1: '' is not one of sat, unsat"),
        ("maybe", "line 1: 'maybe' is not one of"),
        ("sat maybe", "line 1: 'sat maybe' is not one of"),
        ("sat\n((X_0 0.5) (X_0 0.5))", r"line 2: entry \[0\] of X is given twice"),
        ("sat\n((X_0 0.5) (X_2 0.5))", "2 of the 3 entries of X are given"),
        ("sat\n((X_0 nan))", "line 2: 'nan' is neither"),
        ("sat\n\n((X_0 1e999))", "line 3: 1e999 is too large"),
        ("sat\n((X_0 0.5)", "line 1: the parenthesis opened here"),
        ("sat\n((X_0 0.5 0.5))", "line 2: expected .NAME VALUE."),
        ("sat\n((X_0[ 0.5))", r"line 2: 'X_0\[' is not the name"),
        ("sat\nX real [2]\n0.5\nY real [1]\n1", "line 4: more values of X are needed"),
        ("sat\nX real [2]\n0.5", "the file ends before all values of X"),
        ("sat\nX real [1]\n0.5\n0.5", "line 4: '0.5' is one value too many"),
        ("sat\nX real [1]\n0.5\nX real [1]\n0.5", r"line 4: X \[1\] is given twice"),
        ("sat\nX real [9999999]\n", r"line 2: X \[9999999\] is given twice or has over"),
        ("sat\nX[0]=0.5\nX[0,0]=0.5", "entries of X have different numbers of indices"),
        ("sat\nX[a]=0.5", r"line 2: 'X\[a\]' is not the name"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(ValueError, match=message):
        parse_answer(text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("sat\n((X_0 0.5) (X_1 1) (Z_0 1))", "the answer gives Z, but the query declares X, Y"),
        ("sat\n((X_0 0.5))", "the answer gives 1 values of X, but the query declares 2"),
        ("sat\n((Y_0 0.5))", "the answer gives no values of X"),
        ("sat", "the answer gives no values of X"),
    ],
)
def test_answers_that_do_not_fit_the_query(text, message):
    with pytest.raises(ValueError, match=message):
        parse_answer(text).tensors(ONE)


@pytest.mark.parametrize("version", [1, 2])
def test_written_answers_read_back_to_the_bit(version):
    query = ONE if version == 1 else two()
    rng = np.random.default_rng(version)
    inputs = [rng.normal(size=2) for _ in query.names]
    outputs = [rng.normal(size=1) for _ in query.names]
    text = format_answer(query, "sat", inputs, outputs)
    found = parse_answer(text).tensors(query)
    assert all(a.tobytes() == b.tobytes() for a, b in zip([*found[0], *found[1]], [*inputs, *outputs], strict=True))
    assert text.splitlines()[0] == "sat"
    assert format_answer(query, "unsat") == "unsat\n"


def test_the_standards_format():
    text = format_answer(two(), "sat", [[0.5, 0.25], [0, 1]], [[1], [-1]])
    expected = "sat A float32 [1,2] 0.5 0.25 Y float32 [1] 1.0 C real [2] 0.0 1.0 Z real [1] -1.0"
    assert " ".join(text.splitlines()) == expected
    assert format_answer(ONE, "sat", [[0.5, 1]], [[2]]) == "sat\n((X_0 0.5)\n(X_1 1.0)\n(Y_0 2.0))\n"


def test_instances(tmp_path):
    path = tmp_path / "instances.csv"
    path.write_text(
        "onnx/a.onnx,vnnlib/p.vnnlib,116\r\n"
        "\n./b.onnx, q.vnnlib.gz , 1.5e2\n"
        "[('f', 'a.onnx'), ('g','b.onnx')],r.vnnlib,60\n"
        "\"[('f', 'a.onnx'), ('g', 'b.onnx')]\",r.vnnlib,60\n"
    )
    pair = Instance((("f", "a.onnx"), ("g", "b.onnx")), "r.vnnlib", 60.0)
    assert load_instances(path) == [
        Instance(((None, "onnx/a.onnx"),), "vnnlib/p.vnnlib", 116.0),
        Instance(((None, "./b.onnx"),), "q.vnnlib.gz", 150.0),
        pair,
        pair,
    ]


@pytest.mark.parametrize(
    "row, message",
    [("a,b", "2 cells"), ("a,b,0", "timeout '0'"), ("a,b,nan", "timeout 'nan'"), (",b,1", "3 cells"),
     ("a,b,1,2", "4 cells"), ("[('f','a'),('g',3)],b,1", "is not a list of"), ("[],b,1", "is not a list of"),
     ('"a,b,1', "1 cells")],
)  # fmt: skip
def test_instances_that_are_refused(tmp_path, row, message):
    (tmp_path / "instances.csv").write_text(f"a,b,1\n{row}\n")
    with pytest.raises(ValueError, match=f"instances.csv, line 2: .*{message}"):
        load_instances(tmp_path / "instances.csv")
