"""Convolution and pooling: one table of flat positions, a row for each place of the window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from nnequiv.io.affine import Builder, Tensor
from nnequiv.io.onnx_operators import Node, finite, refuse_variable


@dataclass(frozen=True)
class Windows:
    """The places of a sliding window.

    Attributes
    ----------
    shape : tuple
        Number of places along each spatial dimension.
    positions : (places, kernel size) array
        Flat spatial position under each entry of the window; −1 in the padding.
    padding : (places, kernel size) bool array
        Entries in the declared padding (those of a last window that hangs over are not).
    """

    shape: tuple[int, ...]
    positions: np.ndarray
    padding: np.ndarray


def _pads(node: Node, spatial, kernel, strides, dilations) -> list[int]:
    """Padding before and after each dimension, from ``pads`` or ``auto_pad``."""
    rank, auto = len(spatial), node.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        return list(node.get("pads", [0] * 2 * rank)) if auto == "NOTSET" else [0] * 2 * rank
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise ValueError(f"auto_pad is {auto}")
    before, after = [], []
    for n, k, s, d in zip(spatial, kernel, strides, dilations, strict=True):
        whole = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
        small, large = whole // 2, whole - whole // 2
        before.append(small if auto == "SAME_UPPER" else large)
        after.append(large if auto == "SAME_UPPER" else small)
    return before + after


def _places(n: int, k: int, stride: int, dilation: int, before: int, after: int, ceil: bool) -> int:
    """Places of the window along one dimension."""
    room = n + before + after - (k - 1) * dilation - 1
    if room < 0:
        raise ValueError(f"a window of {k} (dilation {dilation}) does not fit {n} + {before} + {after} entries")
    count = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (count - 1) * stride >= n + before:  # a window that starts in the end padding does not count
        count -= 1
    return count


def windows(builder: Builder, node: Node, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Windows:
    """All places of a kernel over a spatial shape, for any number of dimensions."""
    rank = len(spatial)
    strides, dilations = list(node.get("strides", [1] * rank)), list(node.get("dilations", [1] * rank))
    if not len(strides) == len(dilations) == len(kernel) == rank or min([*strides, *dilations, *kernel, 1]) < 1:
        raise ValueError(f"strides {strides}, dilations {dilations} and kernel {kernel} do not fit {spatial}")
    pads = _pads(node, spatial, kernel, strides, dilations)
    if len(pads) != 2 * rank or min(pads, default=0) < 0:
        raise ValueError(f"pads {pads} do not fit {spatial}")
    axes = list(zip(spatial, kernel, strides, dilations, pads[:rank], pads[rank:], strict=True))
    shape = tuple(_places(*axis, ceil=bool(node.get("ceil_mode", 0))) for axis in axes)
    builder.check(math.prod(shape), math.prod(kernel))
    positions = np.zeros((1, 1), dtype=np.int64)
    outside, hanging = np.zeros((2, 1, 1), dtype=bool)
    for count, (n, k, stride, dilation, before, after) in zip(shape, axes, strict=True):
        at = (np.arange(count) * stride - before)[:, None] + np.arange(k) * dilation  # (count, k)
        positions = _outer(np.add, positions * n, at)
        outside = _outer(np.logical_or, outside, (at < 0) | (at >= n))
        hanging = _outer(np.logical_or, hanging, at >= n + after)
    return Windows(shape, np.where(outside, -1, positions), outside & ~hanging)


def _outer(combine, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """All pairs of places and all pairs of window entries: (p, e) and (q, f) give (p · q, e · f)."""
    grid = combine(old[:, None, :, None], new[None, :, None, :])
    return grid.reshape(old.shape[0] * new.shape[0], old.shape[1] * new.shape[1])


def _spatial(a: Tensor) -> tuple[int, ...]:
    if len(a.shape) < 3:
        raise ValueError(f"x has shape {a.shape}: it needs (batch, channels, ...)")
    return a.shape[2:]


def conv(builder: Builder, node: Node, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``out[b, o, place] = Σ_{c, k} W[o, c, k] x[b, c, place + k] + bias[o]``, in groups of channels."""
    spatial, kernels = _spatial(a), finite(refuse_variable(weight, "the weight"), "the weight")
    groups = node.get("group", 1)
    batch, channels = a.shape[:2]
    if kernels.ndim != len(a.shape) or groups < 1 or kernels.shape[1] * groups != channels or len(kernels) % groups:
        raise ValueError(f"weight {kernels.shape} in {groups} groups does not fit x {a.shape}")
    table = windows(builder, node, spatial, kernels.shape[2:])
    outputs, places = len(kernels), len(table.positions)
    builder.check(batch * outputs * places, a.size)
    first = np.arange(outputs) // (outputs // groups) * kernels.shape[1]  # first input channel of each output
    channel = first[:, None] + np.arange(kernels.shape[1])  # (outputs, channels of a group)
    sizes = (batch, outputs, places, kernels.shape[1], table.positions.shape[1])
    b, o, p, c, k = np.ix_(*(range(n) for n in sizes))
    rows = np.broadcast_to((b * outputs + o) * places + p, sizes)
    columns = (b * channels + channel[o, c]) * math.prod(spatial) + table.positions[p, k]
    values = np.broadcast_to(kernels.reshape(*channel.shape, -1)[o, c, k], sizes)
    real = np.broadcast_to(table.positions[p, k] >= 0, sizes)
    operator = sparse.csr_matrix((values[real], (rows[real], columns[real])), (batch * outputs * places, a.size))
    result = a.apply(operator, (batch, outputs, *table.shape))
    if bias is None:
        return result
    shift = finite(refuse_variable(bias, "the bias"), "the bias")
    if shift.shape != (outputs,):
        raise ValueError(f"bias has shape {shift.shape}, but there are {outputs} output channels")
    return result + Tensor.constant(np.broadcast_to(shift[None, :, None], (batch, outputs, places)))


