"""ONNX operators that only move entries: each is a table of flat positions, given to ``Tensor.take``."""

from __future__ import annotations

import math

import numpy as np

from nnequiv.io.affine import Builder, Tensor
from nnequiv.io.onnx_operators import Node, axis_of, integers, refuse_variable


def flatten(builder: Builder, node: Node, a: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = axis if axis == len(a.shape) else axis_of(axis, max(len(a.shape), 1))
    return a.reshape((math.prod(a.shape[:axis]), math.prod(a.shape[axis:])))


def reshape(builder: Builder, node: Node, a: Tensor, target: Tensor | None = None) -> Tensor:
    shape = list(node.get("shape", [])) if target is None else integers(target, "the shape")
    wanted = list(shape)
    if not node.get("allowzero", 0):
        if any(n == 0 and i >= len(a.shape) for i, n in enumerate(shape)):
            raise ValueError(f"shape {wanted} copies a dimension that {a.shape} does not have")
        shape = [a.shape[i] if n == 0 else n for i, n in enumerate(shape)]
    if shape.count(-1) == 1:
        known = math.prod(n for n in shape if n != -1)
        shape[shape.index(-1)] = a.size // known if known > 0 else -1
    if any(n < 0 for n in shape) or math.prod(shape) != a.size:
        raise ValueError(f"a tensor of shape {a.shape} cannot take the shape {wanted}")
    return a.reshape(shape)


def _axes(node: Node, axes: Tensor | None, rank: int) -> list[int] | None:
    """Axes from the attribute (before operator set 13) or the input."""
    listed = node.get("axes", None) if axes is None else integers(axes, "axes")
    if listed is None:
        return None
    result = [axis_of(axis, rank) for axis in listed]
    if len(set(result)) != len(result):
        raise ValueError(f"axes {listed} repeat a dimension")
    return result


def squeeze(builder: Builder, node: Node, a: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _axes(node, axes, len(a.shape))
    if chosen is None:
        chosen = [axis for axis, n in enumerate(a.shape) if n == 1]
    if any(a.shape[axis] != 1 for axis in chosen):
        raise ValueError(f"axes {chosen} of shape {a.shape} are not all of length 1")
    return a.reshape([n for axis, n in enumerate(a.shape) if axis not in chosen])


def unsqueeze(builder: Builder, node: Node, a: Tensor, axes: Tensor | None = None) -> Tensor:
    listed = node.get("axes", None) if axes is None else integers(axes, "axes")
    if listed is None:
        raise ValueError("axes are missing")
    chosen = _axes(node, axes, len(a.shape) + len(listed))
    rest = iter(a.shape)
    return a.reshape([1 if axis in chosen else next(rest) for axis in range(len(a.shape) + len(listed))])


def transpose(builder: Builder, node: Node, a: Tensor) -> Tensor:
    order = node.get("perm", list(range(len(a.shape)))[::-1])
    if sorted(order) != list(range(len(a.shape))):
        raise ValueError(f"perm {list(order)} does not fit shape {a.shape}")
    return a.take(a.index().transpose(order))


def slice_(builder: Builder, node: Node, a: Tensor, *inputs: Tensor) -> Tensor:
    """Attributes before operator set 10, inputs since."""
    if inputs:
        names = ("starts", "ends", "axes", "steps")
        given = [None if t is None else integers(t, n) for t, n in zip(inputs, names, strict=False)]
        starts, ends, axes, steps = (*given, None, None)[:4]
    else:
        starts, ends, axes, steps = node.get("starts", []), node.get("ends", []), node.get("axes", None), None
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ValueError(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} differ in length")
    index = a.index()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(axis, len(a.shape))
        if step == 0:
            raise ValueError("a step is 0")
        n = a.shape[axis]
        if step < 0 and end < -n:  # past the front: Python would count it from the back
            end = None
        where = [slice(None)] * len(a.shape)
        where[axis] = slice(start, end, step)
        index = index[tuple(where)]
    return a.take(index)


def gather(builder: Builder, node: Node, a: Tensor, indices: Tensor) -> Tensor:
    axis = axis_of(node.get("axis", 0), len(a.shape))
    chosen = refuse_variable(indices, "the index")
    n = a.shape[axis]
    if chosen.dtype.kind != "i" or (chosen < -n).any() or (chosen >= n).any():
        raise ValueError(f"an index is outside the {n} entries of axis {axis}")
    builder.check(a.size // max(n, 1) * max(chosen.size, 1))
    return a.take(np.take(a.index(), chosen, axis=axis))


def shape_of(builder: Builder, node: Node, a: Tensor) -> Tensor:
    """The shape, as a constant; a batch dimension counts as 1."""
    start, end = node.get("start", 0), node.get("end", None)
    return Tensor.constant(np.array(a.shape, dtype=np.int64)[start:end])


def pad(builder: Builder, node: Node, a: Tensor, pads=None, value=None, axes=None) -> Tensor:
    """Modes constant, reflect and edge."""
    rank = len(a.shape)
    amounts = list(node.get("pads", [])) if pads is None else integers(pads, "pads")
    padded = list(range(rank)) if axes is None else [axis_of(x, rank) for x in integers(axes, "axes")]
    if len(amounts) != 2 * len(padded):
        raise ValueError(f"pads {amounts} do not fit shape {a.shape}")
    fill = node.get("value", 0.0) if value is None else refuse_variable(value, "the padding value").reshape(())
    fill, mode = float(fill), node.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise ValueError(f"mode {mode} is not supported: only constant, reflect and edge")
    if not math.isfinite(fill):
        raise ValueError(f"the padding value is {fill}: it must be finite")
    before, after = [0] * rank, [0] * rank
    for k, axis in enumerate(padded):
        before[axis], after[axis] = amounts[k], amounts[k + len(padded)]
    for n, p, q in zip(a.shape, before, after, strict=True):
        if max(-p, 0) + max(-q, 0) > n or (mode == "reflect" and max(p, q) >= n):
            raise ValueError(f"pads {amounts} do not fit shape {a.shape}")
    # A file of some hundred bytes can ask for any padding, and an entry costs far more than its number.
    builder.check(math.prod(n + p + q for n, p, q in zip(a.shape, before, after, strict=True)), 16)
    # Negative amounts cut entries off; they are applied first.
    cut = tuple(slice(max(-p, 0), n - max(-q, 0)) for n, p, q in zip(a.shape, before, after, strict=True))
    widths = [(max(p, 0), max(q, 0)) for p, q in zip(before, after, strict=True)]
    options = {"constant_values": -1} if mode == "constant" else {}
    return a.take(np.pad(a.index()[cut], widths, mode=mode, **options), fill)
