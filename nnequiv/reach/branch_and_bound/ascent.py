"""Witnesses: sign-gradient ascent inside the input box, from random points and from points that a bound suggests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnequiv.network import Network

#: Steps of one climb, the first as long as the box is wide, each shorter by this factor.
STEPS, SHORTER = 30, 0.85


def _value_and_gradient(networks: Sequence[Network], rows: list[np.ndarray], points: np.ndarray):
    """Values ``(k,)`` of one linear function of the stacked outputs a point, and gradients in the point ``(k, n)``."""
    value, gradient = np.zeros(len(points)), np.zeros_like(points)
    for network, row in zip(networks, rows, strict=True):
        pre = network.pre_activations(points)
        value = value + (pre[-1] * row).sum(axis=1)
        back = row
        for index in range(len(network.layers) - 1, -1, -1):
            back = back @ network.layers[index].weight
            if index:
                back = back * (pre[index - 1] > 0)
        gradient = gradient + back
    return value, gradient


def climb(networks: Sequence[Network], rows: list[np.ndarray], lower, upper, points, first: float = 1.0) -> np.ndarray:
    """Climb from each point towards a larger value of its own linear function of the outputs.

    Parameters
    ----------
    networks : sequence of Network
    rows : list of (k, m_i) arrays
        The function's coefficients on each network's outputs, a row a point.
    lower, upper : (n,) arrays
        The box.
    points : (k, n) array
    first : float
        Length of the first step, as a share of the box.

    Returns
    -------
    (k, n) array
        The best point of each climb.

    Examples
    --------
    >>> net = Network([([[1.0, -2.0]], [0.0])])
    >>> climb([net], [np.ones((1, 1))], np.zeros(2), np.ones(2), np.full((1, 2), 0.5))
    array([[1., 0.]])
    """
    best, where = np.full(len(points), -np.inf), points
    for step in range(STEPS):
        value, gradient = _value_and_gradient(networks, rows, points)
        better = value > best
        best, where = np.where(better, value, best), np.where(better[:, None], points, where)
        length = first * SHORTER**step * (upper - lower)
        points = np.clip(points + length * np.sign(gradient), lower, upper)
    return where


def best_on_segments(values, start: np.ndarray, ends: np.ndarray, zooms: int = 6) -> np.ndarray:
    """Points between ``start`` and each of the ``ends`` where a function is largest, found by zooming in on samples.

    Where f's class flips on the way, g's flips elsewhere, and between the two flips they disagree.

    Parameters
    ----------
    values : callable
        ``(k, n)`` points to ``(k,)`` values; −inf is allowed.
    start : (n,) array
    ends : (k, n) array

    Returns
    -------
    (k, n) array

    Examples
    --------
    >>> best_on_segments(lambda x: -abs(x[:, 0] - 0.3), np.zeros(1), np.ones((1, 1))).round(3)
    array([[0.3]])
    """
    middle, half = np.full(len(ends), 0.5), 0.5
    for _ in range(zooms):
        shares = np.clip(middle[:, None] + half * np.linspace(-1, 1, 17), 0.0, 1.0)  # (k, 17)
        points = start + shares[:, :, None] * (ends - start)[:, None, :]
        found = values(points.reshape(-1, len(start))).reshape(shares.shape)
        middle = shares[np.arange(len(ends)), found.argmax(axis=1)]
        half /= 8
    return start + middle[:, None] * (ends - start)
