"""The paper's repair: retrain g on exact witnesses until f − g lies in the target set over every input set.

Source: Mo et al. 2024 (arXiv 2402.11737), section IV. What is added: half of every batch are data, so that
accuracy away from the input sets is kept; targets are recomputed each round; the optimiser goes on from round
to round; the best round is kept; the best last layer may follow (:mod:`nnequiv.repair.last_layer`); labels may stand
in for f; and "repaired" is said only after a proof from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from nnequiv.control import Control, Stopped
from nnequiv.datasets import Dataset
from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.progress import watched
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.repair.kept import kept_looks
from nnequiv.repair.last_layer import best_last_layer, check_near
from nnequiv.repair.result import LastLayer, Repair, Round
from nnequiv.repair.target import Target, check_target, target_of
from nnequiv.repair.trainer import WitnessTrainer, default_sgd, output_scale
from nnequiv.results import Answer
from nnequiv.sets import Box, Polytope
from nnequiv.tolerances import TOLERANCE
from nnequiv.training import SGD, accuracy

__all__ = ["METHODS", "check_target", "default_sgd", "output_scale", "repair"]

#: Ways to repair: training, the best last layer over g's hidden layers, or first the one and then the other.
METHODS = ("sgd", "last-layer", "both")


def repair(
    f: Network | Sequence[int],
    g0: Network,
    input_sets: Sequence[InputSet],
    data: Dataset | np.ndarray | None = None,
    target: float | Box | Polytope = 0.5,
    *,
    rng: np.random.Generator,
    method: str = "sgd",
    near: float | None = None,
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
    checkpoint=None,
) -> Repair:
    """Retrain g, at its size, on the points where it is farthest from f, until it is near f on every input set.

    A round finds the exact discrepancy and its witness ``x`` on every input set, adds the witnesses to a pool
    with the targets ``g(x) + (f(x) − g(x)) / alpha``, and retrains g on the pool and on the data, under its
    constraint.

    Parameters
    ----------
    f : Network, or a label for each input set
        Without the original, labels say what g must do: keep the label ahead of every other output, all over its
        input set. Witnesses are then the points where a label leads by least, and the loss is cross-entropy.
    g0 : Network
        Usually a :class:`Compressed` one; a plain network keeps its shape.
    input_sets : sequence of Box or Polytope
    data : Dataset or (k, n) array, optional
        Points that fill the other half of each batch, with f's outputs as targets; with labels a data set, with its
        own. Of a data set the training part.
    target : float, Box or Polytope
        The target set O of differences ``f − g``: the box ``[−target, target]``, or any other. With labels, the margin.
    rng : numpy.random.Generator
        Draws the batches; the same state gives the same network.
    method : {"sgd", "last-layer", "both"}
        Train; or keep the hidden layers and take the best last layer, with a proof that it is
        (:func:`nnequiv.best_last_layer`); or train, and then take the best last layer.
    near : float ≥ 1, optional
        As in :func:`nnequiv.best_last_layer`.
    alpha : float ≥ 1
        How much of the way to f a target asks for: ``1 / alpha``. 1 asks for all of it, and works best.
    rounds, steps, batch : int
        Rounds of training at most, SGD steps a round, points a batch.
    sgd : SGD, optional
        By default Nesterov momentum 0.9, gradients clipped to norm 1, and a rate that warms up to 0.3 (0.1 on
        a grid, or with labels) and falls to 0 over all rounds. The loss is divided by the variance of f's outputs,
        so the rate fits any network.
    stop_early : bool
        Stop training at the first round that reaches the target (the paper's rule); else train all rounds.
    engine, tolerance, executor
        As in :func:`nnequiv.max_discrepancy`.
    progress : bool or callable, optional
        True for a line on the terminal; a callable gets ``round=``, ``lower=``, ``upper=``.
    time_limit : float, optional
        Seconds. What is reached so far is returned, not proved, with ``reason``; so it is after Ctrl-C.
    checkpoint : str or path, optional
        A file that keeps the engine's answers of every round. If it exists, training takes the same steps again, but
        what was measured is not measured again; the result is that of a run that was never killed. The proof at the
        end is always made anew.

    Returns
    -------
    Repair
        Sound: ``proved`` rests on the engine's bounds for the returned network, over all input sets, run anew; and
        ``infeasible`` on the duality of linear programs. Complete: no; training may fail. Source: Mo et al. 2024,
        section IV.

    Examples
    --------
    >>> from nnequiv import Box
    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[0.5]], [0.3])])
    >>> out = repair(f, g, [Box([0.0], [1.0])], target=0.01, rng=np.random.default_rng(0))
    >>> out.proved, round(out.history[0].worst[1], 6), out.history[-1].worst[1] <= 0.01
    (True, 0.3, True)
    """
    wanted = _checked(f, g0, input_sets, target, method, near, alpha, rounds, steps, batch)
    rounds = 0 if method == "last-layer" else rounds
    search = dict(engine=engine, tolerance=tolerance, executor=executor)
    labels = not wanted.partners
    depends = dict(g=g0, data=_arrays(data), the_generator=rng.bit_generator.state, the_engine=[engine, tolerance])
    depends["the_training"] = [method, near, alpha, rounds, steps, batch, sgd, stop_early]
    trainer = WitnessTrainer(wanted, g0, data, rng, alpha, batch, sgd or default_sgd(g0, rounds * steps, labels))
    history, best, least, proof, reason, layer = [], trainer.network, math.inf, (), "", None
    control = Control(None, time_limit)
    with watched(progress, None) as watch:
        look = partial(_look, wanted, input_sets=input_sets, search=search, control=control)
        kept = look if checkpoint is None else kept_looks(look, checkpoint, wanted, input_sets, **depends)
        seen = _rounds(trainer, kept, data, rounds, steps, stop_early, control)
        try:
            for g, entry in seen:
                history.append(entry)
                if watch.progress:
                    watch.progress(round=entry.number, lower=entry.worst[0], upper=entry.worst[1])
                if entry.worst[1] < least:
                    best, least = g, entry.worst[1]
            if method != "sgd":
                layer = _last_layer(f, best, input_sets, target, near, search, control)
                right = _accuracy(layer.network, data)
                history.append(Round(len(history), layer.discrepancies, math.nan, right, layer.seconds))
                best = layer.network if layer.upper < least or near is not None else best
            proof = tuple(look(best))  # from scratch: nothing of the search is reused
            reason = _missed(wanted, proof, layer)
        except (Stopped, KeyboardInterrupt) as stop:
            reason = str(stop) or "interrupted"
    given = tuple(wanted.labels) if labels else None
    return Repair(best, tuple(history), not reason, proof, wanted.given, control.seconds, reason, layer, given)


def _rounds(trainer: WitnessTrainer, look: Callable, data, rounds: int, steps: int, stop_early: bool, control: Control):
    """The loop itself, without its end: yields g and the round, then trains g on the witnesses."""
    target = trainer.teacher.target
    for number in range(rounds + 1):
        started = control.seconds
        loss = trainer.train(steps, control) if number else math.nan
        g = trainer.network
        entry = Round(number, tuple(look(g)), loss, _accuracy(g, data), control.seconds - started)
        yield g, entry
        if stop_early and entry.worst[1] <= target.threshold:
            return
        homes = [k for k, answer in enumerate(entry.discrepancies) if answer.witness is not None]
        trainer.add(entry.witnesses, np.array(homes, dtype=int))


def _last_layer(f, g: Network, input_sets, target, near, search: dict, control: Control) -> LastLayer:
    """The best last layer of g. Raises Stopped if it could not be found and measured in time."""
    limit = None if control.time_limit is None else control.remaining
    layer = best_last_layer(f, g, input_sets, target, near=near, **search, time_limit=limit)
    if not layer.discrepancies:
        control.check()
        raise Stopped(layer.reason)
    return layer


def _accuracy(g: Network, data) -> float:
    """On the training labels; NaN without any."""
    labels = getattr(data, "train_labels", None)
    return math.nan if labels is None else accuracy(g, data.train_points, labels)


def _arrays(data) -> list:
    """What training reads of its data."""
    return (
        [np.asarray(getattr(data, "train_points", data)), np.asarray(getattr(data, "train_labels", ()))]
        if data is not None
        else []
    )


def _look(target: Target, g: Network, input_sets, search: dict, control: Control) -> list[Answer]:
    """The largest value on every input set. Raises Stopped if the engine was stopped before it was done."""
    control.check()
    found = target.look(g, input_sets, search, None if control.time_limit is None else control.remaining)
    for answer in found:
        if answer.reason:
            control.check()  # where the time is up, says so of the whole call
            raise Stopped(answer.reason)
    return found


def _missed(target: Target, found: Sequence[Answer], layer: LastLayer | None) -> str:
    """Why the target is not proved to be reached on every input set; empty if it is."""
    worst = max(answer.upper for answer in found)
    if worst <= target.threshold:
        return ""
    if layer is None or not layer.infeasible:
        return target.missed(worst)
    which = "" if math.isinf(layer.limit) else f" with entries up to {layer.limit:.3g}"
    return f"{target.missed(worst)}; no last layer{which} over these hidden layers reaches it"


def _checked(f, g0, input_sets, target, method: str, near, alpha: float, rounds: int, steps: int, batch: int) -> Target:
    if isinstance(f, Network):
        check_pair(f, g0)
    if not len(input_sets):
        raise ValueError("repair needs at least one input set, got 0")
    wanted = target_of(f, g0, input_sets, target)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: it must be one of {', '.join(METHODS)}")
    if near is not None and method == "sgd":
        raise ValueError(f"near is {near}, but method is 'sgd': only a best last layer can be near to the old one")
    check_near(near, g0)
    if not alpha >= 1:
        raise ValueError(f"alpha is {alpha}: it must be at least 1")
    if alpha != 1 and not wanted.partners:
        raise ValueError(f"alpha is {alpha}, but there is no f to go a part of the way to: labels are all or nothing")
    if rounds < 0 or steps < 1 or batch < 2:
        raise ValueError(f"rounds is {rounds}, steps {steps} and batch {batch}: need at least 0, 1 and 2")
    return wanted
