"""ONNX files out: Gemm and Relu nodes, which every runtime and verifier reads."""

from __future__ import annotations

import numpy as np

from nnequiv.io.files import write_atomically
from nnequiv.io.onnx import onnx_package
from nnequiv.network import Network


def save_onnx(network: Network, path, dtype: str = "auto") -> None:
    """Write a network as Gemm and Relu nodes, input ``X`` (1, n_inputs), output ``Y`` (1, n_outputs).

    Parameters
    ----------
    network : Network
    path : str or path
    dtype : {"auto", "float32", "float64"}
        ``"auto"`` takes float32 if that holds every weight exactly, else float64, so that the file always *is* the
        network. ``"float32"`` rounds the weights.
    """
    onnx = onnx_package()
    if dtype not in ("auto", "float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}: it must be 'auto', 'float32' or 'float64'")
    arrays = [array for layer in network.layers for array in (layer.weight, layer.bias)]
    with np.errstate(over="ignore"):
        fits = all(np.array_equal(a.astype(np.float32).astype(np.float64), a) for a in arrays)
        kind = np.dtype(np.float32 if dtype == "float32" or (dtype == "auto" and fits) else np.float64)
        arrays = [a.astype(kind) for a in arrays]
    if not all(np.isfinite(a).all() for a in arrays):
        raise ValueError(f"{path}: a weight is too large for float32")
    element = onnx.TensorProto.FLOAT if kind == np.float32 else onnx.TensorProto.DOUBLE
    nodes, initializers, current = [], [], "X"
    for i in range(len(network.layers)):
        last = i == len(network.layers) - 1
        for name, array in ((f"weight_{i}", arrays[2 * i]), (f"bias_{i}", arrays[2 * i + 1])):
            initializers.append(onnx.numpy_helper.from_array(array, name))
        name = "Y" if last else f"pre_{i}"
        nodes.append(
            onnx.helper.make_node("Gemm", [current, f"weight_{i}", f"bias_{i}"], [name], f"gemm_{i}", transB=1)
        )
        if not last:
            nodes.append(onnx.helper.make_node("Relu", [name], [f"post_{i}"], f"relu_{i}"))
            current = f"post_{i}"
    graph = onnx.helper.make_graph(
        nodes,
        "nnequiv",
        [onnx.helper.make_tensor_value_info("X", element, [1, network.n_inputs])],
        [onnx.helper.make_tensor_value_info("Y", element, [1, network.n_outputs])],
        initializers,
    )
    opset = [onnx.helper.make_opsetid("", 13)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=7, producer_name="nnequiv")
    write_atomically(path, lambda file: file.write(model.SerializeToString()))
