"""What training makes small: cross-entropy on labels, mean square on outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Loss(Protocol):
    """A loss over a batch of outputs ``(k, m)``: its value and its gradient on the outputs."""

    def __call__(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]: ...


@dataclass(frozen=True)
class CrossEntropy:
    """``−log softmax(outputs)[label]``, mean over the batch; targets are whole-number labels ``(k,)``.

    >>> value, gradient = CrossEntropy()(np.array([[0.0, 0.0]]), np.array([1]))
    >>> round(value, 6), gradient
    (0.693147, array([[ 0.5, -0.5]]))
    """

    def __call__(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        shifted = outputs - outputs.max(axis=1, keepdims=True)  # no overflow in exp
        share = np.exp(shifted)
        total = share.sum(axis=1, keepdims=True)
        rows = np.arange(len(outputs))
        value = float((np.log(total[:, 0]) - shifted[rows, targets]).mean())
        share /= total
        share[rows, targets] -= 1.0
        return value, share / len(outputs)


@dataclass(frozen=True)
class MeanSquare:
    """``((outputs − targets) / scale)²``, mean over batch and outputs; targets are ``(k, m)``.

    ``scale`` is a typical size of the targets, such as their standard deviation. It makes the curvature of
    the loss about 1 whatever the network's outputs are, so that one learning rate fits all.

    >>> MeanSquare(scale=2.0)(np.array([[3.0]]), np.array([[1.0]]))
    (1.0, array([[1.]]))
    """

    scale: float = 1.0

    def __post_init__(self):
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale is {self.scale}: it must be finite and above 0")

    def __call__(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        difference = (outputs - targets) / self.scale
        return float((difference**2).mean()), difference * (2.0 / (difference.size * self.scale))
