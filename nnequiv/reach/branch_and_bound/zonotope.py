"""Forward zonotopes of a network over many boxes at once, with a proved bound on their own rounding.

A zonotope says: for every input x of a part there are ``e`` in ``[−1, 1]^K`` with

    | z(x) − (center + e @ generators) | ≤ error .

The first generators belong to the inputs that are not fixed, ``e_j = (x_j − center_j) / radius_j``, so two networks on
the same part share them. Each unstable neuron adds one: with ``z`` in ``[l, u]`` and any slope s in [0, 1],

    relu(z) = s z + half (1 + e_new),   half = max(−s l, (1 − s) u) / 2 .

Rounding. Write γ for :func:`nnequiv.rounding.gamma` and M for ``slope (|center| + Σ|generators| + error) + 2 half``.
The step ``z' = W relu(z) + b`` computes one centre and K generators, each a dot product over the n neurons of
factors that carry at most three roundings of their own. Their errors sum to at most ``γ(n + 8) (|W| M + |b|)``,
because ``Σ_k |e_k| ≤`` the sum of all generators' moduli, which M contains; products that underflow add at most
``4 η (K + 2) (|W| 1 + n)``. The old error arrives as ``|W| (slope · error)``. ``half`` is enlarged by 8 units, for its
own three roundings, and by η. So the inequality above holds for z' again, for the same e.

Sound: yes, with rounding. Source: Singh et al. 2018 (DeepZ), with the slope ``u / (u − l)`` of least area.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnequiv.network import Network
from nnequiv.reach.intervals import interval_layer
from nnequiv.rounding import UNDERFLOW, UNIT, gamma


@dataclass(frozen=True, eq=False)
class Zonotope:
    """``center (B, n)``, ``generators (B, K, n)``, ``error (B, n)``: B zonotopes in n dimensions."""

    center: np.ndarray
    generators: np.ndarray
    error: np.ndarray

    @cached_property
    def reach(self) -> np.ndarray:
        """Sum of the generators' moduli, in plain floats, ``(B, n)``."""
        return np.abs(self.generators).sum(axis=1)

    def radius(self) -> np.ndarray:
        """Proved: ``|z − center| ≤ radius``, and so that ``center ± radius`` in floats is outward. ``(B, n)``"""
        reach = self.reach + self.error
        return reach * (1 + gamma(self.generators.shape[1] + 4)) + 2 * UNIT * np.abs(self.center)


@dataclass(frozen=True, eq=False)
class HiddenLayer:
    """What the forward pass knows of one hidden layer, for B parts.

    Attributes
    ----------
    before : Zonotope
        Of the pre-activations, ``(B, n)``.
    lower, upper : (B, n) arrays
        Proved bounds on the pre-activations.
    slope, half : (B, n) arrays
        Of the relaxation ``slope z + half ± half``; half is 0 for a stable neuron.
    unstable : (B, n) bool array
    cut : (B, n) bool array
        Where a fixed sign cuts something off: the zonotope itself reaches both signs.
    index : (B, k) int array
        The neuron of each new generator; padded with stable neurons (whose generator is 0).
    """

    before: Zonotope
    lower: np.ndarray
    upper: np.ndarray
    slope: np.ndarray
    half: np.ndarray
    unstable: np.ndarray
    cut: np.ndarray
    index: np.ndarray


@dataclass(frozen=True, eq=False)
class Trace:
    """A forward pass: hidden layers, the outputs' zonotope and bounds ``(B, m)``, and ``infeasible (B,)``: parts
    proved empty."""

    hidden: list[HiddenLayer]
    output: Zonotope
    lower: np.ndarray
    upper: np.ndarray
    infeasible: np.ndarray

    @property
    def unstable(self) -> np.ndarray:
        """Number of unstable neurons of each part, ``(B,)``."""
        return sum((layer.unstable.sum(axis=1) for layer in self.hidden), np.zeros(len(self.infeasible), dtype=int))


def free_inputs(radius: np.ndarray) -> np.ndarray:
    """Inputs that at least one of the boxes does not fix: those that have a generator."""
    return np.flatnonzero((radius > 0).any(axis=0))


