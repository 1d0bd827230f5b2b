"""What a compressed network must keep while it is trained: its shape, its mask or its grid.

Each constraint can bring weights onto itself (``project``), keep the part of a step that stays on it
(``tangent``), and say whether a network satisfies it (``holds``). None of them touches biases: see
:mod:`nnequiv.compression`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.network import Network

Arrays = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class Shape:
    """The layers keep their shapes; any values will do. What narrowing leaves."""

    widths: tuple[int, ...]
    straight_through = False

    def project(self, weights: Arrays, biases: Arrays) -> tuple[Arrays, Arrays]:
        return weights, biases

    def tangent(self, weights: Arrays, biases: Arrays) -> tuple[Arrays, Arrays]:
        """The part of a step that stays on the constraint: all of it."""
        return weights, biases

    def holds(self, network: Network) -> bool:
        return network.widths == self.widths


@dataclass(frozen=True, eq=False)
class Mask:
    """Weights outside the masks are exactly 0. What pruning leaves.

    Attributes
    ----------
    masks : tuple of (n_out, n_in) bool arrays
        True where a weight may be non-zero; one a layer.
    """

    masks: tuple[np.ndarray, ...]
    straight_through = False

    def project(self, weights: Arrays, biases: Arrays) -> tuple[Arrays, Arrays]:
        """The nearest weights on the constraint (least squares)."""
        return [np.where(mask, w, 0.0) for w, mask in zip(weights, self.masks, strict=True)], biases

    tangent = project  # the constraint is a linear subspace: steps are projected as weights are

    def holds(self, network: Network) -> bool:
        return shapes_of(network) == [mask.shape for mask in self.masks] and all(
            not layer.weight[~mask].any() for layer, mask in zip(network.layers, self.masks, strict=True)
        )


@dataclass(frozen=True, eq=False)
class Grid:
    """Every weight is ``k · scale`` with a whole number ``|k| ≤ 2^(bits − 1) − 1``. What quantisation leaves.

    Attributes
    ----------
    bits : int
    scales : tuple of floats
        One a layer, fixed when the network is compressed.
    shapes : tuple of (n_out, n_in)
    """

    bits: int
    scales: tuple[float, ...]
    shapes: tuple[tuple[int, int], ...]
    straight_through = True  # a grid has no direction that stays on it: see nnequiv.training

    def project(self, weights: Arrays, biases: Arrays) -> tuple[Arrays, Arrays]:
        """The nearest weights on the grid."""
        on_grid = [nearest_levels(w, scale, self.bits) * scale for w, scale in zip(weights, self.scales, strict=True)]
        return on_grid, biases

    def tangent(self, weights: Arrays, biases: Arrays) -> tuple[Arrays, Arrays]:
        """The latent weights are free: all of the step."""
        return weights, biases

    def holds(self, network: Network) -> bool:
        weights = [layer.weight for layer in network.layers]
        return shapes_of(network) == list(self.shapes) and all(
            np.array_equal(weight, near) for weight, near in zip(weights, self.project(weights, [])[0], strict=True)
        )


Constraint = Shape | Mask | Grid


def nearest_levels(weight: np.ndarray, scale: float, bits: int) -> np.ndarray:
    """The whole numbers ``k`` whose ``k · scale`` is nearest."""
    most = 2 ** (bits - 1) - 1
    return np.clip(np.rint(weight / scale), -most, most) + 0.0  # turns -0.0 into 0.0


def shapes_of(network: Network) -> list[tuple[int, int]]:
    """The weights' shapes, one a layer."""
    return [layer.weight.shape for layer in network.layers]


def constraint_of(network: Network, keep: str) -> Constraint:
    """The constraint a network from a file is on, which does not say so itself.

    Parameters
    ----------
    keep : {"shape", "zeros", "grid"}
        Its shape only; the zeros of its weights as well; or the whole multiples its weights are, layer by layer.

    Raises
    ------
    ValueError
        If the weights of a layer are not on a grid.

    Examples
    --------
    >>> constraint_of(Network([([[0.5, -1.5, 0.0]], [0.0])]), "grid").scales
    (0.5,)
    """
    if keep == "shape":
        return Shape(network.widths)
    weights = [layer.weight for layer in network.layers]
    if keep == "zeros":
        return Mask(tuple(weight != 0 for weight in weights))
    if keep != "grid":
        raise ValueError(f"keep is {keep!r}: it must be shape, zeros or grid")
    found = [_grid_of(weight, index) for index, weight in enumerate(weights)]
    most = max(level for _, level in found)
    bits = max(int(most).bit_length() + 1, 2)
    return Grid(bits, tuple(scale for scale, _ in found), tuple(shapes_of(network)))


def _grid_of(weight: np.ndarray, layer: int) -> tuple[float, float]:
    """The coarsest scale whose whole multiples the weights are, and the largest multiple."""
    least = np.abs(weight[weight != 0]).min(initial=np.inf)
    if not np.isfinite(least):
        return 1.0, 0.0
    for steps in range(1, 129):  # the smallest weight may be several steps from zero
        scale = float(least / steps)
        levels = np.rint(weight / scale)
        if np.array_equal(levels * scale, weight) and np.abs(levels).max() < 2**15:
            return scale, float(np.abs(levels).max())
    raise ValueError(f"layer {layer}: its weights are not whole multiples of one scale")
