"""A witness in pictures: the input, what f says, what g says, and the difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.plot.style import BLUE, GREY, ORANGE, about, panels, plain, ready
from nnequiv.reach.engine import InputSet


def image(values, shape: tuple[int, int], ax: Axes | None = None, *, free: Sequence[int] = (), title: str = "") -> Axes:
    """An input as a grey image, white 0 and black 1, with its free pixels framed.

    Parameters
    ----------
    values : (height × width,) array
    shape : (height, width)
    free : indices of the free inputs

    Examples
    --------
    >>> ax = image([0.0, 0.5, 1.0, 0.0], (2, 2), free=[1])
    >>> len(ax.patches)
    1
    """
    values = np.asarray(values, dtype=float)
    if values.shape != (shape[0] * shape[1],):
        raise ValueError(
            f"the input has shape {values.shape}, but an image of {shape} has {shape[0] * shape[1]} pixels"
        )
    ax = ready(ax, "", 2.6, 2.8)
    ax.imshow(values.reshape(shape), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(title, fontsize=9)
    for row, column in zip(*np.unravel_index(np.asarray(free, dtype=int), shape), strict=True):
        frame = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=1.8)
        ax.add_patch(frame)
    return ax


def witness_images(
    f: Network,
    g: Network,
    witness,
    shape: tuple[int, int],
    input_set: InputSet | None = None,
    ax: Sequence[Axes] | None = None,
    *,
    unit: str = "logit",
    seed: int | None = None,
    note: str = "",
) -> Sequence[Axes]:
    """A witness: the input, f and g there, and the difference. Outputs are images where they have the input's shape.

    Parameters
    ----------
    witness : (n,) array
    shape : (height, width)
    input_set : optional
        Its free pixels are framed.
    ax : four axes, optional

    Returns
    -------
    the four axes

    Examples
    --------
    >>> f, g = Network([(np.eye(4), np.zeros(4))]), Network([(0.5 * np.eye(4), np.zeros(4))])
    >>> [axes.get_xlabel() for axes in witness_images(f, g, [0.0, 1.0, 0.5, 1.0], (2, 2))]
    ['input', 'f', 'g', 'f − g, largest 0.5']
    """
    check_pair(f, g)
    if ax is None:
        ax = panels(4, width=2.4, height=2.7)
    ready(ax[0], about((f, g), input_set, seed, note))
    image(witness, shape, ax[0], free=() if input_set is None else input_set.box.free, title="input")
    values = {"f": f(witness), "g": g(witness)}
    values[f"f − g, largest {np.abs(values['f'] - values['g']).max():.4g}"] = values["f"] - values["g"]
    for axes, (name, outputs), color in zip(ax[1:], values.items(), (GREY, ORANGE, BLUE), strict=True):
        if f.n_outputs == shape[0] * shape[1]:
            _signed(axes, outputs.reshape(shape), name)
        else:
            _bars(axes, outputs, name, color, unit)
    if f.n_outputs != shape[0] * shape[1]:
        low, high = (
            pick([limits[k] for limits in (axes.get_ylim() for axes in ax[1:3])]) for k, pick in ((0, min), (1, max))
        )
        for axes in ax[1:3]:
            axes.set_ylim(low, high)  # f and g on one scale
    return ax


def _signed(ax: Axes, values: np.ndarray, title: str) -> None:
    reach = np.abs(values).max() or 1.0
    shown = ax.imshow(values, cmap="PuOr", vmin=-reach, vmax=reach, interpolation="nearest")
    ax.figure.colorbar(shown, ax=ax, shrink=0.6)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(title, fontsize=9)


def _bars(ax: Axes, values: np.ndarray, title: str, color: str, unit: str) -> None:
    """The outputs as bars, the largest value's name in the title's place."""
    place = np.arange(len(values))
    ax.bar(place, values, 0.75, color=color)
    worst = int(np.argmax(np.abs(values))) if "−" in title else int(np.argmax(values))
    ax.bar(worst, values[worst], 0.75, color=color, edgecolor="black", linewidth=1.4)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xticks(place)
    ax.set_xlabel(f"class: {title}" if "−" in title else f"class: {title} says {worst}", fontsize=9)
    ax.set_ylabel(unit, fontsize=8)
    plain(ax)
