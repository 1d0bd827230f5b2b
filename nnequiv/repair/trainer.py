"""How repair trains g: batches of witnesses and data, and what their answers should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnequiv.batches import Batch, drawn, joined, shuffled
from nnequiv.compression import Compressed
from nnequiv.constraints import Shape
from nnequiv.control import Control, Stopped
from nnequiv.losses import CrossEntropy, Loss, MeanSquare
from nnequiv.network import Network
from nnequiv.repair.target import Labelled, Target
from nnequiv.training import SGD, TrainingState, WarmupCosine

#: Steps between two looks at the clock.
STEPS_AT_ONCE = 50
#: Peak of the learning rate: towards f's outputs, on a grid, and towards labels.
RATE, GRID_RATE, LABEL_RATE = 0.3, 0.1, 0.1


def default_sgd(g0: Network, steps: int, labels: bool = False) -> SGD:
    """The optimiser repair uses unless given one: one recipe for every network and compression."""
    on_grid = isinstance(g0, Compressed) and g0.constraint.straight_through
    peak = min(GRID_RATE if on_grid else RATE, LABEL_RATE if labels else RATE)
    return SGD(WarmupCosine(peak, max(steps, 1)), momentum=0.9, nesterov=True, clip=1.0)


def output_scale(f: Network, points: np.ndarray) -> float:
    """Standard deviation of f's outputs over points, to measure errors in (1 if they are constant)."""
    return float(np.std(f.evaluate(points))) or 1.0


@dataclass(frozen=True)
class MarginCrossEntropy:
    """Cross-entropy with the label's output lowered by a margin, so that training goes on until it leads by more.

    >>> value, gradient = MarginCrossEntropy(2.0)(np.array([[2.0, 0.0]]), np.array([0]))
    >>> round(value, 6), gradient
    (0.693147, array([[-0.5,  0.5]]))
    """

    margin: float

    def __call__(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        lowered = outputs.copy()
        lowered[np.arange(len(outputs)), targets] -= self.margin
        return CrossEntropy()(lowered, targets)


class Teacher:
    """What g should answer on witnesses and on data, and how a wrong answer is counted."""

    def __init__(self, target: Target, data, alpha: float):
        self.target, self.alpha = target, alpha
        self.points = None if data is None else np.asarray(getattr(data, "train_points", data), dtype=np.float64)
        self.labels = getattr(data, "train_labels", None)
        if isinstance(target, Labelled) and data is not None and self.labels is None:
            raise ValueError("with labels for the input sets, data must have labels too: a Dataset")

    def of_data(self) -> np.ndarray:
        return self.labels if isinstance(self.target, Labelled) else self._wanted(self.points)

    def of_witnesses(self, points: np.ndarray, homes: np.ndarray, g: Network) -> np.ndarray:
        if isinstance(self.target, Labelled):
            return np.asarray(self.target.labels)[homes]
        ours = g.evaluate(points)
        return ours + (self._wanted(points) - ours) / self.alpha

    def loss(self, pool: np.ndarray) -> Loss:
        if isinstance(self.target, Labelled):
            return MarginCrossEntropy(self.target.margin)
        return MeanSquare(output_scale(self.target.f, pool if self.points is None else self.points))

    def _wanted(self, points: np.ndarray) -> np.ndarray:
        return self.target.f.evaluate(points) - self.target.aim


class WitnessTrainer:
    """Trains g on a growing pool of witnesses, half of each batch, and on the data, the other half."""

    def __init__(self, target: Target, g0: Network, data, rng, alpha: float, batch: int, sgd: SGD):
        self.teacher, self.rng, self.batch, self.sgd = Teacher(target, data, alpha), rng, batch, sgd
        self.constraint = g0.constraint if isinstance(g0, Compressed) else Shape(g0.widths)
        self.state = TrainingState(g0, self.constraint)
        self.pool, self.homes = np.zeros((0, g0.n_inputs)), np.zeros(0, dtype=int)
        self.data_batches = None
        if data is not None:
            wanted = self.teacher.of_data()
            self.data_batches = shuffled(self.teacher.points, wanted, batch - batch // 2, rng)

    @property
    def network(self) -> Compressed:
        return Compressed(self.state.network.layers, self.constraint)

    def add(self, witnesses: np.ndarray, homes: np.ndarray) -> None:
        """Put witnesses ``(k, n)`` of the input sets ``homes`` (k,) into the pool."""
        self.pool = np.vstack([self.pool, witnesses.reshape(-1, self.pool.shape[1])])
        self.homes = np.concatenate([self.homes, homes])

    def batches(self) -> Iterator[Batch]:
        """Batches with fresh targets: where alpha > 1, those of the last round are out of date."""
        if not len(self.pool):
            raise Stopped("the engine found no witness to train on")
        targets = self.teacher.of_witnesses(self.pool, self.homes, self.state.network)
        if self.data_batches is None:
            return drawn(self.pool, targets, self.batch, self.rng)
        return joined(drawn(self.pool, targets, self.batch // 2, self.rng), self.data_batches)

    def train(self, steps: int, control: Control) -> float:
        """One round's training; the mean loss. Raises Stopped when the time is up."""
        loss = self.teacher.loss(self.pool)
        batches, total = self.batches(), 0.0
        for start in range(0, steps, STEPS_AT_ONCE):
            control.check()
            count = min(STEPS_AT_ONCE, steps - start)
            total += count * self.sgd.run(self.state, batches, count, loss)
        return total / steps
