"""Choosing well what a differential bound leaves free: slopes, shares and multipliers, by a few gradient steps.

Nothing here is trusted: every choice gives a sound bound (:mod:`nnequiv.reach.branch_and_bound.differential`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from nnequiv.reach.branch_and_bound.differential import Choice, Pair, PairLayer, Pass, product

#: First step of slopes and shares, and its decay a step.
RATE, DECAY = 0.25, 0.95

#: Share of the Polyak step taken for multipliers.
POLYAK = 0.5


@dataclass(frozen=True, eq=False)
class Sharpened:
    """The best choices found for B functionals, the values they give in plain floats, and points worth trying.

    ``points (2, B, n)``: the maximiser of the best bound, and the mean maximiser of the later steps.
    """

    value: np.ndarray
    choices: list[Choice]
    points: np.ndarray


def _forward(pair: Pair, done: Pass, choices: list[Choice]):
    """The relaxation's own maximiser, and its values of z_f, z_g and of the gap between D's line and the others."""
    x = pair.center + pair.radius * np.sign(done.slope)
    # Of a network that no step reads, no value is needed.
    yf = x if any(step.f_z.any() for step in done.steps) else 0.0 * x
    yg = x if any(step.g_z.any() for step in done.steps) else 0.0 * x
    values = []
    for k, step in enumerate(reversed(done.steps)):
        f, g = pair.f.layers[k], pair.g.layers[k]
        zf, zg = product(yf, f.weight.T) + f.bias, product(yg, g.weight.T) + g.bias
        hf, hg = step.f_line[0] * zf + step.f_line[1], step.g_line[0] * zg + step.g_line[1]
        gap = step.d_line[0] * (zf - zg) + step.d_line[1] - (hf - hg)
        values.append((zf, zg, gap))
        # Whichever coefficient is the smaller moved to D in whole: its y follows from D and the other's.
        change = choices[k].share * gap * (step.movable != 0)
        from_f = np.abs(step.f_rest) < np.abs(step.g_rest)
        yf, yg = hf + np.where(from_f, change, 0.0), hg - np.where(from_f, 0.0, change)
    return x, values


def _gradients(done: Pass, lines: list[PairLayer], values, signs):
    """Gradients of the bound in every choice, a list over layers of five arrays."""
    result = []
    for k, step in enumerate(reversed(done.steps)):
        zf, zg, gap = values[k]
        own = [
            np.where(lines[k].f_free & (step.f_rest < 0), step.f_rest * zf, 0.0),
            np.where(lines[k].g_free & (step.g_rest < 0), step.g_rest * zg, 0.0),
            step.movable * gap,
        ]
        result.append(own if signs is None else [*own, signs[k][0] * zf, signs[k][1] * zg])
    return result


class _Adam:
    """Moments of the gradients of slopes and shares."""

    def __init__(self, layers: int):
        self.mean, self.square = [[0.0] * 3 for _ in range(layers)], [[0.0] * 3 for _ in range(layers)]

    def step(self, choices: list[Choice], gradients, index: int) -> None:
        for k, choice in enumerate(choices):
            for i, name in enumerate(("f_slope", "g_slope", "share")):
                gradient = gradients[k][i]
                self.mean[k][i] = 0.8 * self.mean[k][i] + 0.2 * gradient
                self.square[k][i] = 0.95 * self.square[k][i] + 0.05 * gradient**2
                mean = self.mean[k][i] / (1 - 0.8 ** (index + 1))
                size = np.sqrt(self.square[k][i] / (1 - 0.95 ** (index + 1))) + 1e-12
                moved = getattr(choice, name) - RATE * DECAY**index * mean / size
                setattr(choice, name, np.clip(moved, 0.0, 1.0))


def _polyak(choices: list[Choice], gradients, excess: np.ndarray) -> None:
    """Move multipliers by the step that would remove ``excess (B,)`` if the bound were linear in them."""
    useful = []
    for choice, gradient in zip(choices, gradients, strict=True):
        pair = zip((choice.f_weight, choice.g_weight), gradient[3:], strict=True)
        useful.append([np.where((weight <= 0) & (slope > 0), 0.0, slope) for weight, slope in pair])
    norm = sum((slope**2).sum(axis=1) for pair in useful for slope in pair)
    length = (POLYAK * excess / (norm + 1e-12))[:, None]
    for choice, (f, g) in zip(choices, useful, strict=True):
        choice.f_weight = np.maximum(choice.f_weight - length * f, 0.0)
        choice.g_weight = np.maximum(choice.g_weight - length * g, 0.0)


def sharpen(
    pair: Pair, cf, cg, constant, lines, choices: list[Choice], signs, target: np.ndarray, steps: int
) -> Sharpened:
    """Improve the bounds of B functionals in a few steps: Adam for slopes and shares, Polyak steps for multipliers.

    Parameters
    ----------
    pair, cf, cg, constant, lines, choices, signs
        As for :meth:`nnequiv.reach.branch_and_bound.differential.Pair.backward`; ``signs`` may be None.
    target : (B,) array
        The value below which a bound closes its part; −inf if there is none yet.
    steps : int
    """
    choices = [Choice(**{f.name: np.array(getattr(c, f.name)) for f in fields(Choice)}) for c in choices]
    adam = _Adam(len(choices))
    best, kept, point, mean = np.full(len(cf), np.inf), None, None, 0.0
    for index in range(steps + 1):
        done = pair.backward(cf, cg, constant, lines, choices, signs)
        x, values = _forward(pair, done, choices)
        better = done.value < best
        best = np.where(better, done.value, best)
        kept = choices if kept is None else _where(better, choices, kept)
        point = x if point is None else np.where(better[:, None], x, point)
        if index >= steps // 2:
            mean = mean + x
        if index == steps:
            break
        choices = [Choice(**{f.name: getattr(c, f.name) for f in fields(Choice)}) for c in choices]
        gradients = _gradients(done, lines, values, signs)
        if signs is not None:
            _polyak(choices, gradients, np.maximum(done.value - np.where(np.isfinite(target), target, np.inf), 0.0))
        adam.step(choices, gradients, index)
    return Sharpened(best, kept, np.array([point, mean / (steps - steps // 2 + 1)]))


def _where(better: np.ndarray, new: list[Choice], old: list[Choice]) -> list[Choice]:
    """New choices for the functionals that got better, else the old ones."""
    pick = better[:, None]
    return [
        Choice(**{f.name: np.where(pick, getattr(a, f.name), getattr(b, f.name)) for f in fields(Choice)})
        if np.ndim(a.f_weight)
        else Choice(*(np.where(pick, getattr(a, n), getattr(b, n)) for n in ("f_slope", "g_slope", "share")))
        for a, b in zip(new, old, strict=True)
    ]
