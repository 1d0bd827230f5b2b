"""ONNX operators as rewritings of :class:`~nnequiv.io.affine.Tensor`: one small function an operator.

Each takes the builder, the node and its inputs, and returns the output. ``OPERATORS`` lists them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nnequiv.io.affine import Builder, Tensor, concatenate

#: Default attributes, as the float32 numbers that a file would hold.
LEAKY_SLOPE, EPSILON = float(np.float32(0.01)), float(np.float32(1e-5))


@dataclass(frozen=True)
class Node:
    """One node of the graph: operator, attributes as Python values, the model's operator set version."""

    operator: str
    attributes: dict
    opset: int

    def get(self, name: str, default):
        return self.attributes.get(name, default)


def refuse_variable(tensor: Tensor | None, what: str) -> np.ndarray:
    """The constant's value; ValueError if it depends on the network's input."""
    if tensor is None:
        raise ValueError(f"{what} is missing")
    if not tensor.is_constant:
        raise ValueError(f"{what} depends on the network's input, but must be a constant")
    return tensor.value


def integers(tensor: Tensor | None, what: str) -> list[int]:
    """A constant's entries as whole numbers."""
    value = np.atleast_1d(refuse_variable(tensor, what))
    if value.ndim != 1 or value.dtype.kind != "i":
        raise ValueError(f"{what} has type {value.dtype} and shape {value.shape}: it must be a list of integers")
    return [int(v) for v in value]


def finite(value: np.ndarray, what: str) -> np.ndarray:
    """The values as float64, all finite."""
    value = np.asarray(value, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(value))
    if len(bad):
        position = tuple(int(i) for i in bad[0])
        raise ValueError(f"{what}{list(position)} is {value[position]}: it must be finite")
    return value


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside a tensor of {rank} dimensions")
    return axis % rank


# Arithmetic, entry by entry


def broadcast(builder: Builder, tensors: list[Tensor]) -> list[Tensor]:
    """All in their common shape (NumPy's rules)."""
    try:
        shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except ValueError:
        shapes = " and ".join(str(tensor.shape) for tensor in tensors)
        raise ValueError(f"shapes {shapes} do not broadcast") from None
    builder.check(math.prod(shape))
    for tensor in tensors:
        finite(tensor.offset, "the constant")
    return [t if t.shape == shape else t.take(np.broadcast_to(t.index(), shape)) for t in tensors]


def add(builder: Builder, node: Node, a: Tensor, b: Tensor) -> Tensor:
    a, b = broadcast(builder, [a, b])
    return a + b


def sub(builder: Builder, node: Node, a: Tensor, b: Tensor) -> Tensor:
    a, b = broadcast(builder, [a, b])
    return a - b


def total(builder: Builder, node: Node, *tensors: Tensor) -> Tensor:
    result, *rest = broadcast(builder, list(tensors))
    for tensor in rest:
        result = result + tensor
    return result


def mul(builder: Builder, node: Node, a: Tensor, b: Tensor) -> Tensor:
    a, b = broadcast(builder, [a, b])
    if b.is_constant:
        return a.scale(b.value)
    return b.scale(refuse_variable(a, "one factor"))


def div(builder: Builder, node: Node, a: Tensor, b: Tensor) -> Tensor:
    a, b = broadcast(builder, [a, b])
    divisor = refuse_variable(b, "the divisor").reshape(-1)
    if (divisor == 0).any():
        raise ValueError("the divisor holds a 0")
    if a.offset.dtype.kind == "i" and divisor.dtype.kind == "i":
        raise ValueError("a division of integers is not supported")
    # Entry by entry, not times 1 / divisor: each is the float64 nearest to its quotient.
    terms = {}
    for block, term in a.terms.items():
        rows = np.repeat(np.arange(a.size), np.diff(term.indptr))
        terms[block] = sparse.csr_matrix((term.data / divisor[rows], term.indices, term.indptr), term.shape)
    return Tensor(a.shape, terms, a.offset / divisor)


def neg(builder: Builder, node: Node, a: Tensor) -> Tensor:
    return -a


def identity(builder: Builder, node: Node, a: Tensor) -> Tensor:
    return a


