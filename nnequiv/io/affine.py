"""Symbolic lowering: every tensor of a graph is an affine map of the input and of the ReLUs met so far.

A :class:`Tensor` is ``Σ_b terms[b] @ block_b + offset`` over *blocks*: block 0 is the network's input, and each
ReLU node adds one. Linear operators rewrite the terms; a ReLU makes a new block whose depth is one more than the
deepest block it reads. At the end :func:`assemble` lays the blocks out in layers by depth, and carries a value
that is read again further down by identity lanes: one lane where it is a ReLU's output (``relu(v) = v``), the pair
``v = relu(v) − relu(−v)`` for an input.

Everything is float64. Selections, permutations and sums of branches are exact; a product of two linear operators
without a ReLU between them is rounded to float64 (products of two float32 weights are exact, their sums are not).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from nnequiv.network import Network


@dataclass(frozen=True, eq=False)
class Tensor:
    """An affine map of the blocks, or a constant (no terms).

    Attributes
    ----------
    shape : tuple of ints
    terms : dict from block number to sparse (size, block size) matrix
    offset : (size,) array
        float64; int64 in constants that hold shapes and indices.
    """

    shape: tuple[int, ...]
    terms: dict[int, sparse.csr_matrix]
    offset: np.ndarray

    @classmethod
    def constant(cls, value) -> Tensor:
        value = np.asarray(value)
        kept = value.astype(np.int64 if value.dtype.kind in "biu" else np.float64)
        return cls(value.shape, {}, kept.reshape(-1))

    @property
    def is_constant(self) -> bool:
        return not self.terms

    @property
    def size(self) -> int:
        return len(self.offset)

    @property
    def value(self) -> np.ndarray:
        """A constant's value in its shape."""
        return self.offset.reshape(self.shape)

    def index(self) -> np.ndarray:
        """Positions of the entries in the flat order, in the tensor's shape: what selections are made of."""
        return np.arange(self.size).reshape(self.shape)

    def take(self, index: np.ndarray, fill: float = 0.0) -> Tensor:
        """Entries by flat position, in the shape of ``index``; ``fill`` where it is −1."""
        flat = np.asarray(index, dtype=np.int64).reshape(-1)
        chosen = np.flatnonzero(flat >= 0)
        selection = sparse.csr_matrix((np.ones(len(chosen)), (chosen, flat[chosen])), (len(flat), self.size))
        offset = np.full(len(flat), fill, dtype=self.offset.dtype)
        offset[chosen] = self.offset[flat[chosen]]
        return Tensor(np.shape(index), {b: selection @ term for b, term in self.terms.items()}, offset)

    def reshape(self, shape) -> Tensor:
        return Tensor(tuple(int(n) for n in shape), self.terms, self.offset)

    def apply(self, operator: sparse.csr_matrix, shape) -> Tensor:
        """The linear map ``operator`` (new size, size) of the flat tensor."""
        terms = {b: operator @ term for b, term in self.terms.items()}
        return Tensor(tuple(shape), terms, operator @ self.offset)

    def scale(self, factors: np.ndarray) -> Tensor:
        """Entry by entry, times ``factors`` of the same shape."""
        flat = np.asarray(factors).reshape(-1)
        diagonal = sparse.diags(flat.astype(np.float64), format="csr")
        return Tensor(self.shape, {b: diagonal @ term for b, term in self.terms.items()}, self.offset * flat)

    def __add__(self, other: Tensor) -> Tensor:
        terms = dict(self.terms)
        for b, term in other.terms.items():
            terms[b] = terms[b] + term if b in terms else term
        return Tensor(self.shape, terms, self.offset + other.offset)

    def __neg__(self) -> Tensor:
        return Tensor(self.shape, {b: -term for b, term in self.terms.items()}, -self.offset)

    def __sub__(self, other: Tensor) -> Tensor:
        return self + (-other)


def concatenate(tensors: list[Tensor], index: np.ndarray) -> Tensor:
    """The tensors' entries one after the other, then selected by ``index`` into its shape."""
    sizes = [tensor.size for tensor in tensors]
    terms = {}
    for b in sorted({b for tensor in tensors for b in tensor.terms}):
        width = next(t.terms[b].shape[1] for t in tensors if b in t.terms)
        parts = [t.terms.get(b, sparse.csr_matrix((n, width))) for t, n in zip(tensors, sizes, strict=True)]
        terms[b] = sparse.vstack(parts, format="csr")
    return Tensor((sum(sizes),), terms, np.concatenate([tensor.offset for tensor in tensors])).take(index)