def _pooling_table(builder: Builder, node: Node, a: Tensor) -> tuple[Windows, np.ndarray]:
    """The places, and flat positions in ``a`` as (batch · channels, places, kernel size), −1 in the padding."""
    spatial = _spatial(a)
    table = windows(builder, node, spatial, tuple(node.get("kernel_shape", ())))
    planes = np.arange(a.shape[0] * a.shape[1])[:, None, None]
    builder.check(len(planes) * len(table.positions), table.positions.shape[1])
    positions = planes * math.prod(spatial) + table.positions
    return table, np.where(table.positions >= 0, positions, -1)


def average_pool(builder: Builder, node: Node, a: Tensor) -> Tensor:
    table, positions = _pooling_table(builder, node, a)
    counted = table.positions >= 0
    if node.get("count_include_pad", 0):
        counted = counted | table.padding
    if not counted.any(axis=1).all():
        raise ValueError("a window lies in the padding altogether")
    share = np.broadcast_to((1.0 / counted.sum(axis=1))[:, None], positions.shape)
    rows = np.broadcast_to(
        np.arange(positions.shape[0] * positions.shape[1]).reshape(*positions.shape[:2], 1), positions.shape
    )
    real = positions >= 0
    operator = sparse.csr_matrix((share[real], (rows[real], positions[real])), (rows[-1, -1, -1] + 1, a.size))
    return a.apply(operator, (*a.shape[:2], *table.shape))


def global_average_pool(builder: Builder, node: Node, a: Tensor) -> Tensor:
    spatial = _spatial(a)
    whole = Node("AveragePool", {"kernel_shape": list(spatial)}, node.opset)
    return average_pool(builder, whole, a)


def max_pool(builder: Builder, node: Node, a: Tensor) -> Tensor:
    """A tournament of ``max(a, b) = b + relu(a − b)``: ⌈log₂ k⌉ layers for a window of k entries."""
    table, positions = _pooling_table(builder, node, a)
    if not (positions >= 0).any(axis=2).all():
        raise ValueError("a window lies in the padding altogether")
    # The padding is −∞: an entry of the window itself, repeated, does the same.
    first = np.take_along_axis(positions, (positions >= 0).argmax(axis=2)[:, :, None], axis=2)
    positions = np.where(positions >= 0, positions, first)
    rounds = [a.take(positions[:, :, k]) for k in range(positions.shape[2])]
    while len(rounds) > 1:
        pairs = [builder.maximum(x, y) for x, y in zip(rounds[::2], rounds[1::2], strict=False)]
        rounds = pairs + (rounds[-1:] if len(rounds) % 2 else [])
    return rounds[0].reshape((*a.shape[:2], *table.shape))
