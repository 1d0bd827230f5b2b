"""Polygons: what a piece with two free inputs looks like, and the image of any piece in two outputs."""

from __future__ import annotations

import numpy as np

from nnequiv.reach.engine import InputSet, Piece
from nnequiv.sets import Box, Polytope


def clipped(polygon: np.ndarray, row: np.ndarray, bound: float) -> np.ndarray:
    """The part of a convex polygon ``(k, 2)`` where ``row @ x ≤ bound``.

    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> clipped(square, np.array([1.0, 1.0]), 1.0).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    values = polygon @ row - bound
    kept = []
    for here, after, start, end in zip(values, np.roll(values, -1), polygon, np.roll(polygon, -1, axis=0), strict=True):
        if here <= 0:
            kept.append(start)
        if here * after < 0:
            kept.append(start + here / (here - after) * (end - start))
    return np.array(kept).reshape(-1, 2)


def rectangle(box: Box) -> np.ndarray:
    """The corners ``(4, 2)`` of a box's two free inputs, counter-clockwise."""
    (low_x, low_y), (high_x, high_y) = box.lower[box.free], box.upper[box.free]
    return np.array([[low_x, low_y], [high_x, low_y], [high_x, high_y], [low_x, high_y]])


def polygon_of(input_set: InputSet) -> np.ndarray:
    """The polygon ``(k, 2)`` of an input set, or of a piece's, with two free inputs.

    Raises
    ------
    ValueError
        If not exactly two inputs are free.

    Examples
    --------
    >>> len(polygon_of(Polytope([[1.0, 1.0]], [1.0], within=Box([0.0, 0.0], [1.0, 1.0]))))
    3
    """
    box, (matrix, bound) = input_set.box, input_set.cuts
    free = box.free
    if len(free) != 2:
        raise ValueError(f"the input set has {len(free)} free inputs, but a picture needs 2: nnequiv.plot.section")
    fixed = np.where(box.lower < box.upper, 0.0, box.lower)
    polygon = rectangle(box)
    for row, limit in zip(matrix[:, free], bound - matrix @ fixed, strict=True):
        if len(polygon):
            polygon = clipped(polygon, row, limit)
    return polygon


def at_polygon(piece: Piece, polygon: np.ndarray) -> np.ndarray:
    """The piece's outputs ``(k, m)`` at the points of its polygon."""
    points = np.repeat(piece.polytope.box.lower[None], len(polygon), axis=0)
    points[:, piece.polytope.free] = polygon
    return points @ piece.matrix.T + piece.offset


def area(polygon: np.ndarray) -> float:
    """
    >>> area(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
    0.5
    """
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def hull(points: np.ndarray) -> np.ndarray:
    """The convex hull of points ``(k, 2)``, counter-clockwise; a segment or a point where they are flat.

    >>> hull(np.array([[0.0, 0.0], [1.0, 0.0], [0.25, 0.25], [0.0, 1.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    points = np.unique(points, axis=0)  # sorted by x, then y

    def chain(ordered):
        kept: list[np.ndarray] = []
        for point in ordered:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
                kept.pop()
            kept.append(point)
        return kept

    if len(points) < 3:
        return points
    return np.array(chain(points)[:-1] + chain(points[::-1])[:-1])


def _turn(a, b, c) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def section(input_set: Box, point, inputs: tuple[int, int]) -> Box:
    """A 2-D slice of a box: through a point, along two inputs; the others are fixed at the point.

    >>> section(Box([0.0, 0.0, 0.0], [1.0, 1.0, 1.0]), [0.5, 0.5, 0.5], (0, 2))
    Box(lower=[0.0, 0.5, 0.0], upper=[1.0, 0.5, 1.0])
    """
    point = np.asarray(point, dtype=float)
    if not input_set.contains(point):
        raise ValueError(f"the slice's point is {point.tolist()}: it is not in {input_set!r}")
    lower, upper, chosen = point.copy(), point.copy(), list(inputs)
    lower[chosen], upper[chosen] = input_set.lower[chosen], input_set.upper[chosen]
    return Box(lower, upper)


def target_polygon(target: float | Box | Polytope, outputs: tuple[int, int], n_outputs: int) -> np.ndarray:
    """The part of a target set O that two outputs show: of a polytope, its rows that speak of these two alone."""
    if not isinstance(target, (Box, Polytope)):
        reach = float(target)
        return rectangle(Box([-reach, -reach], [reach, reach]))
    box = target.box
    if box.dimension != n_outputs:
        raise ValueError(f"the target set has {box.dimension} outputs, but the networks have {n_outputs}")
    chosen = list(outputs)
    polygon = rectangle(Box(box.lower[chosen], box.upper[chosen]))
    for row, bound in zip(*target.cuts, strict=True):
        if np.count_nonzero(np.delete(row, chosen)) == 0:
            polygon = clipped(polygon, row[chosen], bound)
    return polygon
