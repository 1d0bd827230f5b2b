"""The three questions: list the pieces, find the discrepancy, decide a relation.

Here the engine is chosen and the result assembled; every algorithm is in :mod:`nnequiv.reach`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from nnequiv.checkpoint import checkpoint_of
from nnequiv.merge import check_pair
from nnequiv.network import Network
from nnequiv.progress import watched
from nnequiv.reach.choose import choose, choose_search, named
from nnequiv.reach.engine import Engine, Enumerator, InputSet, Optimum, Piece
from nnequiv.reach.intervals import check_range
from nnequiv.relations import Relation, discrepancy_objectives
from nnequiv.results import Asked, Discrepancy, Equivalence, Verdict
from nnequiv.rounding import evaluate_exact
from nnequiv.sets import Polytope
from nnequiv.tolerances import TOLERANCE


def enumerate_pieces(
    network: Network | tuple[Network, Network],
    input_set: InputSet,
    engine: str | Engine = "auto",
    *,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
) -> Iterator[Piece]:
    """Every piece of a network, or of a pair ``(f, g)``, one at a time.

    Parameters
    ----------
    network : Network, or a pair of them
        For a pair, pattern and outputs stack f's and g's.
    input_set : Box or Polytope
    engine : str or engine
        One that lists pieces: "star", "vertices", "skeleton", or "auto".
    progress : bool or callable, optional
    time_limit : float, optional
        Seconds; when they are over, :class:`nnequiv.Stopped` is raised, so that a listing is never silently cut.

    Yields
    ------
    Piece
        pattern, matrix, offset, polytope, error. Together the pieces cover the input set.

    Raises
    ------
    ValueError
        If the engine cannot list pieces, or shapes do not fit.

    Examples
    --------
    >>> from nnequiv import Box, Network
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> [p.matrix.item() for p in enumerate_pieces(relu, Box([-1.0], [1.0]), engine="star")]
    [1.0, 0.0]
    """
    networks = network if isinstance(network, tuple) else (network,)
    check_question(networks, input_set, outputs=False)
    chosen, _ = choose(engine, networks, [input_set], "pieces")
    if not isinstance(chosen, Enumerator):
        raise ValueError(f"engine {chosen.name!r} does not list pieces: use star, vertices or skeleton")
    with watched(progress, time_limit) as control:
        yield from chosen.pieces(networks, input_set, control)


def max_discrepancy(
    f: Network,
    g: Network,
    input_set: InputSet,
    engine: str | Engine = "auto",
    tolerance: float = TOLERANCE,
    *,
    outputs: Sequence[int] | None = None,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> Discrepancy:
    """How far apart f and g are on the input set: ``δ_max = max over i and x of |f_i(x) − g_i(x)|``.

    Parameters
    ----------
    f, g : Network
        Equal inputs and outputs, any depths and widths.
    input_set : Box or Polytope
    engine : str or engine
        A name ("auto", "star", "vertices", "skeleton", "branch-and-bound", "milp") or an engine object.
    tolerance : float
        Absolute width of the interval at which the search may end.
    outputs : sequence of int, optional
        Only these outputs: ``outputs=[2]`` gives δ_2.
    progress : bool or callable, optional
        True for a bar on the terminal; a callable gets ``lower=``, ``upper=``, ``pieces=`` … as they change.
    time_limit : float, optional
        Seconds. What is proved so far is returned, with ``reason``; so it is after Ctrl-C.
    executor : concurrent.futures.Executor, optional
        For engines that can use one.
    checkpoint : str or path, optional
        A file that keeps the state of the search, of one input set. If it exists, the search goes on from it, and ends
        as one that was never stopped would: the same interval, witness and counts; ``seconds`` adds up. (With an
        executor no two runs are the same: an interval to the same tolerance.) It may be killed at any moment. Only
        branch and bound keeps one: "auto" then takes it.
    checkpoint_every : float
        Seconds between two writes: as much work is lost at most.
    memory_limit : float, optional
        MB for the whole process, a soft limit: the engine gets the budget that is left after Python itself, takes the
        work in smaller parts, and needs more time. By default the engine's own budget.

    Returns
    -------
    Discrepancy
        Sound: ``lower`` is attained at ``witness``, ``upper`` is proved. Complete: to the tolerance, unless stopped.

    Raises
    ------
    ValueError
        In one line: if shapes do not fit, the input set is empty, a value may be beyond the largest float, the engine
        is not known or cannot take the question, or the checkpoint is of another one.

    Examples
    --------
    >>> from nnequiv import Box, Network
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> half = Network([([[0.5]], [0.5])])
    >>> r = max_discrepancy(relu, half, Box([-3.0], [2.0]), engine="star")
    >>> round(r.lower, 9), r.output, r.witness
    (1.0, 0, (-3.0,))
    """
    return max_discrepancies(
        f,
        g,
        [input_set],
        engine,
        tolerance,
        outputs=outputs,
        progress=progress,
        time_limit=time_limit,
        executor=executor,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        memory_limit=memory_limit,
    )[0]


def max_discrepancies(
    f: Network,
    g: Network,
    input_sets: Sequence[InputSet],
    engine: str | Engine = "auto",
    tolerance: float = TOLERANCE,
    *,
    outputs: Sequence[int] | None = None,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> list[Discrepancy]:
    """:func:`max_discrepancy` on many input sets, in one run where the engine can (repair asks hundreds at a time).

    Parameters
    ----------
    input_sets : sequence of Box or Polytope
    f, g, engine, tolerance, outputs, progress, time_limit, executor, checkpoint, checkpoint_every, memory_limit
        As in :func:`max_discrepancy`; a checkpoint is kept of one input set only.

    Returns
    -------
    list of Discrepancy
        One for each input set, in order.

    Raises
    ------
    ValueError
        As in :func:`max_discrepancy`.

    Examples
    --------
    >>> from nnequiv import Box
    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[0.5]], [0.0])])
    >>> [round(d.upper, 9) for d in max_discrepancies(f, g, [Box([0.0], [1.0]), Box([0.0], [4.0])])]
    [0.5, 2.0]
    """
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance}: it must be at least 0")
    for input_set in input_sets:
        check_question((f, g), input_set, outputs=True)
    if outputs is not None and not all(0 <= i < f.n_outputs for i in outputs):
        raise ValueError(f"outputs is {list(outputs)}, but the networks have outputs 0 to {f.n_outputs - 1}")
    if not input_sets:
        return []
    objectives = discrepancy_objectives(f.n_outputs, outputs)
    if checkpoint is not None and len(input_sets) != 1:
        raise ValueError(f"{len(input_sets)} input sets are given: a checkpoint is kept of one")
    chosen, why = choose_search(engine, (f, g), input_sets, checkpoint, memory_limit)
    kept = checkpoint_of(checkpoint, checkpoint_every, (f, g), input_sets[0], objectives, chosen, tolerance, None)
    with watched(progress, time_limit, executor, kept) as control:
        optima = maximise_each(chosen, (f, g), input_sets, objectives, tolerance, control)
    results = []
    for input_set, (optimum, seconds) in zip(input_sets, optima, strict=True):
        asked = Asked(f, g, input_set, None if outputs is None else tuple(outputs))
        optimum = replace(optimum, lower=max(optimum.lower, 0.0), upper=max(optimum.upper, 0.0))  # δ ≥ 0 always
        results.append(Discrepancy(**evidence(optimum, objectives, chosen, why, seconds, tolerance), asked=asked))
    return results


def check_equivalence(
    f: Network,
    g: Network,
    input_set: InputSet,
    relation: Relation,
    engine: str | Engine = "auto",
    tolerance: float = TOLERANCE,
    *,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> Equivalence:
    """Whether f and g are in the relation everywhere on the input set.

    Parameters
    ----------
    relation : Epsilon, Top1, TopK or Order
    f, g, input_set, engine, tolerance, progress, time_limit, executor, checkpoint, checkpoint_every, memory_limit
        As in :func:`max_discrepancy`.

    Returns
    -------
    Equivalence
        ``EQUIVALENT``: the largest violation is proved to be ≤ 0. ``NOT_EQUIVALENT``: the witness violates the
        relation, in exact arithmetic. ``UNKNOWN``: neither is proved; ``reason`` says why. A relation that holds
        with equality is within rounding of both: ``Vertices(arithmetic="exact")`` decides it.

    Raises
    ------
    ValueError
        In one line: if shapes do not fit, the input set is empty, a value may be beyond the largest float, the engine
        is not known or cannot take the question, or the checkpoint is of another one.

    Examples
    --------
    >>> from nnequiv import Box, Epsilon, Network
    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[1.0]], [0.25])])
    >>> check_equivalence(f, g, Box([0.0], [1.0]), Epsilon(0.3), engine="star").verdict
    <Verdict.EQUIVALENT: 'EQUIVALENT'>
    """
    check_question((f, g), input_set, outputs=True)
    objectives = relation.objectives(f.n_outputs)
    chosen, why = choose_search(engine, (f, g), [input_set], checkpoint, memory_limit)
    kept = checkpoint_of(checkpoint, checkpoint_every, (f, g), input_set, objectives, chosen, tolerance, 0.0)
    with watched(progress, time_limit, executor, kept) as control:
        if objectives:
            optimum = chosen.maximise((f, g), input_set, objectives, tolerance, control, threshold=0.0)
        else:  # one output has no rival
            optimum = Optimum(-np.inf, -np.inf, proof="nothing can violate the relation")
    verdict = decide((f, g), objectives, optimum)
    proved = evidence(optimum, objectives, chosen, why, control.all_seconds, tolerance)
    if verdict is not Verdict.UNKNOWN:
        proved["reason"] = ""  # decided, even if the search was stopped
    elif not proved["reason"]:
        proved["reason"] = (
            f"the largest violation is in [{optimum.lower:.3g}, {optimum.upper:.3g}], on both sides of 0: "
            'a tie within rounding, which engine Vertices(arithmetic="exact") can decide'
        )
    asked = Asked(f, g, input_set, relation)
    return Equivalence(**proved, verdict=verdict, relation=repr(relation), asked=asked)


def decide(networks: Sequence[Network], objectives, optimum: Optimum) -> Verdict:
    """The verdict an optimum proves: a violation is replayed in exact arithmetic before it counts."""
    if optimum.upper <= 0:
        return Verdict.EQUIVALENT
    if optimum.witness is None or optimum.objective is None:
        return Verdict.UNKNOWN
    exact = [value for network in networks for value in evaluate_exact(network, optimum.witness)]
    value = objectives[optimum.objective].exact_value(exact)
    return Verdict.NOT_EQUIVALENT if value is not None and value > 0 else Verdict.UNKNOWN


def check_question(networks, input_set: InputSet, outputs: bool) -> None:
    """Refuse networks and input sets that do not fit, values that overflow, and an input set that is proved empty."""
    for network in networks:
        if not isinstance(network, Network):
            raise ValueError(f"{network!r} is not a Network: a pair is a tuple (f, g)")
    if not isinstance(input_set, InputSet):
        raise ValueError(f"the input set is {input_set!r}: it must be a Box or a Polytope")
    if len(networks) == 2:
        check_pair(*networks, outputs=outputs)
    if input_set.dimension != networks[0].n_inputs:
        raise ValueError(
            f"the input set has {input_set.dimension} inputs, but the network has {networks[0].n_inputs}: "
            "they must be equal"
        )
    for network, name in zip(networks, "fg", strict=False):
        check_range(network, input_set.box, name if len(networks) == 2 else "the network")
    if isinstance(input_set, Polytope):
        input_set.inner_point()  # raises if the set is proved empty


def maximise_each(engine, networks, input_sets, objectives, tolerance, control) -> list[tuple[Optimum, float]]:
    """The largest objective on each input set, in one run where the engine can; and the seconds it took."""
    if hasattr(engine, "maximise_each") and len(input_sets) > 1:
        optima = engine.maximise_each(networks, input_sets, objectives, tolerance, control)
        return [(optimum, control.seconds / len(input_sets)) for optimum in optima]
    results = []
    for input_set in input_sets:
        start = control.seconds
        optimum = engine.maximise(networks, input_set, objectives, tolerance, control)
        results.append((optimum, control.all_seconds - start))
    return results


def evidence(optimum: Optimum, objectives, engine, why: str, seconds: float, tolerance: float) -> dict:
    """What every answer has (:class:`nnequiv.results.Answer`), of an engine's optimum."""
    return dict(
        lower=float(optimum.lower),
        upper=float(optimum.upper),
        output=None if optimum.objective is None else objectives[optimum.objective].output,
        witness=None if optimum.witness is None else tuple(np.asarray(optimum.witness, dtype=float).tolist()),
        pieces=int(optimum.pieces),
        nodes=int(optimum.nodes),
        lps=int(optimum.lps),
        seconds=float(seconds),
        engine=f"{named(engine)} ({why})" if why else named(engine),
        tolerance=float(tolerance),
        proof=optimum.proof,
        reason=optimum.reason,
    )
