"""Small ONNX graphs, one for each operator and option, and onnxruntime as the judge of what they compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np

onnx = __import__("pytest").importorskip("onnx")
ort = __import__("pytest").importorskip("onnxruntime")

FLOAT = onnx.TensorProto.FLOAT


def node(operator, inputs, outputs="y", name="", **attributes):
    """A node; inputs and outputs as words in one string, ``_`` for a left-out input."""
    names = ["" if word == "_" else word for word in inputs.split()]
    return onnx.helper.make_node(operator, names, outputs.split(), name=name, **attributes)


def graph(nodes, shape, constants=None, opset=13, output="y", element=FLOAT):
    """A model with input ``x`` of this shape and one output; constants as arrays by name."""
    initializers = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    inputs = [onnx.helper.make_tensor_value_info("x", element, shape)]
    outputs = [onnx.helper.make_tensor_value_info(output, element, None)]
    built = onnx.helper.make_graph(nodes, "test", inputs, outputs, initializers)
    return onnx.helper.make_model(built, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=7)


def save(model, path: Path) -> str:
    path.write_bytes(model.SerializeToString())
    return str(path)


def run(path: str, points: np.ndarray) -> np.ndarray:
    """onnxruntime's outputs, flattened, at points ``(k, n)``; a batch dimension of unknown size is 1."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [n if isinstance(n, int) else 1 for n in entry.shape]
    kind = np.float64 if "double" in entry.type else np.float32
    return np.array([session.run(None, {entry.name: p.reshape(shape).astype(kind)})[0].ravel() for p in points])


def f32(*values) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def ints(*values) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def random(*shape) -> np.ndarray:
    """Reproducible weights, another for each shape."""
    return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape).astype(np.float32)
