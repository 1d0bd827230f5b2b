"""Pictures of the star search: the tree of splits, the state after any event, and all of them as an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from PIL import Image  # which matplotlib brings

from nnequiv.plot.pieces import framed
from nnequiv.plot.polygons import polygon_of
from nnequiv.plot.style import BLUE, GREEN, GREY, ORANGE, ready
from nnequiv.reach.engine import InputSet
from nnequiv.reach.steps import Dropped, Event, Finished, Looked, Solved, Split
from nnequiv.sets import Polytope

#: A tree with more leaves than this shows no names.
MOST_NAMED = 24


def split_tree(events: Sequence[Event], ax: Axes | None = None, *, caption: str = "") -> Axes:
    """The tree of splits: an inner node is a neuron with both signs, a leaf is a piece.

    Parameters
    ----------
    events : sequence of Event
        All that :func:`nnequiv.steps` yields, or the first so many.
    caption : str
        Such as :func:`nnequiv.plot.about` makes.

    Examples
    --------
    >>> from nnequiv import Box, Network, steps
    >>> fold = Network([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], [0.0])])
    >>> split_tree(list(steps(fold, Box([-1.0], [2.0])))).get_title()
    '2 splits, 3 pieces'
    """
    splits = {event.path: event for event in events if isinstance(event, Split)}
    ends = {event.path: event for event in events if isinstance(event, (Finished, Dropped))}
    leaves = sorted({path + side for path in splits for side in "+-"} - set(splits) or {""}, key=_left_to_right)
    place = {path: float(k) for k, path in enumerate(leaves)}
    for path in sorted(splits, key=len, reverse=True):
        place[path] = (place[path + "+"] + place[path + "-"]) / 2
    ax = ready(ax, caption, max(5.2, min(0.32 * len(leaves), 14)), 4.2)
    for side, color in (("+", BLUE), ("-", ORANGE)):
        lines = [[(place[p], -len(p)), (place[p + side], -len(p) - 1)] for p in splits]
        name = "neuron ≥ 0" if side == "+" else "neuron ≤ 0"
        ax.add_collection(LineCollection(lines, colors=color, linewidths=1.4, label=name, zorder=1))
    named = len(leaves) <= MOST_NAMED
    for path, event in splits.items():
        network, layer, neuron = event.place
        _node(ax, (place[path], -len(path)), f"{'fg'[network]}{layer}.{neuron}" if named else "", "white", GREY)
    for path in leaves:
        event = ends.get(path)
        text = f"{event.number}" if isinstance(event, Finished) else "∅" if event else "…"
        _node(ax, (place[path], -len(path)), text if named else "", GREEN if event else "white", GREEN)
    pieces = sum(isinstance(event, Finished) for event in ends.values())
    ax.set_title(f"{len(splits)} split{'' if len(splits) == 1 else 's'}, {pieces} pieces", fontsize=10)
    ax.set_xlim(-0.8, len(leaves) - 0.2)
    ax.set_ylim(-max(map(len, leaves)) - 0.7, 0.7)
    ax.set_axis_off()
    if splits:
        ax.legend(fontsize=7.5, loc="upper right", framealpha=0.9, edgecolor="none")
    return ax


def _left_to_right(path: str) -> str:
    """Sorts paths as the search finishes them: ``+`` before ``-``."""
    return path.replace("+", "0").replace("-", "1")


def _node(ax: Axes, at, text: str, fill: str, edge: str) -> None:
    ax.plot(*at, "o", color=fill, markeredgecolor=edge, markersize=17 if text else 4, zorder=2)
    color = "white" if fill == GREEN else "black"
    ax.text(*at, text, ha="center", va="center_baseline", fontsize=7, zorder=3, color=color)


def search_state(events: Sequence[Event], input_set: InputSet, ax: Axes | None = None, *, caption: str = "") -> Axes:
    """What the search has done after some events, over two free inputs.

    Finished pieces are green, the branch in work is blue with its splitting plane or its LP's answer, the rest waits.

    Examples
    --------
    >>> from nnequiv import Box, Network, steps
    >>> fold = Network([([[1.0, 0.5], [-1.0, 0.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> box = Box([-1.0, -1.0], [1.0, 1.0])
    >>> print(search_state(list(steps(fold, box))[:3], box).get_title(loc="left"))
    [root] LP: max x0 + 0.5 x1 over the box and 0 half-spaces: 1.5
    at (1, 1)
    """
    if not events:
        raise ValueError("there is no event to draw: give at least the first")
    ax = ready(ax, caption, 4.6, 4.0)
    last, box = events[-1], input_set.box
    done = [_polygon(event, box) for event in events if isinstance(event, Finished)]
    ax.add_patch(_outline(input_set))
    ax.add_collection(PolyCollection(done, facecolors=GREEN, alpha=0.45, edgecolors="white", linewidths=1.2))
    if not isinstance(last, Finished):
        branch = _polygon(last, box)
        ax.add_collection(PolyCollection([branch], facecolors=BLUE, alpha=0.3, edgecolors=BLUE, linewidths=1.6))
        if isinstance(last, (Looked, Solved, Split)):
            _plane(ax, last, box)
        if isinstance(last, Solved) and last.point is not None:
            ax.plot(*last.point, "o", color=ORANGE, markersize=8, markeredgecolor="white", clip_on=False, zorder=5)
    ax.set_title(_two_lines(f"[{last.path or 'root'}] " + last.text.split("] ", 1)[1].strip()), fontsize=8, loc="left")
    return framed(ax, input_set)


def _two_lines(text: str) -> str:
    """Always two, so that the frames of an animation have one size."""
    lines = [*wrap(text, 62), ""]
    return "\n".join([lines[0], " ".join(lines[1:]).strip()])


def _polygon(event: Event, box) -> np.ndarray:
    star = event.branch.star
    rows = np.zeros((len(star.bound), box.dimension))
    rows[:, box.free] = star.matrix
    return polygon_of(Polytope(rows, star.bound, box))


def _outline(input_set: InputSet):
    return Polygon(polygon_of(input_set), closed=True, facecolor="#f2f2f2", edgecolor=GREY)


def _plane(ax: Axes, event: Event, box) -> None:
    """The line on which the neuron is 0, where it meets the box."""
    star, k = event.branch.star, event.branch.neuron
    (a, b), offset = star.basis[k], star.center[k]
    if a == b == 0:
        return
    middle, normal = box.center[box.free], np.array([a, b])
    foot = middle - normal * (normal @ middle + offset) / (normal @ normal)
    reach = np.linalg.norm(box.upper - box.lower) + np.linalg.norm(foot - middle)
    along = np.array([-b, a]) / np.linalg.norm(normal) * reach
    ax.plot(*np.column_stack([foot - along, foot + along]), color=ORANGE, linestyle="--", linewidth=1.6)


def animation(
    events: Sequence[Event], input_set: InputSet, *, seconds: float = 0.6, caption: str = "", dots_per_inch: int = 70
) -> bytes:
    """The search over two free inputs as the content of an animated GIF: a frame a split and a finished piece.

    Parameters
    ----------
    events : sequence of Event
        All that :func:`nnequiv.steps` yields.
    seconds : float
        Each frame is shown for; the last one three times as long.

    Examples
    --------
    >>> from nnequiv import Box, Network, steps
    >>> fold = Network([([[1.0, 0.5]], [0.0]), ([[1.0]], [0.0])])
    >>> box = Box([-1.0, -1.0], [1.0, 1.0])
    >>> animation(list(steps(fold, box)), box)[:6]
    b'GIF89a'
    """
    frames = []
    for count, event in enumerate(events, start=1):
        if isinstance(event, (Split, Finished)):
            figure = Figure(figsize=(4.6, 4.2), dpi=dots_per_inch, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            search_state(events[:count], input_set, figure.subplots(), caption=caption)
            canvas.draw()
            image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
            frames.append(image.quantize(64, dither=Image.Dither.NONE))
    if not frames:
        raise ValueError("there is neither a split nor a finished piece among the events")
    times = [round(1000 * seconds)] * (len(frames) - 1) + [round(3000 * seconds)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    return buffer.getvalue()
