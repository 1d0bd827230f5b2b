"""The paper's repair: retrain g on exact witnesses until f − g lies in the target set over every input set.

Source: Mo et al. 2024 (arXiv 2402.11737), section IV. What is added: half of every batch are data, so that
accuracy away from the input sets is kept; targets are recomputed each round; the optimiser goes on from round
to round; the best round is kept; and "repaired" is said only after a proof from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from nnequiv.batches import Batch, drawn, joined, shuffled
from nnequiv.compression import Compressed
from nnequiv.constraints import Shape
from nnequiv.control import Control, Stopped
from nnequiv.datasets import Dataset
from nnequiv.equivalence import max_discrepancies, watched
from nnequiv.losses import MeanSquare
from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.repair.result import Repair, Round
from nnequiv.results import Discrepancy
from nnequiv.tolerances import TOLERANCE
from nnequiv.training import SGD, TrainingState, WarmupCosine, accuracy

#: Steps between two looks at the clock.
STEPS_AT_ONCE = 50


def repair(
    f: Network,
    g0: Network,
    input_sets: Sequence[InputSet],
    data: Dataset | np.ndarray | None = None,
    target: float = 0.5,
    *,
    rng: np.random.Generator,
    alpha: float = 1.0,
    rounds: int = 10,
    steps: int = 300,
    batch: int = 64,
    sgd: SGD | None = None,
    stop_early: bool = True,
    engine: str | Engine = "auto",
    tolerance: float = TOLERANCE,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
) -> Repair:
    """Retrain g, at its size, on the points where it is farthest from f, until it is near f on every input set.

    A round finds the exact discrepancy and its witness ``x`` on every input set, adds the witnesses to a pool
    with the targets ``g(x) + (f(x) − g(x)) / alpha``, and retrains g on the pool and on the data, under its
    constraint.

    Parameters
    ----------
    f : Network
    g0 : Network
        Usually a :class:`Compressed` one; a plain network keeps its shape.
    input_sets : sequence of Box or Polytope
    data : Dataset or (k, n) array, optional
        Points that fill the other half of each batch, with f's outputs as targets. Of a data set the training
        part.
    target : float
        The target set O is the box ``[−target, target]`` of differences ``f − g``.
    rng : numpy.random.Generator
        Draws the batches; the same state gives the same network.
    alpha : float ≥ 1
        How much of the way to f a target asks for: ``1 / alpha``. 1 asks for all of it, and works best.
    rounds, steps, batch : int
        Rounds at most, SGD steps a round, points a batch.
    sgd : SGD, optional
        By default Nesterov momentum 0.9, gradients clipped to norm 1, and a rate that warms up to 0.3 (0.1 on
        a grid) and falls to 0 over all rounds. The loss is divided by the variance of f's outputs, so the
        rate fits any network.
    stop_early : bool
        Stop at the first round that reaches the target (the paper's rule); else train all rounds.
    engine, tolerance, executor
        As in :func:`nnequiv.max_discrepancy`.
    progress : bool or callable, optional
        True for a line on the terminal; a callable gets ``round=``, ``lower=``, ``upper=``.
    time_limit : float, optional
        Seconds. What is reached so far is returned, not proved, with ``reason``; so it is after Ctrl-C.

    Returns
    -------
    Repair
        Sound: ``proved`` rests on :func:`nnequiv.max_discrepancies` of the returned network, over all input
        sets, run anew. Complete: no; training may fail. Source: Mo et al. 2024, section IV.

    Examples
    --------
    >>> from nnequiv import Box
    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[0.5]], [0.3])])
    >>> out = repair(f, g, [Box([0.0], [1.0])], target=0.01, rng=np.random.default_rng(0))
    >>> out.proved, round(out.history[0].worst[1], 6), out.history[-1].worst[1] <= 0.01
    (True, 0.3, True)
    """
    _check(f, g0, input_sets, target, alpha, rounds, steps, batch)
    search = dict(engine=engine, tolerance=tolerance, executor=executor)
    trainer = WitnessTrainer(f, g0, data, rng, alpha, batch, sgd or default_sgd(g0, rounds * steps))
    history, best, least, proof, reason = [], trainer.network, math.inf, (), ""
    control = Control(None, time_limit)
    with watched(progress, None) as watch:
        look = partial(_look, f, input_sets=input_sets, search=search, control=control)
        try:
            for g, entry in _rounds(trainer, look, data, rounds, steps, control):
                history.append(entry)
                if watch.progress:
                    watch.progress(round=entry.number, lower=entry.worst[0], upper=entry.worst[1])
                if entry.worst[1] < least:
                    best, least = g, entry.worst[1]
                if stop_early and _missed(entry.discrepancies, target) is None:
                    break
            proof = tuple(look(best))  # from scratch: nothing of the search is reused
            reason = _missed(proof, target) or ""
        except (Stopped, KeyboardInterrupt) as stop:
            reason = str(stop) or "interrupted"
    return Repair(best, tuple(history), not reason, proof, float(target), control.seconds, reason)


def default_sgd(g0: Network, steps: int) -> SGD:
    """The optimiser :func:`repair` uses unless given one: one recipe for every network and compression."""
    on_grid = isinstance(g0, Compressed) and g0.constraint.straight_through
    return SGD(WarmupCosine(0.1 if on_grid else 0.3, max(steps, 1)), momentum=0.9, nesterov=True, clip=1.0)


def output_scale(f: Network, points: np.ndarray) -> float:
    """Standard deviation of f's outputs over points, to measure errors in (1 if they are constant)."""
    return float(np.std(f.evaluate(points))) or 1.0