def times(generators: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``generators @ weight.T`` for ``(B, K, n)``, as one matrix product instead of B small ones."""
    shape = generators.shape
    return (generators.reshape(shape[0] * shape[1], shape[2]) @ weight.T).reshape(*shape[:2], len(weight))


def index_of(mask: np.ndarray) -> np.ndarray:
    """For each row the positions of its True entries, padded with False ones to the longest row."""
    count = int(mask.sum(axis=1).max(initial=0))
    if count in (0, mask.shape[1]):
        return np.broadcast_to(np.arange(count), (len(mask), count))
    return np.argpartition(~mask, count - 1, axis=1)[:, :count]


def _bounds(z: Zonotope, known) -> tuple[np.ndarray, np.ndarray]:
    """The zonotope's bounds, and those of interval arithmetic from the layer before where they are tighter.

    Neither is always the better one: a relaxed ReLU's zonotope reaches below 0. With both, far fewer parts are needed.
    """
    radius = z.radius()
    lower, upper = z.center - radius, z.center + radius
    if known is not None:
        lower, upper = np.maximum(lower, known[0]), np.minimum(upper, known[1])
    # Where floats overflowed nothing is known; NaN would compare as if the neuron were dead.
    return np.where(np.isnan(lower), -np.inf, lower), np.where(np.isnan(upper), np.inf, upper)


def _relax(before: Zonotope, signs: np.ndarray | None, known) -> tuple[HiddenLayer, np.ndarray]:
    """Bounds and relaxation of one hidden layer; which parts have a sign that the bounds exclude."""
    lower, upper = _bounds(before, known)
    infeasible, cut = np.zeros(len(lower), dtype=bool), np.zeros(lower.shape, dtype=bool)
    if signs is not None:
        cut = (signs != 0) & (lower < 0) & (upper > 0)
        infeasible = ((signs > 0) & (upper < 0) | (signs < 0) & (lower > 0)).any(axis=1)
        lower = np.where(signs > 0, np.maximum(lower, 0.0), lower)
        upper = np.where(signs < 0, np.minimum(upper, 0.0), upper)
    unstable = (lower < 0) & (upper > 0)
    slope = np.where(unstable, upper / np.where(unstable, upper - lower, 1.0), (lower >= 0) & (upper > 0))
    gap = np.maximum(-slope * lower, (1 - slope) * upper)
    half = np.where(unstable, gap * (0.5 + 4 * UNIT) + 2 * UNDERFLOW, 0.0)
    return HiddenLayer(before, lower, upper, slope, half, unstable, cut, index_of(unstable)), infeasible


def _through(layer: HiddenLayer, weight: np.ndarray, bias: np.ndarray) -> Zonotope:
    """The zonotope of ``weight @ relu(z) + bias``; the rounding is the module's docstring."""
    z, slope, half = layer.before, layer.slope, layer.half
    size, n = np.abs(weight).T, weight.shape[1]
    magnitude = slope * (np.abs(z.center) + z.reach + z.error) + 2 * half
    error = ((slope * z.error) @ size) * (1 + gamma(n + 8)) + gamma(n + 8) * (magnitude @ size + np.abs(bias))
    error += 4 * UNDERFLOW * (z.generators.shape[1] + layer.index.shape[1] + 2) * (size.sum(axis=0) + n)
    live = np.flatnonzero((slope > 0).any(axis=0))  # often half the neurons are dead in every part of a batch
    generators = times(z.generators[:, :, live] * slope[:, None, live], weight[:, live])
    if layer.index.shape[1]:
        new = np.take_along_axis(half, layer.index, axis=1)[:, :, None] * weight.T[layer.index]
        generators = np.concatenate([generators, new], axis=1)
    return Zonotope((slope * z.center + half) @ weight.T + bias, generators, error)


def forward(network: Network, center: np.ndarray, radius: np.ndarray, signs: np.ndarray | None = None) -> Trace:
    """Zonotopes of all layers over B parts.

    Parameters
    ----------
    network : Network
    center, radius : (B, n_inputs) arrays
        The boxes, exactly ``[center − radius, center + radius]`` (:func:`center_and_radius`).
    signs : (B, n_hidden) int8 array, optional
        1 where a part fixes a pre-activation to be ≥ 0, −1 where ≤ 0, else 0.

    Returns
    -------
    Trace

    Examples
    --------
    ``relu(x) + relu(−x)`` on [−1, 1]: the input's generators cancel, and the bound is the exact one.

    >>> net = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> out = forward(net, np.zeros((1, 1)), np.ones((1, 1))).output
    >>> float((out.center + out.radius()).round(9)[0, 0])
    1.0
    """
    first = network.layers[0]
    size, n = np.abs(first.weight).T, first.n_in
    free = free_inputs(radius)
    generators = radius[:, free, None] * first.weight.T[free]
    error = gamma(n + 8) * ((np.abs(center) + radius) @ size + np.abs(first.bias)) + 8 * UNDERFLOW * (n + 1)
    z = Zonotope(center @ first.weight.T + first.bias, generators, error)
    infeasible, hidden, start, known = np.zeros(len(center), dtype=bool), [], 0, None
    for layer in network.layers[1:]:
        width = layer.n_in
        relaxed, empty = _relax(z, None if signs is None else signs[:, start : start + width], known)
        hidden.append(relaxed)
        infeasible |= empty
        known = interval_layer(np.maximum(relaxed.lower, 0), np.maximum(relaxed.upper, 0), layer.weight, layer.bias)
        z, start = _through(relaxed, layer.weight, layer.bias), start + width
    lower, upper = _bounds(z, known)
    return Trace(hidden, z, lower, upper, infeasible)
