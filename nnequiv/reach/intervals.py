"""Interval arithmetic through a network: the plainest bound there is, for one box or for many at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnequiv.network import Network
from nnequiv.relations import Objective
from nnequiv.rounding import UNDERFLOW, UNIT, dot_error, gamma


def center_and_radius(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and radius of boxes, so that ``[center − radius, center + radius]`` contains them in exact arithmetic.

    A fixed input has radius exactly 0.

    >>> center_and_radius(np.array([1.0, 0.0]), np.array([1.0, 2.0]))[1].round(9)
    array([0., 1.])
    """
    center = np.clip(lower + 0.5 * (upper - lower), lower, upper)
    return center, np.maximum(upper - center, center - lower) * (1 + 4 * UNIT)


def interval_layer(lower: np.ndarray, upper: np.ndarray, weight: np.ndarray, bias: np.ndarray):
    """Bounds on ``weight @ v + bias`` for v in ``[lower, upper]``, ``(n,)`` or ``(B, n)``.

    Rounding: with centre and radius, ``W center + b`` and ``|W| radius`` are dot products; their errors are added.
    """
    center, radius = center_and_radius(lower, upper)
    size, n = np.abs(weight).T, weight.shape[1]
    reach = radius @ size
    magnitude = np.abs(center) @ size + reach + np.abs(bias)
    reach = reach + 2 * gamma(n + 4) * magnitude + 8 * UNDERFLOW * (n + 1)
    middle = center @ weight.T + bias
    return middle - reach, middle + reach


def interval_layers(network: Network, lower: np.ndarray, upper: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sound bounds on the pre-activations of every layer, the outputs last, for inputs ``(n,)`` or ``(B, n)``."""
    result = []
    for index, layer in enumerate(network.layers):
        if index:
            lower, upper = np.maximum(lower, 0.0), np.maximum(upper, 0.0)
        lower, upper = interval_layer(lower, upper, layer.weight, layer.bias)
        result.append((lower, upper))
    return result


def interval_outputs(networks: Sequence[Network], box) -> tuple[np.ndarray, np.ndarray]:
    """Sound bounds on the stacked outputs ``(m,)`` over a box."""
    last = [interval_layers(network, box.lower, box.upper)[-1] for network in networks]
    return np.concatenate([low for low, _ in last]), np.concatenate([high for _, high in last])


def interval_bound(networks: Sequence[Network], input_set, objectives: Sequence[Objective]) -> float:
    """Sound upper bound on the maximum: what is proved before any work is done."""
    lower, upper = interval_outputs(networks, input_set.box)
    highest = -np.inf
    for objective in objectives:
        rows, offsets = objective.goal, objective.goal_offset
        value = np.maximum(rows * lower, rows * upper).sum(axis=1) + offsets
        size = np.abs(rows) @ np.maximum(np.abs(lower), np.abs(upper)) + np.abs(offsets)
        bounds = value + dot_error(rows.shape[1], size)
        highest = max(highest, float(np.where(np.isnan(bounds), np.inf, bounds).min()))  # NaN: it overflowed
    return highest


def check_range(network: Network, box, name: str) -> None:
    """Refuse a network whose values on a box may be no floats any more.

    Raises
    ------
    ValueError
        In one line, with the layer.

    Examples
    --------
    >>> from nnequiv.sets import Box
    >>> check_range(Network([([[1e200]], [0.0]), ([[1e200]], [0.0])]), Box([0.0], [1.0]), "f")
    Traceback (most recent call last):
    ...
    ValueError: f: layer 1 may reach values beyond the largest float, 1.8e308, on the input set
    """
    with np.errstate(over="ignore", invalid="ignore"):
        layers = interval_layers(network, box.lower, box.upper)
    for index, (low, high) in enumerate(layers):
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError(
                f"{name}: layer {index} may reach values beyond the largest float, 1.8e308, on the input set"
            )
