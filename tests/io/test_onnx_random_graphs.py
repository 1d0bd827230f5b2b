"""Random graphs with branches of any depth against onnxruntime: the layout in layers and its identity lanes."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv.io.onnx import load_onnx
from nnequiv.io.onnx_write import save_onnx
from tests.oracles.onnx_graphs import graph, node, run, save

WIDTH = 3


def random_graph(rng: np.random.Generator):
    """Ten nodes, each reading any tensors before it; all tensors are (1, 3)."""
    names, nodes, constants = ["x"], [], {}
    for k in range(10):
        a, b = rng.choice(names, 2)
        out, weight = f"t{k}", f"w{k}"
        kind = rng.integers(8)
        if kind <= 2:
            nodes.append(node("Relu", a, out))
        elif kind == 3:
            constants[weight] = rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 2
            nodes.append(node("MatMul", f"{a} {weight}", out))
        elif kind == 4:
            nodes.append(node("LeakyRelu", a, out, alpha=0.25))
        elif kind == 5:
            nodes.append(node(str(rng.choice(["Max", "Min"])), f"{a} {b}", out))
        elif kind == 6:
            nodes.append(node(str(rng.choice(["Add", "Sub"])), f"{a} {b}", out))
        else:
            constants[weight] = rng.normal(size=(2 * WIDTH, WIDTH)).astype(np.float32) / 2
            nodes += [node("Concat", f"{a} {b}", f"c{k}", axis=1), node("Gemm", f"c{k} {weight}", out)]
        names.append(out)
    nodes.append(node("Sum", " ".join(names[-3:]), "y"))
    return graph(nodes, (1, WIDTH), constants)


@pytest.mark.parametrize("seed", range(50))
def test_agrees_with_onnxruntime(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path = save(random_graph(rng), tmp_path / "graph.onnx")
    network = load_onnx(path)
    points = rng.normal(size=(100, WIDTH)).astype(np.float32)
    expected = run(path, points)
    assert np.abs(network(points) - expected).max() / max(1.0, np.abs(expected).max()) < 1e-5, seed
    save_onnx(network, tmp_path / "dense.onnx")
    written = run(str(tmp_path / "dense.onnx"), points)
    assert np.abs(network(points) - written).max() / max(1.0, np.abs(expected).max()) < 1e-5, seed