@dataclass
class Builder:
    """Collects the blocks of one graph.

    Attributes
    ----------
    n_inputs : int
    max_weights : int
        A dense layer with more entries is refused, with its size.
    """

    n_inputs: int
    max_weights: int
    pre: list[Tensor | None] = field(default_factory=lambda: [None])  # block 0, the input, has none
    depth: list[int] = field(default_factory=lambda: [0])

    def input(self, shape) -> Tensor:
        eye = sparse.identity(self.n_inputs, format="csr")
        return Tensor(tuple(shape), {0: eye}, np.zeros(self.n_inputs))

    def check(self, rows: int, columns: int = 1) -> None:
        """Refuse a matrix over the size limit before it is made."""
        if rows * columns > self.max_weights:
            raise ValueError(
                f"a dense layer of {rows} x {columns} = {rows * columns} weights is over the limit of "
                f"{self.max_weights} (max_weights)"
            )

    def relu(self, tensor: Tensor) -> Tensor:
        """A new block: the ReLU of the tensor."""
        if tensor.is_constant:
            return Tensor(tensor.shape, {}, np.maximum(tensor.offset, 0))
        for term in tensor.terms.values():
            self.check(tensor.size, term.shape[1])
        self.pre.append(tensor)
        self.depth.append(1 + max(self.depth[b] for b in tensor.terms))
        eye = sparse.identity(tensor.size, format="csr")
        return Tensor(tensor.shape, {len(self.pre) - 1: eye}, np.zeros(tensor.size))

    def maximum(self, a: Tensor, b: Tensor) -> Tensor:
        """``max(a, b) = b + relu(a − b)``; shapes are equal."""
        return self.relu(a - b) + b


@dataclass(frozen=True)
class _Lanes:
    """Where a block's columns stand among a layer's lanes: value = lane[positive] − lane[negative]."""

    columns: np.ndarray
    positive: np.ndarray
    negative: np.ndarray | None = None

    def scatter(self, term: sparse.csr_matrix, matrix: np.ndarray) -> None:
        """Add ``term`` (rows, block size), written over the lanes, to ``matrix`` (rows, lanes)."""
        part = term[:, self.columns].toarray()
        matrix[:, self.positive] += part
        if self.negative is not None:
            matrix[:, self.negative] -= part


def _needed(builder: Builder, output: Tensor) -> list[int]:
    """The blocks the output depends on, in order."""
    seen, waiting = set(), list(output.terms)
    while waiting:
        b = waiting.pop()
        if b not in seen:
            seen.add(b)
            waiting.extend(builder.pre[b].terms if b else ())
    return sorted(seen)


def _last_reads(builder: Builder, output: Tensor, needed: list[int], depth: int) -> dict[int, np.ndarray]:
    """For every column of every block: the deepest layer that reads it (0 if none)."""
    reads = {b: np.zeros(builder.pre[b].size if b else builder.n_inputs, dtype=int) for b in needed}
    readers = [(builder.depth[b], builder.pre[b]) for b in needed if b] + [(depth + 1, output)]
    for level, tensor in readers:
        for b, term in tensor.terms.items():
            columns = np.unique(term.nonzero()[1])
            reads[b][columns] = np.maximum(reads[b][columns], level)
    return reads


def _dense(builder: Builder, tensors: list[Tensor], lanes: dict[int, _Lanes], width: int):
    """The tensors stacked, as one dense affine map of the current lanes."""
    builder.check(sum(tensor.size for tensor in tensors), width)
    weights = []
    for tensor in tensors:
        weights.append(np.zeros((tensor.size, width)))
        for b, term in tensor.terms.items():
            if term.count_nonzero():  # what cancels out, as in x − x, is carried by no lane
                lanes[b].scatter(term, weights[-1])
    return np.vstack(weights), np.concatenate([tensor.offset for tensor in tensors])


def _carry(lanes: dict[int, _Lanes], reads: dict[int, np.ndarray], level: int, start: int, width: int):
    """Identity rows for everything a layer below ``level`` still reads, and where they stand from lane ``start``."""
    rows, kept = [np.zeros((0, width))], {}
    for b, at in lanes.items():
        later = reads[b][at.columns] > level
        count = int(later.sum())
        if not count:
            continue
        sources = [(at.positive[later], 1.0)]
        if b == 0:  # an input has a sign: v = relu(v) − relu(−v)
            sources.append((at.positive[later], -1.0) if at.negative is None else (at.negative[later], 1.0))
        ends = []
        for lane, sign in sources:
            rows.append(np.zeros((count, width)))
            rows[-1][np.arange(count), lane] = sign
            ends.append(start + np.arange(count))
            start += count
        kept[b] = _Lanes(at.columns[later], *ends)
    return np.vstack(rows), kept


def assemble(builder: Builder, output: Tensor) -> Network:
    """Lay the blocks out in layers; the output is the last one (identity after a ReLU on the output).

    Raises
    ------
    ValueError
        If a layer is over the size limit or holds a non-finite value.
    """
    needed = _needed(builder, output)
    depth = max((builder.depth[b] for b in needed), default=0)
    reads = _last_reads(builder, output, needed, depth)
    inputs = np.arange(builder.n_inputs)
    lanes, width = {0: _Lanes(inputs, inputs)}, builder.n_inputs
    layers = []
    for level in range(1, depth + 1):
        blocks = [b for b in needed if builder.depth[b] == level]
        weight, bias = _dense(builder, [builder.pre[b] for b in blocks], lanes, width)
        rows, kept = _carry(lanes, reads, level, len(bias), width)
        builder.check(len(bias) + len(rows), width)
        start = 0
        for b in blocks:
            ends = np.arange(builder.pre[b].size)
            kept[b] = _Lanes(ends, start + ends)
            start += len(ends)
        layers.append((np.vstack([weight, rows]), np.append(bias, np.zeros(len(rows)))))
        lanes, width = kept, len(bias) + len(rows)
    layers.append(_dense(builder, [output], lanes, width))
    return Network(layers)
