"""Real networks and boxes from the data folder, read by as little code as will do."""

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

from nnequiv.network import Network
from nnequiv.sets import Box

ORIGINAL = "acasxu/ACASXU_run2a_1_1_batch_2000.onnx"
RETRAIN = "pairs/ACASXU_run2a_1_1_batch_2000-retrain-mirror.onnx"
STUDENT = "pairs/ACASXU_run2a_1_1_batch_2000-student-mirror.onnx"


def data_file(name: str) -> Path:
    folder = os.environ.get("NNEQUIV_DATA")
    if not folder:
        pytest.skip("NNEQUIV_DATA does not name the folder of real networks")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"{name} is not in NNEQUIV_DATA")
    return path


def real_network(name: str) -> Network:
    """A chain of MatMul, Gemm, Add and Relu; a ReLU on the outputs becomes a last identity layer."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(data_file(name))).graph
    constant = {i.name: onnx.numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
    weights, biases, last = [], [], ""
    for node in graph.node:
        values = [constant[i] for i in node.input if i in constant]
        if node.op_type == "MatMul":
            weights.append(values[0] if node.input[0] in constant else values[0].T)
        elif node.op_type == "Gemm":
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            weights.append(values[0] if transposed else values[0].T)
            biases.append(values[1].ravel())
        elif node.op_type == "Add":
            biases.append(values[0].ravel())
        last = node.op_type
    if last == "Relu":
        weights.append(np.eye(len(biases[-1])))
        biases.append(np.zeros(len(biases[-1])))
    return Network.from_arrays(weights, biases)


def real_box(name: str) -> Box:
    """The bounds ``(<= X_0 1.0)`` and ``(>= X_0 0.0)``, either way around."""
    text = data_file(name).read_text()
    lower, upper = {}, {}
    for op, index, value in re.findall(r"\((<=|>=) X_(\d+) ([-\d.eE]+)\)", text):
        (upper if op == "<=" else lower)[int(index)] = float(value)
    for op, value, index in re.findall(r"\((<=|>=) ([-\d.eE]+) X_(\d+)\)", text):
        (lower if op == "<=" else upper)[int(index)] = float(value)
    return Box([lower[i] for i in sorted(lower)], [upper[i] for i in sorted(upper)])


def acas(kind: str, prop: int):
    """Original and retrained or student network, and the box of a property."""
    other = {"retrain": RETRAIN, "student": STUDENT, "pruned": "pruned/ACASXU_run2a_1_1_batch_2000_pruned5.onnx"}[kind]
    return (real_network(ORIGINAL), real_network(other)), real_box(f"acasxu/prop_{prop}.vnnlib")


def mnist_images(count: int) -> np.ndarray:
    """The first test images, pixels in [0, 1], ``(count, 784)``."""
    with gzip.open(data_file("mnist/t10k-images-idx3-ubyte.gz")) as file:
        pixels = np.frombuffer(file.read(16 + 784 * count), np.uint8, offset=16)
    return pixels.reshape(count, 784) / 255.0


def pruned_mnist():
    """The 784-100-100-10 network and its pruned copy."""
    return tuple(real_network(f"pruned/mnist_relu_3_100{name}.onnx") for name in ("", "_pruned5"))
