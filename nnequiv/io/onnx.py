"""ONNX files in: any feed-forward graph of the operators below, as dense layers with ReLU between them.

The ``onnx`` package parses the file; :mod:`nnequiv.io.affine` does the lowering, in float64.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from nnequiv.io import onnx_operators as operators
from nnequiv.io import onnx_shapes as shapes
from nnequiv.io import onnx_windows as windows
from nnequiv.io.affine import Builder, Tensor, assemble
from nnequiv.io.files import optional_package, read_bytes
from nnequiv.network import Network

#: A dense layer with more weights is refused (256 MiB of float64).
MAX_WEIGHTS = 2**25
#: Operator sets that are read: before 7, several operators meant something else; after 25, nobody knows yet.
OPSETS = (7, 25)

OPERATORS = {
    "Add": operators.add,
    "AveragePool": windows.average_pool,
    "BatchNormalization": operators.batch_normalization,
    "Cast": operators.cast,
    "Clip": operators.clip,
    "Concat": operators.concat,
    "Constant": operators.identity,  # read from the node's attribute instead
    "Conv": windows.conv,
    "Div": operators.div,
    "Dropout": operators.dropout,
    "Flatten": shapes.flatten,
    "Gather": shapes.gather,
    "Gemm": operators.gemm,
    "GlobalAveragePool": windows.global_average_pool,
    "Identity": operators.identity,
    "LeakyRelu": operators.leaky_relu,
    "MatMul": operators.matmul,
    "Max": operators.extremum,
    "MaxPool": windows.max_pool,
    "Min": operators.extremum,
    "Mul": operators.mul,
    "Neg": operators.neg,
    "Pad": shapes.pad,
    "Relu": operators.relu,
    "Reshape": shapes.reshape,
    "Shape": shapes.shape_of,
    "Slice": shapes.slice_,
    "Squeeze": shapes.squeeze,
    "Sub": operators.sub,
    "Sum": operators.total,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze,
}


def onnx_package():
    """The ``onnx`` package, or an error that names the extra."""
    return optional_package("onnx", "reading and writing .onnx files")


def load_onnx(path, drop_softmax: bool = False, max_weights: int = MAX_WEIGHTS) -> Network:
    """Read a feed-forward graph of the operators in ``OPERATORS`` as a network.

    Parameters
    ----------
    path : str or path
    drop_softmax : bool
        Leave out a final Softmax or LogSoftmax. The order of the outputs stays, so only top-1, top-k and order
        relations keep their meaning.
    max_weights : int
        A dense layer with more weights is refused, with its size.

    Returns
    -------
    Network
        Inputs and outputs flattened in row-major order; a batch dimension of unknown size counts as 1. Equal to the
        graph in real arithmetic, up to float64 rounding where linear operators are multiplied together; a network of
        MatMul or Gemm, Add and Relu keeps the file's weights exactly.

    Raises
    ------
    ValueError
        One line that names the file, the node, and what is wrong; for an unsupported operator also the supported ones.
    MissingPackage
        Without the ``onnx`` package (an ImportError and a ValueError).

    Examples
    --------
    >>> import tempfile
    >>> from nnequiv.io.onnx_write import save_onnx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_onnx(Network([([[2.0]], [0.1])]), folder + "/net.onnx")
    ...     load_onnx(folder + "/net.onnx").layers[0].bias
    array([0.1])
    """
    onnx = onnx_package()
    data = read_bytes(path)
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's own exception classes differ between its implementations
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: not an ONNX file ({reason})") from None
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused as not finite
            return _Lowering(model, Path(path), drop_softmax, max_weights).network()
    except ValueError as error:
        raise ValueError(f"{path}: {error}".replace("\n", " ")) from None


class _Lowering:
    """One graph on its way to a network: ``values`` holds the tensor of every name computed so far."""

    def __init__(self, model, path: Path, drop_softmax: bool, max_weights: int):
        graph = model.graph
        self.opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
        if not OPSETS[0] <= self.opset <= OPSETS[1]:
            raise ValueError(f"operator set {self.opset} is not one of {OPSETS[0]} to {OPSETS[1]}")
        if model.functions:
            raise ValueError(f"function {model.functions[0].name} is defined in the model: that is not supported")
        self.nodes, self.path, self.drop_softmax = graph.node, path, drop_softmax
        self.values: dict[str, Tensor] = {}
        for tensor in graph.initializer:
            self.define(tensor.name, _constant(tensor, path), f"constant {tensor.name}")
        inputs = [value for value in graph.input if value.name not in self.values]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(
                f"the graph has {len(inputs)} inputs and {len(graph.output)} outputs: one each is supported"
            )
        shape = _input_shape(inputs[0])
        self.builder = Builder(math.prod(shape), max_weights)
        self.builder.check(self.builder.n_inputs)
        self.define(inputs[0].name, self.builder.input(shape), "the input")
        self.output = graph.output[0].name

    def network(self) -> Network:
        for node in self.nodes:
            if not node.output:
                raise ValueError(f"{_place(node)}: it has no output")
            # Only the first output is followed; a node that reads another one finds it not computed.
            self.define(node.output[0], self.tensor(node), _place(node))
        if self.output not in self.values:
            raise ValueError(f"the output {self.output} is not computed by any node")
        return assemble(self.builder, self.values[self.output])

    def define(self, name: str, value: Tensor, place: str) -> None:
        if not name or name in self.values:
            raise ValueError(f"{place}: the name {name!r} is empty or defined twice")
        self.values[name] = value

    def tensor(self, node) -> Tensor:
        """The tensor a node computes."""
        rule = self.rule(node)
        missing = [name for name in node.input if name and name not in self.values]
        if missing:
            raise ValueError(f"{_place(node)}: its input {missing[0]} is not computed before it")
        used = [self.values[name] if name else None for name in node.input]
        try:
            if node.op_type == "Constant":
                return _constant_node(node, self.path)
            return rule(self.builder, operators.Node(node.op_type, _attributes(node, self.opset), self.opset), *used)
        except (ValueError, TypeError, IndexError, AttributeError, KeyError, OverflowError, MemoryError) as error:
            # Beside our own refusals: attributes and constants of kinds no rule expects, in damaged files.
            raise ValueError(f"{_place(node)}: {error or type(error).__name__}") from None

    def rule(self, node):
        """The function for the node's operator."""
        if node.op_type in ("Softmax", "LogSoftmax") and self.output in node.output:
            if self.drop_softmax:
                return operators.softmax
            raise ValueError(
                f"{_place(node)}: a final {node.op_type} is not piecewise linear; "
                "--drop-softmax leaves it out (for top-1, top-k and order only)"
            )
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            supported = ", ".join(OPERATORS)
            raise ValueError(f"{_place(node)}: operator {node.op_type} is not supported; supported are {supported}")
        return OPERATORS[node.op_type]


