"""What the star search does, one event at a time: the engine of :mod:`nnequiv.reach.star` runs over these very events.

A branch of the tree of splits is named by its *path*: ``+`` where it took the side on which a neuron is ≥ 0, ``-`` for
the other side. The root is the empty path. Neurons and layers are counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.reach.engine import Piece
from nnequiv.reach.leaf import Leaf
from nnequiv.sets import Box

#: What bounds allow for underflow is not worth a reader's time: shown as 0.
UNDERFLOW_SHOWN = 1e-300


@dataclass(frozen=True, eq=False)
class Event:
    """What all events have.

    Attributes
    ----------
    path : str
    place : tuple of ints
        Network (0 is f, 1 is g), layer, neuron.
    branch : Leaf
        As it was before the event.
    """

    path: str
    place: tuple[int, int, int]
    branch: Leaf

    @property
    def inputs(self) -> list[str]:
        """Names of the predicate variables, which are the free inputs."""
        return [f"x{i}" for i in self.branch.start.basis.argmax(axis=0)]

    @property
    def neuron(self) -> str:
        """``f's layer 0, neuron 2``."""
        network, layer, neuron = self.place
        return f"{'fg'[network]}'s layer {layer}, neuron {neuron}"

    @property
    def text(self) -> str:
        """The event in one line, for a terminal."""
        return f"[{self.path or 'root'}] {self._says()}"

    def _says(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Entered(Event):
    """A layer's pre-activations are known as a star: ``branch.star``."""

    def _says(self) -> str:
        network, layer, _ = self.place
        count = len(self.branch.star.center)
        return f"{'fg'[network]}'s layer {layer}: an affine map to {count} value{'' if count == 1 else 's'}"


@dataclass(frozen=True, eq=False)
class Looked(Event):
    """A neuron is looked at; ``low`` and ``high`` bound it over the box of inputs, without any LP."""

    low: float
    high: float

    def _says(self) -> str:
        star, k = self.branch.star, self.branch.neuron
        form = affine_text(star.basis[k], star.center[k], self.inputs)
        return f"{self.neuron}: z = {form}, in {_interval(self.low, self.high)} over the box"


@dataclass(frozen=True, eq=False)
class Solved(Event):
    """An LP was solved: the largest (``sign`` 1) or least (``sign`` −1) value of the neuron on the branch.

    Attributes
    ----------
    sign : float
    value : float
        The neuron's value there, as a proved bound; −inf times the sign if the branch is proved empty.
    point : (k,) array or None
        Where the solver found it, in the free inputs.
    """

    sign: float
    value: float
    point: np.ndarray | None

    @property
    def cost(self) -> np.ndarray:
        """Costs of the free inputs, to be maximised."""
        return self.sign * self.branch.star.basis[self.branch.neuron]

    def _says(self) -> str:
        star = self.branch.star
        what = "max" if self.sign > 0 else "min"
        form = affine_text(star.basis[self.branch.neuron], star.center[self.branch.neuron], self.inputs)
        where = f"the box and {len(star.bound)} half-space{'' if len(star.bound) == 1 else 's'}"
        if not np.isfinite(self.value):
            return f"  LP: {what} {form} over {where}: empty"
        at = "" if self.point is None else f" at ({', '.join(f'{v:.4g}' for v in self.point)})"
        return f"  LP: {what} {form} over {where}: {self.value:.4g}{at}"


@dataclass(frozen=True, eq=False)
class Stable(Event):
    """The neuron keeps its sign on the branch: its value goes on if ``active``, 0 otherwise."""

    active: bool
    low: float
    high: float

    def _says(self) -> str:
        return f"  stable, in {_interval(self.low, self.high)}: {'its value' if self.active else '0'} goes on"


@dataclass(frozen=True, eq=False)
class Split(Event):
    """The neuron has both signs: the branch goes on where it is ≥ 0, and the other half waits on the stack.

    Attributes
    ----------
    low, high : float
    row, offset : (k,) array, float
        The plane ``row @ α + offset = 0``.
    """

    low: float
    high: float
    row: np.ndarray
    offset: float

    def _says(self) -> str:
        plane = affine_text(self.row, self.offset, self.inputs)
        return f"  in {_interval(self.low, self.high)}, split at {plane} = 0: [{self.path}+] now, [{self.path}-] waits"


@dataclass(frozen=True, eq=False)
class Dropped(Event):
    """The branch is proved empty."""

    def _says(self) -> str:
        return "  proved empty, dropped"


@dataclass(frozen=True, eq=False)
class Finished(Event):
    """A branch came through all layers: the piece ``number``, counted from 0."""

    number: int

    def piece(self, box: Box) -> Piece:
        """The piece, as :meth:`nnequiv.Star.pieces` gives it."""
        return self.branch.piece(box)

    def _says(self) -> str:
        stacked = self.branch.stacked
        rows = zip(stacked.basis, stacked.center, strict=True)
        forms = "; ".join(affine_text(row, offset, self.inputs) for row, offset in rows)
        return f"piece {self.number} is finished, outputs {forms}"


def _interval(low: float, high: float) -> str:
    low, high = (value if abs(value) > UNDERFLOW_SHOWN else 0.0 for value in (low, high))
    return f"[{low:.4g}, {high:.4g}]"


def affine_text(row, offset: float, names: list[str]) -> str:
    """``row @ names + offset``, for people.

    >>> affine_text([1.0, 0.0, -2.5], 0.25, ["x0", "x1", "x2"])
    'x0 - 2.5 x2 + 0.25'
    >>> affine_text([0.0], 0.0, ["x0"])
    '0'
    """
    terms = [(float(value), f" {name}") for value, name in zip(row, names, strict=True)] + [(float(offset), "")]
    text = ""
    for value, name in terms:
        if value == 0.0:
            continue
        size = f"{abs(value):.4g}{name}"
        size = name.strip() if size == f"1{name}" and name else size
        text += f" {'-' if value < 0 else '+'} {size}" if text else f"{'-' if value < 0 else ''}{size}"
    return text or "0"
