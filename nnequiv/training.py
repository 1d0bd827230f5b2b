"""Plain stochastic gradient descent, in the open: learning-rate schedules, momentum, constraints.

Networks are immutable, so training works on its own :class:`TrainingState`, which the caller holds: a loop of
rounds continues where it stopped, momentum and step count included. All parameters lie in one flat vector,
and the weights are views into it; an update is then a handful of NumPy calls whatever the depth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nnequiv.batches import Batch
from nnequiv.losses import CrossEntropy, Loss, MeanSquare
from nnequiv.network import Network

__all__ = [
    "Constant",
    "CrossEntropy",
    "MeanSquare",
    "SGD",
    "TrainingState",
    "WarmupCosine",
    "accuracy",
    "he_network",
]


class Schedule(Protocol):
    """The learning rate at a step, counted from 0."""

    def rate(self, step: int) -> float: ...


class TrainingConstraint(Protocol):
    """What training asks of a constraint (see :mod:`nnequiv.compression`).

    ``straight_through``: keep free (latent) weights, run forward and backward on the projected ones and apply
    that gradient to the latent ones. Else the weights themselves are projected after each step.
    """

    straight_through: bool

    def project(self, weights, biases) -> tuple[list[np.ndarray], list[np.ndarray]]: ...

    def tangent(self, weights, biases) -> tuple[list[np.ndarray], list[np.ndarray]]: ...


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step."""

    value: float

    def rate(self, step: int) -> float:
        return self.value


