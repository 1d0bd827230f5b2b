"""How many pieces a network has on an input set, between which values its outputs lie, and how they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from nnequiv.checkpoint import checkpoint_of
from nnequiv.control import Control
from nnequiv.equivalence import check_question
from nnequiv.network import Network
from nnequiv.progress import watched
from nnequiv.reach.choose import choose, named
from nnequiv.reach.engine import Engine, Enumerator, InputSet
from nnequiv.reach.memory import limited
from nnequiv.reach.skeleton import Skeleton
from nnequiv.reach.steps import Event
from nnequiv.relations import output_objectives
from nnequiv.results import Json


@dataclass(frozen=True)
class Regions(Json):
    """Pieces, and the exact range of every output: of f, or of ``f − g`` for a pair.

    Attributes
    ----------
    pieces : int
    lower, upper : tuples of floats, one an output
        Sound: no value of the output lies outside. Tight to rounding.
    seconds : float
    engine : str

    Examples
    --------
    >>> Regions(2, (0.0,), (1.0,), 0.1, "star").to_json()
    '{"pieces": 2, "lower": [0.0], "upper": [1.0], "seconds": 0.1, "engine": "star"}'
    """

    pieces: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    seconds: float
    engine: str

    def _record(self) -> dict:
        return asdict(self)


def survey(
    network: Network | tuple[Network, Network],
    input_set: InputSet,
    engine: str | Engine = "auto",
    *,
    progress: bool | Callable | None = None,
    time_limit: float | None = None,
    executor=None,
    checkpoint=None,
    checkpoint_every: float = 60.0,
    memory_limit: float | None = None,
) -> Regions:
    """Count the pieces and bound the outputs, without keeping any piece.

    Parameters
    ----------
    network : Network, or a pair ``(f, g)``, whose outputs are then ``f − g``
    input_set, engine, progress, time_limit
        As in :func:`nnequiv.enumerate_pieces`.
    executor : concurrent.futures.Executor, optional
        Counts in parts, for the engine "skeleton".
    checkpoint : str or path, optional
        A file that keeps what the parts of the input set gave that are done. If it exists, the survey goes on from it,
        and ends as one that was never stopped would. Only the engine "skeleton" keeps one.
    checkpoint_every : float
        Seconds between two writes.
    memory_limit : float, optional
        As in :func:`nnequiv.max_discrepancy`.

    Returns
    -------
    Regions
        Sound: yes. Complete: yes, but for pieces that hold no ball of 1e-7, which do not count.

    Raises
    ------
    Stopped
        When the time is up: a count of some pieces is no answer.
    ValueError
        If shapes do not fit, the engine does not list pieces, or the checkpoint is of another survey.

    Examples
    --------
    >>> from nnequiv import Box, Network
    >>> absolute = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> regions = survey(absolute, Box([-1.0], [2.0]), engine="star")
    >>> regions.pieces, round(regions.upper[0], 9)
    (2, 2.0)
    """
    networks = network if isinstance(network, tuple) else (network,)
    check_question(networks, input_set, outputs=True)
    chosen, why = choose(engine, networks, [input_set], "pieces")
    if not isinstance(chosen, Enumerator):
        raise ValueError(f"engine {chosen.name!r} does not list pieces: use star, vertices or skeleton")
    if checkpoint is not None and not isinstance(chosen, Skeleton):
        raise ValueError(f"engine {chosen.name!r} keeps no checkpoint of its pieces: use skeleton")
    chosen = limited(chosen, memory_limit)
    objectives = output_objectives(networks[0].n_outputs, pair=len(networks) == 2)
    kept = checkpoint_of(checkpoint, checkpoint_every, networks, input_set, objectives, chosen, 0.0, None)
    with watched(progress, time_limit, executor, kept) as control:
        pieces, lower, upper = _survey(chosen, networks, input_set, control)
    name = f"{named(chosen)} ({why})" if why else named(chosen)
    return Regions(pieces, tuple(map(float, lower)), tuple(map(float, upper)), control.all_seconds, name)


def steps(
    network: Network | tuple[Network, Network],
    input_set: InputSet,
    engine: str | Engine = "star",
    *,
    time_limit: float | None = None,
) -> Iterator[Event]:
    """What the paper's algorithm does on its way to the pieces, one event at a time.

    Parameters
    ----------
    network : Network, or a pair ``(f, g)``
    input_set : Box or Polytope
    engine : "star", or a :class:`nnequiv.Star` with options
        ``Star(intervals=False)`` solves LPs for every neuron, as the paper does.
    time_limit : float, optional
        Seconds; when they are over, :class:`nnequiv.Stopped` is raised.

    Yields
    ------
    Event
        Of :mod:`nnequiv.reach.steps`: a layer entered, a neuron looked at, an LP solved, a neuron stable or the branch
        split, a branch dropped, a piece finished. ``event.text`` says it in a line. The engine lists its pieces by
        running over the same events.

    Raises
    ------
    ValueError
        If the engine is another one, or shapes do not fit.

    Examples
    --------
    >>> from nnequiv import Box, Network
    >>> relu = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    >>> for event in steps(relu, Box([-1.0], [2.0])):
    ...     print(event.text)
    [root] f's layer 0: an affine map to 1 value
    [root] f's layer 0, neuron 0: z = x0, in [-1, 2] over the box
    [root]   LP: max x0 over the box and 0 half-spaces: 2 at (2)
    [root]   LP: min x0 over the box and 0 half-spaces: -1 at (-1)
    [root]   in [-1, 2], split at x0 = 0: [+] now, [-] waits
    [+] f's layer 1: an affine map to 1 value
    [+] piece 0 is finished, outputs x0
    [-] f's layer 1: an affine map to 1 value
    [-] piece 1 is finished, outputs 0
    """
    networks = network if isinstance(network, tuple) else (network,)
    check_question(networks, input_set, outputs=False)
    chosen, _ = choose(engine, networks, [input_set], "pieces")
    if not hasattr(chosen, "steps"):
        raise ValueError(f"engine {chosen.name!r} does not go step by step: use star")
    with watched(None, time_limit) as control:
        yield from chosen.steps(networks, input_set, control)


def _survey(engine, networks, input_set, control: Control) -> tuple[int, np.ndarray, np.ndarray]:
    if hasattr(engine, "survey"):
        return engine.survey(networks, input_set, control)
    pieces = sum(1 for _ in engine.pieces(networks, input_set, control))
    objectives = output_objectives(networks[0].n_outputs, pair=len(networks) == 2)
    most = np.array([engine.maximise(networks, input_set, [o], 0.0, control).upper for o in objectives])
    return pieces, -most[1::2], most[::2]
