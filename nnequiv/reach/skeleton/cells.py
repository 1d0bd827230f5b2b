"""The cells of a complex: counted without being formed, or formed as lists of vertices."""

from __future__ import annotations

import numpy as np

from nnequiv.reach.skeleton.buffers import blocks
from nnequiv.reach.skeleton.complex import Complex
from nnequiv.reach.skeleton.plan import Plan
from nnequiv.tolerances import INTERIOR_TOL

BATCH = 20_000  # cells judged in one call
SMALL = 5_000  # edges of a complex that is small enough to judge every cell


def pieces_by_home(complex_: Complex, plan: Plan, lowest: np.ndarray) -> np.ndarray:
    """Number of cells in each box, (boxes,), when a vertex is the lowest of ``lowest`` (vertices,) cells.

    A cell that a bisection cuts is counted once: a vertex on a plane that only cuts the work in parts is no vertex of
    a true cell, and a true cell's lowest vertex is on no such plane. Nor is it on a plane of the question.
    """
    count, boxes = len(lowest), len(plan.job.homes)
    artificial = np.zeros(count, dtype=bool)
    for ids in complex_.vertex_planes:
        artificial |= plan.artificial.take(ids[:count], mode="clip")
    lowest = np.where(artificial, 0, lowest)
    if boxes == 1:
        return lowest.sum(keepdims=True).astype(int)
    home = complex_.rows[:count, plan.d].astype(int)
    return np.bincount(home, weights=lowest, minlength=boxes).astype(int)


def cells_by_lowest(complex_: Complex, plan: Plan) -> np.ndarray:
    """Of how many cells with interior each vertex is the lowest, in a generic direction; every cell has one.

    Flat cells (thinner than a small multiple of ``INTERIOR_TOL``) are left out where they can be expected: where a
    plane passed a vertex within rounding, and in complexes small enough to judge every cell. Elsewhere all count.
    """
    rows = complex_.rows[: complex_.n_vertices]
    direction = plan.rng(0).normal(size=plan.d)
    heights = rows[:, : plan.d] @ direction
    if not complex_.near_misses and complex_.n_edges > SMALL:
        return _cells_above(complex_, heights)
    lowest = np.zeros(len(rows), dtype=int)  # some cells may be flat: look at each
    _, offsets, vertices = cells(complex_)
    solid = thickness(rows[:, : plan.d], offsets, vertices) > 4 * INTERIOR_TOL
    order = np.lexsort((heights[vertices], np.repeat(np.arange(len(solid)), np.diff(offsets))))
    np.add.at(lowest, vertices[order[offsets[:-1]]][solid], 1)
    return lowest


def _cells_above(complex_: Complex, heights: np.ndarray) -> np.ndarray:
    """Of how many cells each vertex is the lowest.

    The cells that have a vertex as lowest are those spanned by upward edges: one edge leaving each of its d planes.
    So the number is the product over its planes of the number of upward edges leaving that plane.
    """
    count, edges, d = complex_.n_vertices, complex_.n_edges, complex_.d
    slot = np.empty(edges, dtype=np.intp)  # the lower end of each edge, and which of its planes the edge leaves
    for block in blocks(edges):
        a, b = complex_.start[block].astype(np.intp), complex_.end[block].astype(np.intp)
        low = np.where(heights.take(a, mode="clip") < heights.take(b, mode="clip"), a, b)
        leaves = np.zeros(len(low), dtype=np.int8)
        for of_edge, of_vertex in zip(complex_.edge_planes, complex_.vertex_planes, strict=False):
            leaves += of_edge[block] == of_vertex.take(low, mode="clip")
        np.multiply(leaves, count, out=slot[block], dtype=np.intp)
        slot[block] += low
    upward = np.bincount(slot, minlength=count * d).reshape(d, count)
    return upward.prod(axis=0)


def cells(complex_: Complex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All cells: names (cells,), offsets (cells + 1,), vertices; cell c has ``vertices[offsets[c]:offsets[c + 1]]``."""
    edges = np.arange(complex_.n_edges)
    names, which = complex_.cells_of(edges, complex_.hash[: complex_.n_edges])
    names = np.concatenate([names, names])
    vertices = np.concatenate([complex_.start[which], complex_.end[which]])
    order = np.lexsort((vertices, names))
    names, vertices = names[order], vertices[order]
    new = np.append(True, (names[1:] != names[:-1]) | (vertices[1:] != vertices[:-1]))
    names, vertices = names[new], vertices[new]
    first = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    return names[first], np.append(first, len(names)), vertices


def thickness(positions: np.ndarray, offsets: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """How thick each cell is, (cells,): the smallest singular value of its centred vertices; 0 if there are too few."""
    counts, d = np.diff(offsets), positions.shape[1]
    result = np.zeros(len(counts))
    for count in np.unique(counts[counts > d]):
        same = np.flatnonzero(counts == count)
        for chosen in np.array_split(same, len(same) // BATCH + 1):
            corners = positions[vertices[offsets[chosen][:, None] + np.arange(count)]]  # (chosen, count, d)
            corners = corners - corners.mean(axis=1, keepdims=True)
            result[chosen] = np.linalg.svd(corners, compute_uv=False)[:, -1]
    return result