def dropout(builder: Builder, node: Node, a: Tensor, ratio=None, training=None) -> Tensor:
    if training is not None and refuse_variable(training, "training_mode").any():
        raise ValueError("training_mode is on: only inference is supported")
    return a


def cast(builder: Builder, node: Node, a: Tensor) -> Tensor:
    """A constant is rounded to its new type; the network's values are real numbers and stay as they are."""
    floats = {1: np.float32, 10: np.float16, 11: np.float64}  # FLOAT, FLOAT16, DOUBLE
    target = node.get("to", 0)
    if target in floats:
        return Tensor.constant(a.value.astype(floats[target])) if a.is_constant else a
    if not a.is_constant or target not in (6, 7):  # INT32, INT64
        raise ValueError(f"a cast to type {target} is not supported: only to float, float16, double")
    return Tensor.constant(np.trunc(finite(a.value, "the constant")).astype(np.int64))


# ReLU and its relatives


def relu(builder: Builder, node: Node, a: Tensor) -> Tensor:
    return builder.relu(a)


def leaky_relu(builder: Builder, node: Node, a: Tensor) -> Tensor:
    """``relu(x) − α relu(−x)``: exact, where ``α x + (1 − α) relu(x)`` would round 1 − α."""
    slope = finite(node.get("alpha", LEAKY_SLOPE), "alpha")
    return builder.relu(a) - builder.relu(-a).scale(np.full(a.shape, slope))


def extremum(builder: Builder, node: Node, *tensors: Tensor) -> Tensor:
    """Max and Min of any number of tensors; a bound of ∓∞ is none."""
    sign = 1 if node.operator == "Max" else -1
    bounds = [t for t in tensors if not (t.is_constant and t.size and (t.offset == -sign * np.inf).all())]
    shape = Tensor.constant(np.zeros(np.broadcast_shapes(*(t.shape for t in tensors))))
    first, *rest, _ = broadcast(builder, [*bounds, shape])
    result = first if sign > 0 else -first
    for tensor in rest:
        result = builder.maximum(result, tensor if sign > 0 else -tensor)
    return result if sign > 0 else -result


def clip(builder: Builder, node: Node, a: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """``min(max(x, low), high)``; with low ≤ high it is ``low + relu(x − low) − relu(x − high)``."""
    if node.opset < 11:
        low, high = (Tensor.constant(node.get(k, d)) for k, d in (("min", -np.inf), ("max", np.inf)))
    low = -np.inf if low is None else float(refuse_variable(low, "min").reshape(()))
    high = np.inf if high is None else float(refuse_variable(high, "max").reshape(()))
    if np.isnan(low) or np.isnan(high) or low == np.inf or high == -np.inf:
        raise ValueError(f"the bounds are [{low}, {high}]")
    if low > high:  # the standard's formula: everything is clipped to the upper bound
        return Tensor.constant(np.full(a.shape, high))
    lows, highs = (Tensor.constant(np.full(a.shape, bound)) for bound in (low, high))
    if low == -np.inf:
        return a if high == np.inf else highs - builder.relu(highs - a)
    raised = lows + builder.relu(a - lows)
    return raised if high == np.inf else raised - builder.relu(a - highs)


# Products


def _product(builder: Builder, a: Tensor, b: Tensor) -> Tensor:
    """``numpy.matmul`` of two tensors, one of them constant, on the left or on the right."""
    if not (a.is_constant or b.is_constant):
        raise ValueError("both factors depend on the network's input")
    if not a.shape or not b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape}: a matrix product needs at least one dimension")
    left = a.index()[None, :] if len(a.shape) == 1 else a.index()
    right = b.index()[:, None] if len(b.shape) == 1 else b.index()
    (rows, inner), columns = left.shape[-2:], right.shape[-1]
    if inner != right.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} do not chain")
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    builder.check(math.prod(batch) * rows * columns, math.prod(batch) * inner * (rows if b.is_constant else columns))
    left = np.broadcast_to(left, (*batch, rows, inner))
    right = np.broadcast_to(right, (*batch, inner, columns))
    if b.is_constant:  # row by row: a row x becomes Wᵀ x
        matrices = finite(b.value, "the weight").reshape(-1)[right].reshape(-1, inner, columns)
        blocks = [sparse.kron(sparse.identity(rows), sparse.csr_matrix(weight.T)) for weight in matrices]
        tensor = a.take(left)
    else:
        matrices = finite(a.value, "the weight").reshape(-1)[left].reshape(-1, rows, inner)
        blocks = [sparse.kron(sparse.csr_matrix(weight), sparse.identity(columns)) for weight in matrices]
        tensor = b.take(right)
    shape = (*batch, *([rows] if len(a.shape) > 1 else []), *([columns] if len(b.shape) > 1 else []))
    return tensor.apply(sparse.block_diag(blocks, format="csr"), shape)