def _input_shape(value) -> tuple[int, ...]:
    """The declared shape of the graph's input; an unknown first dimension is a batch and counts as 1."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or kind.elem_type not in (1, 10, 11, 16):
        raise ValueError(f"input {value.name} is not a tensor of floats")
    if not kind.HasField("shape"):
        raise ValueError(f"input {value.name} has no declared shape")
    result = []
    for axis, dimension in enumerate(kind.shape.dim):
        size = dimension.dim_value
        if size < 1 and axis:
            raise ValueError(f"input {value.name} has dimension {axis} of unknown size {dimension.dim_param or size}")
        result.append(size if size >= 1 else 1)
    return tuple(result)


def _constant(tensor, path: Path) -> Tensor:
    """An initializer's value; data in another file only from the model's own folder."""
    onnx = onnx_package()
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor = _with_external_data(tensor, path)
    try:
        value = onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # NumPy and onnx raise many kinds on damaged tensors
        raise ValueError(f"constant {tensor.name}: {error or type(error).__name__}") from None
    if value.dtype.kind not in "biuf" and value.dtype.name not in ("bfloat16",):
        raise ValueError(f"constant {tensor.name} has type {value.dtype}")
    return Tensor.constant(value.astype(np.float64) if value.dtype.name == "bfloat16" else value)


def _with_external_data(tensor, path: Path):
    """A copy of the tensor with its data read in."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.parent.resolve()
    file = (folder / entries.get("location", "")).resolve()
    if not file.is_relative_to(folder):
        raise ValueError(f"constant {tensor.name}: its data file {entries.get('location')} lies outside {folder}")
    offset, data = int(entries.get("offset", 0)), read_bytes(file)
    length = int(entries.get("length", len(data) - offset))
    if offset < 0 or length < 0 or offset + length > len(data):
        raise ValueError(f"constant {tensor.name}: bytes {offset} + {length} are outside the {len(data)} of {file}")
    copy = type(tensor)()
    copy.CopyFrom(tensor)
    copy.ClearField("external_data")
    copy.data_location = onnx_package().TensorProto.DEFAULT
    copy.raw_data = data[offset : offset + length]
    return copy


def _place(node) -> str:
    return f"{node.op_type} node {node.name or (node.output[0] if node.output else '?')}"


def _attributes(node, opset: int) -> dict:
    """The node's attributes as Python values; refuses names and kinds the operator does not have."""
    onnx = onnx_package()
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, "")
    except onnx.defs.SchemaError:
        raise ValueError(f"operator set {opset} has no operator {node.op_type}") from None
    if not schema.min_input <= len(node.input) <= schema.max_input:
        raise ValueError(f"{len(node.input)} inputs, but it takes {schema.min_input} to {schema.max_input}")
    result = {}
    for attribute in node.attribute:
        known = schema.attributes.get(attribute.name)
        if known is None or int(known.type) != attribute.type or attribute.name in result:
            raise ValueError(f"attribute {attribute.name} is unknown, of a wrong type, or given twice")
        value = onnx.helper.get_attribute_value(attribute)
        result[attribute.name] = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return result


def _constant_node(node, path: Path) -> Tensor:
    for attribute in node.attribute:
        if attribute.name == "value":
            return _constant(attribute.t, path)
        if attribute.name in ("value_float", "value_floats", "value_int", "value_ints"):
            return Tensor.constant(np.asarray(onnx_package().helper.get_attribute_value(attribute)))
    raise ValueError("it holds no number")
