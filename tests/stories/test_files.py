"""Files that other tools have read wrongly: from file to verdict."""

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.audit.verify import verify
from nnequiv.io import load_query
from nnequiv.network import Network
from tests.oracles.queries import query_text, relu_net

SUM = Network([([[1.0, 10.0]], [0.0])])  # y = x0 + 10 x1: swapped inputs show


def verdict(folder, text: str, network: Network) -> str:
    (folder / "q.vnnlib").write_bytes(text.encode())
    return verify(load_query(folder / "q.vnnlib"), {"N": network}).verdict


def saved(folder, nodes, shape, constants) -> Network:
    graphs = pytest.importorskip("tests.oracles.onnx_graphs")
    return nq.load(graphs.save(graphs.graph(nodes(graphs.node), shape, constants), folder / "f.onnx"))


def test_a_matmul_with_the_weight_on_the_left(tmp_path):
    """Columns, not rows: y = W x, with a W that is not symmetric."""
    weight = np.array([[1, 10], [0, 1]], dtype=np.float32)
    network = saved(tmp_path, lambda node: [node("MatMul", "w x")], (2, 1), {"w": weight})
    box = [(0, 1), (2, 3)]
    assert verdict(tmp_path, query_text(box, "(or (< Y_0 20) (> Y_0 31) (< Y_1 2) (> Y_1 3))", 2), network) == "unsat"
    assert verdict(tmp_path, query_text(box, "(and (>= Y_0 31) (>= Y_1 3))", 2), network) == "sat"


def test_a_relu_on_the_output(tmp_path):
    """Left out, y = x would be below 0 for x in [-1, 1]."""
    network = saved(tmp_path, lambda node: [node("Relu", "x")], (1, 1), {})
    assert verdict(tmp_path, query_text([(-1, 1)], "(< Y_0 0)"), network) == "unsat"
    assert verdict(tmp_path, query_text([(-1, 1)], "(<= Y_0 0)"), network) == "sat"


@pytest.mark.parametrize("engine", ["star", "vertices", "skeleton", "branch-and-bound", "milp", "auto"])
@pytest.mark.parametrize("box, level", [([(0.5, 0.5), (0, 1)], 10.5), ([(0.5, 0.5), (1, 1)], 10.5)])
def test_fixed_inputs(tmp_path, engine, box, level):
    """A box without volume has no interior for a solver to start from, but it is not empty."""
    for unsafe, said in ((f"(> Y_0 {level + 0.01})", "unsat"), (f"(> Y_0 {level - 0.01})", "sat")):
        (tmp_path / "q.vnnlib").write_text(query_text(box, unsafe))
        assert verify(load_query(tmp_path / "q.vnnlib"), {"N": SUM}, engine).verdict == said


def test_inputs_in_reversed_order(tmp_path):
    """Declared and bounded last first: x0 in [0, 1], x1 in [2, 3], so y in [20, 31]."""
    text = (
        "(declare-const Y_0 Real)(declare-const X_1 Real)(declare-const X_0 Real)"
        "(assert (<= X_1 3))(assert (>= X_1 2))(assert (<= X_0 1))(assert (>= X_0 0))"
        "(assert (or (< Y_0 20) (> Y_0 {})))"
    )
    assert verdict(tmp_path, text.format(31), SUM) == "unsat"
    assert verdict(tmp_path, text.format(30.5), SUM) == "sat"


def test_repeated_bounds_all_hold(tmp_path):
    """The tightest counts, not the last."""
    text = query_text([(0, 1), (2, 3)], "(> Y_0 {})") + "(assert (<= X_1 5))(assert (<= X_1 2.5))(assert (<= X_1 2.75))"
    assert verdict(tmp_path, text.format(26), SUM) == "unsat"
    assert verdict(tmp_path, text.format(25.9), SUM) == "sat"


@pytest.mark.parametrize("half", ["0.5", "5e-1", "5E-1", "+0.5", ".5", "0.05e+1", "00.500"])
def test_exponents_and_signs(tmp_path, half):
    text = query_text([(f"-{half.lstrip('+')}", half)], "(> Y_0 {})")
    assert verdict(tmp_path, text.format("0.49"), relu_net()) == "sat"
    assert verdict(tmp_path, text.format(half), relu_net()) == "unsat"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_blanks_and_line_ends(tmp_path, end):
    lines = [
        "; a property", "", "(declare-const  X_0\tReal)", " ( declare-const Y_0 Real ) ; one output",
        "(assert", "  (and (>= X_0 -1)   (<= X_0 2)", ")", ")", "(assert ( > Y_0 {} ))   ", "",
    ]  # fmt: skip
    assert verdict(tmp_path, end.join(lines).format(2), relu_net()) == "unsat"
    assert verdict(tmp_path, end.join(lines).format(1.5), relu_net()) == "sat"


def test_a_comment_does_not_end_at_a_parenthesis(tmp_path):
    text = query_text([(-1, 2)], "(> Y_0 3)") + "; (assert (> Y_0 0)) is what the paper says\n"
    assert verdict(tmp_path, text, relu_net()) == "unsat"
