"""Pictures of the input set: its pieces, and the discrepancy over it. Two inputs are free, or :func:`section` cuts."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D

from nnequiv.equivalence import enumerate_pieces
from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.plot.polygons import at_polygon, polygon_of
from nnequiv.plot.style import COLOR_MAP, CYCLE, ORANGE, about, color_bar, ready
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.results import Discrepancy

#: Points of a discrepancy map along each input.
GRID = 301


def pieces(
    networks: Network | tuple[Network, Network],
    input_set: InputSet,
    ax: Axes | None = None,
    *,
    engine: str | Engine = "auto",
    output: int | None = None,
    unit: str = "output units",
    seed: int | None = None,
    note: str = "",
) -> Axes:
    """The pieces of a network or a pair over two free inputs, coloured.

    Parameters
    ----------
    networks : Network, or a pair ``(f, g)``
        A pair's pieces are coloured by the largest ``|f_i − g_i|`` on each, exact: it is attained at a corner. A
        network's by the mean of its output at the corners.
    input_set : Box or Polytope with two free inputs
    output : int, optional
        Only this output; by default all of a pair, the first of a network.
    unit : of the outputs
    seed, note : for the caption

    Examples
    --------
    >>> fold = Network([([[1.0, 0.5], [-1.0, 0.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> from nnequiv.sets import Box
    >>> ax = pieces(fold, Box([-1.0, -1.0], [1.0, 1.0]))
    >>> ax.get_title()
    '4 pieces'
    """
    polygons, values = [], []
    for piece in enumerate_pieces(networks, input_set, engine):
        polygon = polygon_of(piece.polytope)
        if len(polygon) < 3:
            continue
        at = at_polygon(piece, polygon)
        if isinstance(networks, tuple):
            gap = np.abs(at[:, : networks[0].n_outputs] - at[:, networks[0].n_outputs :])
            values.append(gap.max() if output is None else gap[:, output].max())
        else:
            values.append(at[:, output or 0].mean())
        polygons.append(polygon)
    ax = ready(ax, about(networks, input_set, seed, note))
    drawn = PolyCollection(polygons, array=np.array(values), cmap=COLOR_MAP, edgecolors="white", linewidths=0.5)
    ax.add_collection(drawn)
    what = ("|f − g|" if output is None else f"|f_{output} − g_{output}|") if isinstance(networks, tuple) else ""
    label = f"largest {what} on the piece" if what else f"output {output or 0}, mean of the corners"
    color_bar(ax, drawn, f"{label} ({unit})")
    ax.set_title(f"{len(polygons)} pieces", fontsize=10)
    return framed(ax, input_set)


def partition(
    network: Network,
    input_set: InputSet,
    layers: int | None = None,
    ax: Axes | None = None,
    *,
    engine: str | Engine = "auto",
    seed: int | None = None,
    note: str = "",
) -> Axes:
    """Where the neurons of the first hidden layers change sign, each layer's kinks in its own colour.

    Parameters
    ----------
    network : Network
    input_set : Box or Polytope with two free inputs
    layers : int, optional
        How many hidden layers, from the first; by default all.

    Examples
    --------
    >>> fold = Network([([[1.0, 0.5], [-1.0, 0.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> from nnequiv.sets import Box
    >>> partition(fold, Box([-1.0, -1.0], [1.0, 1.0])).get_title()
    '4 pieces of 1 layer'
    """
    layers = len(network.hidden) if layers is None else layers
    if not 1 <= layers <= len(network.hidden):
        raise ValueError(f"layers is {layers}: it must be from 1 to {len(network.hidden)}, the number of hidden layers")
    ax = ready(ax, about(network, input_set, seed, note))
    for k in range(layers, 0, -1):  # older kinks are drawn over newer ones, which end there
        start = Network(network.layers[: k + 1])
        found = [polygon_of(piece.polytope) for piece in enumerate_pieces(start, input_set, engine)]
        polygons = [polygon for polygon in found if len(polygon) > 2]
        if k == layers:
            count = len(polygons)
            ax.add_collection(PolyCollection(polygons, facecolors=_pastels(count), edgecolors="none"))
        edges = [np.vstack([polygon, polygon[:1]]) for polygon in polygons]
        width = 1.0 + 0.5 * (layers - k)
        ax.add_collection(LineCollection(edges, colors=CYCLE[(k - 1) % len(CYCLE)], linewidths=width))
    names = [Line2D([], [], color=CYCLE[k % len(CYCLE)], label=f"layer {k}") for k in range(layers)]
    ax.legend(handles=names, fontsize=7.5, loc="upper right", framealpha=0.9, edgecolor="none")
    ax.set_title(f"{count} pieces of {layers} layer{'' if layers == 1 else 's'}", fontsize=10)
    return framed(ax, input_set)


def discrepancy_map(
    f: Network,
    g: Network,
    input_set: InputSet,
    found: Discrepancy | None = None,
    ax: Axes | None = None,
    *,
    output: int | None = None,
    unit: str = "output units",
    seed: int | None = None,
    note: str = "",
) -> Axes:
    """``|f − g|`` in colour over two free inputs, and the witness of an answer as a star.

    Parameters
    ----------
    f, g : Network
    input_set : Box or Polytope with two free inputs
        Of a polytope, the enclosing box is drawn, with the polytope's border.
    found : Discrepancy, optional
        With its witness and its interval in the title.
    output : int, optional
        Only this output; by default the largest of all.

    Examples
    --------
    >>> from nnequiv.equivalence import max_discrepancy
    >>> from nnequiv.sets import Box
    >>> f, g = Network([([[1.0, 1.0]], [0.0])]), Network([([[1.0, 0.5]], [0.0])])
    >>> box = Box([0.0, 0.0], [1.0, 1.0])
    >>> discrepancy_map(f, g, box, max_discrepancy(f, g, box)).get_title()
    'δ in [0.500000, 0.500000], at ★'
    """
    check_pair(f, g)
    border = polygon_of(input_set)
    box, free = input_set.box, input_set.box.free
    x, y = (np.linspace(box.lower[i], box.upper[i], GRID) for i in free)
    points = np.repeat(box.lower[None], GRID * GRID, axis=0)
    points[:, free[0]], points[:, free[1]] = (values.ravel() for values in np.meshgrid(x, y))
    gaps = np.abs(f(points) - g(points))
    gap = (gaps.max(axis=1) if output is None else gaps[:, output]).reshape(GRID, GRID)
    ax = ready(ax, about((f, g), input_set, seed, note))
    image = ax.pcolormesh(x, y, gap, cmap=COLOR_MAP, shading="gouraud", rasterized=True)
    what = "|f − g|" if output is None else f"|f_{output} − g_{output}|"
    color_bar(ax, image, f"{what} ({unit})")
    if len(input_set.cuts[1]):
        ax.plot(*np.vstack([border, border[:1]]).T, color="white", linewidth=1.5)
    if found is not None:
        ax.set_title(f"δ in [{found.lower:.6f}, {found.upper:.6f}], at ★", fontsize=10)
        if found.witness is not None:
            at = np.asarray(found.witness)[free]
            ax.plot(*at, "*", color=ORANGE, markersize=16, markeredgecolor="white", clip_on=False, zorder=5)
    return framed(ax, input_set)


def _pastels(count: int) -> np.ndarray:
    """Light fills, neighbours in the list apart in lightness: only to tell that pieces are different."""
    shade = 0.84 + 0.14 * ((np.arange(count) * 0.618034) % 1.0)
    return np.column_stack([shade, shade, np.minimum(shade + 0.02, 1.0)])


def framed(ax: Axes, input_set: InputSet) -> Axes:
    """Axes over the two free inputs, and their names."""
    box, free = input_set.box, input_set.box.free
    ax.set_xlim(box.lower[free[0]], box.upper[free[0]])
    ax.set_ylim(box.lower[free[1]], box.upper[free[1]])
    ax.set_xlabel(f"input $x_{{{free[0]}}}$", fontsize=9)
    ax.set_ylabel(f"input $x_{{{free[1]}}}$", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.locator_params(nbins=5)
    return ax
