"""Pieces of a skeleton run, formed one by one from the cells of its leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.engine import InputSet, Piece
from nnequiv.reach.skeleton.cells import SMALL, cells, thickness
from nnequiv.reach.skeleton.exploration import Exploration
from nnequiv.reach.skeleton.plan import Plan
from nnequiv.reach.skeleton.walk import Leaf
from nnequiv.rounding import UNIT, dot_error
from nnequiv.sets import Box, Polytope
from nnequiv.tolerances import INTERIOR_TOL

#: Thinner cells are not listed, nor counted: within the shift of a plane a pattern cannot be told from a point inside.
THIN = 4 * INTERIOR_TOL


@dataclass(eq=False)
class _Cell:
    """A cell, or what is known of one that a bisection cuts: vertices (k, d), their planes, output errors (m,)."""

    vertices: np.ndarray
    planes: np.ndarray
    error: np.ndarray
    whole: bool


def pieces_of(search: Exploration, networks, input_set: InputSet, control: Control) -> Iterator[Piece]:
    """Every piece with interior. Whole cells as they are found; cells that something cut in parts last, joined.

    What cuts a piece is a bisection, or a neuron that is zero all over it: rounding gives its parts different signs.
    """
    parts: dict[int | bytes, _Cell] = {}
    plan = None
    for leaf, plan in search.leaves(control):
        doubtful = leaf.complex.near_misses and leaf.complex.n_edges <= SMALL
        for name, cell in _cells_of(leaf, plan):
            if cell.whole and not doubtful:
                yield _piece(cell, plan, networks, input_set)
                continue
            if cell.whole:
                name = _pattern(plan.full_points(cell.vertices, _no_home(cell)), networks).tobytes()
            parts[name] = _joined(parts[name], cell) if name in parts else cell
    for cell in parts.values():
        if thickness(cell.vertices, np.array([0, len(cell.vertices)]), np.arange(len(cell.vertices)))[0] > THIN:
            yield _piece(cell, plan, networks, input_set)


def point_piece(networks: Sequence[Network], input_set: InputSet) -> Piece:
    """The one piece of an input set without free inputs."""
    point = input_set.box.lower
    pattern = np.concatenate([network.activation_pattern(point) for network in networks])
    matrix, offset, error = _affine_maps(networks, pattern, input_set.box)
    return Piece(pattern, matrix, offset, Polytope(*input_set.cuts, input_set.box), error, point[None])


def _cells_of(leaf: Leaf, plan: Plan) -> Iterator[tuple[int, _Cell]]:
    """Whole cells with interior, and parts of cells, by name: it is the same in every part that a cell reaches into."""
    complex_ = leaf.complex
    names, offsets, vertices = cells(complex_)
    solid = thickness(leaf.positions, offsets, vertices) > THIN
    planes = np.column_stack([ids[: complex_.n_vertices] for ids in complex_.vertex_planes])  # (vertices, d)
    cut = plan.artificial[planes].any(axis=1)
    for c, name in enumerate(names):
        mine = vertices[offsets[c] : offsets[c + 1]]
        whole = not cut[mine].any()
        if solid[c] or not whole:  # the whole of a thin part need not be thin
            corners = leaf.positions[mine[~cut[mine]]].copy()
            yield int(name), _Cell(corners, np.unique(planes[mine]), leaf.state.outputs.error, whole)


def _joined(a: _Cell, b: _Cell) -> _Cell:
    return _Cell(
        np.concatenate([a.vertices, b.vertices]),
        np.union1d(a.planes, b.planes),
        np.maximum(a.error, b.error),
        whole=False,
    )


def _piece(cell: _Cell, plan: Plan, networks, input_set: InputSet) -> Piece:
    """The piece around the middle of a cell's vertices; its half-spaces are the neurons the cell lies against."""
    vertices = plan.full_points(cell.vertices, _no_home(cell))
    pattern = _pattern(vertices, networks)
    matrix, offset, error = _affine_maps(networks, pattern, input_set.box)
    neurons = cell.planes[cell.planes >= plan.first_neuron] - plan.first_neuron
    rows, offsets = _hidden_rows(networks, pattern, neurons)
    sign = np.where(pattern[neurons], -1.0, 1.0)  # active: row x + offset ≥ 0
    cuts, bounds = input_set.cuts
    polytope = Polytope(
        np.vstack([cuts, sign[:, None] * rows]), np.concatenate([bounds, -sign * offsets]), input_set.box
    )
    return Piece(pattern, matrix, offset, polytope, error + cell.error, vertices)


def _no_home(cell: _Cell) -> np.ndarray:
    """Pieces are listed of one input set: all vertices are in the first box."""
    return np.zeros(len(cell.vertices), dtype=int)


def _pattern(vertices: np.ndarray, networks) -> np.ndarray:
    """The pattern in the middle of some vertices (k, n), over all networks."""
    middle = vertices.mean(axis=0)
    return np.concatenate([network.activation_pattern(middle) for network in networks])


def _affine_maps(networks, pattern: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stacked matrix (m, n) and offset (m,) of a pattern, and what rounding can do to their value in the box, (m,)."""
    matrices, offsets, errors = [], [], []
    reach = np.maximum(np.abs(box.lower), np.abs(box.upper))
    for network, signs in zip(networks, _by_network(networks, pattern), strict=True):
        matrix, offset = network.affine_map(signs)
        matrices.append(matrix)
        offsets.append(offset)
        errors.append(_composition_error(network, signs, reach))
    return np.vstack(matrices), np.concatenate(offsets), np.concatenate(errors)


def _composition_error(network: Network, signs: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Rounding of :meth:`Network.affine_map`, and of applying it, at any |x| ≤ reach: products of magnitudes, (m,)."""
    size, error = reach, np.zeros(len(reach))
    keep = [np.ones(len(reach), dtype=bool), *network.split_pattern(signs)]
    for active, layer in zip(keep, network.layers, strict=True):
        weight = np.abs(layer.weight) * active
        size = (weight @ size + np.abs(layer.bias)) * (1 + 1e-9)
        error = (weight @ error) * (1 + 1e-9) + 2 * dot_error(layer.n_in, size)
    return error + (4 * len(reach) + 8) * UNIT * size


def _by_network(networks, pattern: np.ndarray) -> list[np.ndarray]:
    return np.split(pattern, np.cumsum([network.n_hidden for network in networks])[:-1])


def _hidden_rows(networks, pattern: np.ndarray, neurons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Affine maps of some hidden neurons, counted over all networks: rows (k, n) and offsets (k,)."""
    rows, offsets = [], []
    for network, signs in zip(networks, _by_network(networks, pattern), strict=True):
        matrix, offset = np.eye(network.n_inputs), np.zeros(network.n_inputs)
        for active, layer in zip(network.split_pattern(signs), network.hidden, strict=True):
            matrix, offset = layer.weight @ matrix, layer.weight @ offset + layer.bias
            rows.append(matrix)
            offsets.append(offset)
            matrix, offset = matrix * active[:, None], offset * active
    if not rows:
        return np.zeros((0, networks[0].n_inputs)), np.zeros(0)
    return np.vstack(rows)[neurons], np.concatenate(offsets)[neurons]