class WitnessTrainer:
    """Trains g on a growing pool of witnesses, half of each batch, and on the data, the other half."""

    def __init__(self, f: Network, g0: Network, data, rng, alpha: float, batch: int, sgd: SGD):
        self.f, self.rng, self.alpha, self.batch, self.sgd = f, rng, alpha, batch, sgd
        self.constraint = g0.constraint if isinstance(g0, Compressed) else Shape(g0.widths)
        self.state = TrainingState(g0, self.constraint)
        self.pool = np.zeros((0, f.n_inputs))
        self.points = self.data_batches = None
        if data is not None:
            self.points = np.asarray(getattr(data, "train_points", data), dtype=np.float64)
            self.data_batches = shuffled(self.points, f.evaluate(self.points), batch - batch // 2, rng)

    @property
    def network(self) -> Compressed:
        return Compressed(self.state.network.layers, self.constraint)

    def add(self, witnesses: np.ndarray) -> None:
        """Put witnesses ``(k, n)`` into the pool."""
        self.pool = np.vstack([self.pool, witnesses.reshape(-1, self.pool.shape[1])])

    def batches(self) -> Iterator[Batch]:
        """Batches with fresh targets: where alpha > 1, those of the last round are out of date."""
        if not len(self.pool):
            raise Stopped("the engine found no witness to train on")
        ours = self.state.network.evaluate(self.pool)
        targets = ours + (self.f.evaluate(self.pool) - ours) / self.alpha
        if self.data_batches is None:
            return drawn(self.pool, targets, self.batch, self.rng)
        return joined(drawn(self.pool, targets, self.batch // 2, self.rng), self.data_batches)

    def train(self, steps: int, control: Control) -> float:
        """One round's training; the mean loss. Raises Stopped when the time is up."""
        loss = MeanSquare(output_scale(self.f, self.pool if self.points is None else self.points))
        batches, total = self.batches(), 0.0
        for start in range(0, steps, STEPS_AT_ONCE):
            control.check()
            count = min(STEPS_AT_ONCE, steps - start)
            total += count * self.sgd.run(self.state, batches, count, loss)
        return total / steps


def _rounds(trainer: WitnessTrainer, look: Callable, data, rounds: int, steps: int, control: Control):
    """The loop itself, without its end: yields g and the round, then trains g on the witnesses."""
    for number in range(rounds + 1):
        started = control.seconds
        loss = trainer.train(steps, control) if number else math.nan
        g = trainer.network
        found = look(g)
        labels = getattr(data, "train_labels", None)
        right = math.nan if labels is None else accuracy(g, data.train_points, labels)
        entry = Round(number, tuple(found), loss, right, control.seconds - started)
        yield g, entry
        trainer.add(entry.witnesses)


def _look(f: Network, g: Network, input_sets, search: dict, control: Control) -> list[Discrepancy]:
    """The exact discrepancy on every input set. Raises Stopped if the engine was stopped before it was done."""
    control.check()
    left = None if control.time_limit is None else max(control.time_limit - control.seconds, 0.0)
    found = max_discrepancies(f, g, input_sets, **search, time_limit=left)
    for discrepancy in found:
        if discrepancy.reason:
            control.check()  # where the time is up, says so of the whole call
            raise Stopped(discrepancy.reason)
    return found


def _missed(found: Sequence[Discrepancy], target: float) -> str | None:
    """Why the reachable sets of ``f − g`` are not proved to lie in the target set; None if they are."""
    worst = max(discrepancy.upper for discrepancy in found)
    return None if worst <= target else f"the discrepancy is up to {worst:.4g}, above the target {target:g}"


def check_target(target: float) -> None:
    """Refuse a target that no difference can be compared with."""
    if not (math.isfinite(target) and target >= 0):
        raise ValueError(f"target is {target}: it must be finite and at least 0")


def _check(f, g0, input_sets, target: float, alpha: float, rounds: int, steps: int, batch: int) -> None:
    check_pair(f, g0)
    if not len(input_sets):
        raise ValueError("repair needs at least one input set, got 0")
    check_target(target)
    if not alpha >= 1:
        raise ValueError(f"alpha is {alpha}: it must be at least 1")
    if rounds < 0 or steps < 1 or batch < 2:
        raise ValueError(f"rounds is {rounds}, steps {steps} and batch {batch}: need at least 0, 1 and 2")
