"""What comes out: the reachable set of ``f − g`` in two outputs, with the target set O."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from nnequiv.equivalence import enumerate_pieces
from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.plot.polygons import hull, target_polygon
from nnequiv.plot.style import BLUE, GREEN, about, plain, ready
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.reach.vertices import Vertices
from nnequiv.sets import Box, Polytope


def reachable_set(
    f: Network,
    g: Network,
    input_set: InputSet,
    outputs: tuple[int, int] = (0, 1),
    target: float | Box | Polytope | None = None,
    ax: Axes | None = None,
    *,
    engine: str | Engine | None = None,
    color: str = BLUE,
    label: str = "",
    unit: str = "output units",
    seed: int | None = None,
    note: str = "",
) -> Axes:
    """All values of two outputs of ``f − g`` over the input set: a polygon a piece, seen from above.

    Parameters
    ----------
    f, g : Network
    input_set : Box or Polytope
        Of any dimension the engine lists.
    outputs : two ints
    target : float, Box or Polytope, optional
        The target set O of differences, drawn as a frame.
    engine : engine, optional
        One whose pieces have vertices: by default :class:`nnequiv.Vertices`.
    color, label : of the set, so that several share the axes
    unit : of the outputs
    seed, note : for the caption

    Examples
    --------
    >>> f = Network([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])])
    >>> g = Network([([[0.5, 0.0], [0.0, 0.5]], [0.0, 0.0])])
    >>> ax = reachable_set(f, g, Box([-1.0, -1.0], [1.0, 1.0]), target=0.75)
    >>> len(ax.collections[0].get_paths())
    4
    """
    check_pair(f, g)
    if len(outputs) != 2 or not all(0 <= i < f.n_outputs for i in outputs):
        raise ValueError(f"outputs is {outputs}: they must be two of 0 to {f.n_outputs - 1}")
    images = []
    for piece in enumerate_pieces((f, g), input_set, Vertices() if engine is None else engine):
        if piece.vertices is None:
            raise ValueError("this engine's pieces have no vertices: use vertices")
        values = piece.vertices @ piece.matrix.T + piece.offset
        images.append(hull((values[:, : f.n_outputs] - values[:, f.n_outputs :])[:, list(outputs)]))
    ax = ready(ax, about((f, g), input_set, seed, note))
    drawn = PolyCollection(images, facecolors=color, alpha=0.35, edgecolors=color, linewidths=0.9, label=label or None)
    ax.add_collection(drawn)
    if target is not None:
        frame = target_polygon(target, outputs, f.n_outputs)
        name = f"target set O: ± {target:g}" if isinstance(target, (int, float)) else "target set O"
        ax.plot(*np.vstack([frame, frame[:1]]).T, color=GREEN, linestyle="--", linewidth=1.6, label=name)
    ax.set_xlabel(f"$f_{{{outputs[0]}}} - g_{{{outputs[0]}}}$ ({unit})", fontsize=9)
    ax.set_ylabel(f"$f_{{{outputs[1]}}} - g_{{{outputs[1]}}}$ ({unit})", fontsize=9)
    ax.margins(0.08)
    ax.autoscale_view()
    ax.set_aspect("equal", adjustable="datalim")
    plain(ax, "both")
    if label or target is not None:
        ax.legend(fontsize=7.5, framealpha=0.9, edgecolor="none")
    return ax