def matmul(builder: Builder, node: Node, a: Tensor, b: Tensor) -> Tensor:
    return _product(builder, a, b)


def gemm(builder: Builder, node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """``alpha · A' B' + beta · C``."""
    for name, tensor in (("A", a), ("B", b)):
        if len(tensor.shape) != 2:
            raise ValueError(f"{name} has shape {tensor.shape}: Gemm needs a matrix")
    a = a.take(a.index().T) if node.get("transA", 0) else a
    b = b.take(b.index().T) if node.get("transB", 0) else b
    result = _scaled(_product(builder, a, b), node.get("alpha", 1.0))
    if c is None:
        return result
    addend = _scaled(c, node.get("beta", 1.0))
    try:
        addend = addend.take(np.broadcast_to(addend.index(), result.shape))
    except ValueError:
        raise ValueError(f"C has shape {c.shape}, which does not broadcast to {result.shape}") from None
    return result + addend


def _scaled(tensor: Tensor, factor: float) -> Tensor:
    factor = float(finite(factor, "the factor"))
    return tensor if factor == 1.0 else tensor.scale(np.full(tensor.shape, factor))


def batch_normalization(builder: Builder, node: Node, a, scale, shift, mean, variance) -> Tensor:
    """``scale (x − mean) / √(variance + ε) + shift`` a channel, as one factor and one summand."""
    if node.get("training_mode", 0) or not node.get("spatial", 1):
        raise ValueError("training_mode 1 and spatial 0 are not supported")
    names = ("scale", "B", "input_mean", "input_var")
    values = [finite(refuse_variable(t, n), n) for t, n in zip((scale, shift, mean, variance), names, strict=True)]
    channels = (a.shape[1],) if len(a.shape) > 1 else (1,)
    for name, value in zip(names, values, strict=True):
        if value.shape != channels:
            raise ValueError(f"{name} has shape {value.shape}, but x has shape {a.shape}")
    spread = values[3] + node.get("epsilon", EPSILON)
    if (spread <= 0).any():
        raise ValueError(f"variance + epsilon is {spread.min()}: it must be positive")
    factor = values[0] / np.sqrt(spread)
    column = (-1, *([1] * (len(a.shape) - 2))) if len(a.shape) > 1 else (1,)
    spread_out = [np.broadcast_to(v.reshape(column), a.shape) for v in (factor, values[1] - values[2] * factor)]
    return a.scale(spread_out[0]) + Tensor.constant(spread_out[1])


def softmax(builder: Builder, node: Node, a: Tensor) -> Tensor:
    """Left out on request. Only one over all outputs keeps their order."""
    axis = axis_of(node.get("axis", -1 if node.opset >= 13 else 1), len(a.shape))
    span = a.shape[axis] if node.opset >= 13 else math.prod(a.shape[axis:])
    if span != a.size:
        raise ValueError(
            f"axis {axis} of shape {a.shape} does not hold all outputs: leaving it out changes their order"
        )
    return a


def concat(builder: Builder, node: Node, *tensors: Tensor) -> Tensor:
    axis = axis_of(node.get("axis", 0), len(tensors[0].shape))
    starts = np.cumsum([0, *(tensor.size for tensor in tensors)])
    parts = [tensor.index() + start for tensor, start in zip(tensors, starts, strict=False)]
    try:
        index = np.concatenate(parts, axis=axis)
    except ValueError:
        shapes = " and ".join(str(tensor.shape) for tensor in tensors)
        raise ValueError(f"shapes {shapes} do not join along axis {axis}") from None
    return concatenate(list(tensors), index)