@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up to ``peak``, then a half cosine down to zero at step ``steps``.

    Parameters
    ----------
    peak : float
    steps : int
        Of the whole run, all rounds together; the rate is 0 from there on.
    warmup : float
        Share of the steps that warm up.

    Examples
    --------
    >>> schedule = WarmupCosine(peak=1.0, steps=100, warmup=0.1)
    >>> [round(schedule.rate(step), 3) for step in (0, 9, 10, 55, 100)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """

    peak: float
    steps: int
    warmup: float = 0.03

    def __post_init__(self):
        if self.steps < 1 or not 0 <= self.warmup < 1:
            raise ValueError(f"steps is {self.steps} and warmup {self.warmup}: need at least 1, and [0, 1)")

    def rate(self, step: int) -> float:
        rising = round(self.warmup * self.steps)
        if step < rising:
            return self.peak * (step + 1) / rising
        share = min((step - rising) / max(self.steps - rising, 1), 1.0)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * share))


class Parameters:
    """Weights and biases as views into one flat vector ``(p,)``."""

    def __init__(self, shapes: list[tuple[int, int]]):
        self.flat = np.zeros(sum(n_out * (n_in + 1) for n_out, n_in in shapes))
        self.weights, self.biases, position = [], [], 0
        for n_out, n_in in shapes:
            end = position + n_out * n_in
            self.weights.append(self.flat[position:end].reshape(n_out, n_in))
            self.biases.append(self.flat[end : end + n_out])
            position = end + n_out

    def fill(self, weights, biases) -> None:
        for view, values in zip([*self.weights, *self.biases], [*weights, *biases], strict=True):
            view[...] = values


class TrainingState:
    """One training run, held by the caller: parameters, momentum, step count.

    Parameters
    ----------
    network : Network
        Where training starts.
    constraint : optional
        Anything with ``project``, ``tangent`` and ``straight_through``; kept at every step.
    """

    def __init__(self, network: Network, constraint: TrainingConstraint | None = None):
        shapes = [layer.weight.shape for layer in network.layers]
        self.constraint = constraint
        self.latent = Parameters(shapes)
        self.speed = np.zeros_like(self.latent.flat)
        self.gradient = Parameters(shapes)
        # What forward and backward passes see: the latent parameters themselves, unless gradients go straight
        # through.
        self.deployed = Parameters(shapes) if constraint and constraint.straight_through else self.latent
        self.step = 0
        self.latent.fill([layer.weight for layer in network.layers], [layer.bias for layer in network.layers])
        self.project()

    def project(self) -> None:
        """Bring the deployed parameters onto the constraint."""
        if self.constraint is not None:
            self.deployed.fill(*self.constraint.project(self.latent.weights, self.latent.biases))

    @property
    def network(self) -> Network:
        """The network as it is now, on its constraint."""
        return Network.from_arrays(self.deployed.weights, self.deployed.biases)


def loss_gradient(parameters: Parameters, gradient: Parameters, points, targets, loss: Loss) -> float:
    """Value of the loss on a batch; its gradient is written into ``gradient``.

    The same numbers as :meth:`nnequiv.network.Network.gradients`, without its checks and copies.
    """
    values = [points]  # what enters each layer
    for weight, bias in zip(parameters.weights[:-1], parameters.biases[:-1], strict=True):
        values.append(np.maximum(values[-1] @ weight.T + bias, 0.0))
    value, back = loss(values[-1] @ parameters.weights[-1].T + parameters.biases[-1], targets)
    for index in range(len(values) - 1, -1, -1):
        np.matmul(back.T, values[index], out=gradient.weights[index])
        np.sum(back, axis=0, out=gradient.biases[index])
        if index:
            back = (back @ parameters.weights[index]) * (values[index] > 0)
    return value


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with (Nesterov) momentum.

    With gradient ``∇``, speed ``v ← momentum · v + ∇``, a step is ``θ ← θ − rate · (∇ + momentum · v)``
    (Nesterov) or ``θ ← θ − rate · v``.

    Parameters
    ----------
    schedule : Schedule
    momentum : float in [0, 1)
    nesterov : bool
    clip : float, optional
        Largest norm of the gradient over all parameters together; longer ones are shortened to it.
    decay : float
        Weight decay: ``decay · θ`` is added to the gradient, after clipping.

    Examples
    --------
    Learn ``y = 2 x``:

    >>> from nnequiv.batches import shuffled
    >>> points = np.linspace(-1, 1, 20)[:, None]
    >>> state = TrainingState(Network([([[0.0]], [0.0])]))
    >>> batches = shuffled(points, 2 * points, 5, np.random.default_rng(0))
    >>> loss = SGD(Constant(0.05)).run(state, batches, 300, MeanSquare())
    >>> state.network.evaluate([1.0]).round(3)
    array([2.])

    Source: Sutskever et al. 2013 ("On the importance of initialization and momentum"), Eqs. 3 and 4, as
    rearranged in common libraries.
    """

    schedule: Schedule
    momentum: float = 0.9
    nesterov: bool = True
    clip: float | None = None
    decay: float = 0.0

    def __post_init__(self):
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}: it must be in [0, 1)")

    def run(self, state: TrainingState, batches: Iterator[Batch], steps: int, loss: Loss) -> float:
        """Take ``steps`` steps, changing ``state``; returns the mean loss of their batches (NaN for none)."""
        total = 0.0
        for _ in range(steps):
            points, targets = next(batches)
            total += loss_gradient(state.deployed, state.gradient, points, targets, loss)
            self._update(state)
        if not np.isfinite(state.latent.flat).all():
            raise ValueError(f"training diverged before step {state.step}: lower the rate or clip the gradient")
        return total / steps if steps else math.nan

    def _update(self, state: TrainingState) -> None:
        gradient = state.gradient.flat
        if state.constraint is not None:
            state.gradient.fill(*state.constraint.tangent(state.gradient.weights, state.gradient.biases))
        if self.clip is not None:
            gradient *= min(1.0, self.clip / max(math.sqrt(gradient @ gradient), 1e-300))
        if self.decay:
            gradient += self.decay * state.latent.flat
        state.speed *= self.momentum
        state.speed += gradient
        direction = gradient + self.momentum * state.speed if self.nesterov else state.speed
        state.latent.flat -= self.schedule.rate(state.step) * direction
        state.step += 1
        state.project()


def he_network(widths, rng: np.random.Generator) -> Network:
    """A random network to start from: weights normal with variance ``2 / n_in``, biases 0.

    Source: He et al. 2015 ("Delving deep into rectifiers"), Eq. 10.

    >>> he_network([64, 32, 10], np.random.default_rng(0))
    Network(64-32-10)
    """
    return Network(
        (rng.standard_normal((n_out, n_in)) * math.sqrt(2.0 / n_in), np.zeros(n_out))
        for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
    )


def accuracy(network: Network, points, labels) -> float:
    """Share of points whose largest output is their label.

    >>> accuracy(Network([(np.eye(2), [0.0, 0.0])]), [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    0.5
    """
    return float((network.evaluate(points).argmax(axis=1) == np.asarray(labels)).mean())
