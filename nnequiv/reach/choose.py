"""Which engine answers: by name, by object, or ``auto`` with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches

from nnequiv.network import Network
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.engine import Engine, InputSet
from nnequiv.reach.intervals import interval_layers
from nnequiv.reach.memory import limited
from nnequiv.reach.milp import Milp
from nnequiv.reach.skeleton import Skeleton
from nnequiv.reach.star import Star
from nnequiv.reach.vertices import Vertices

ENGINES = {engine.name: engine for engine in (Star, Vertices, Skeleton, BranchAndBound, Milp)}

#: Beyond this many free inputs the complex of pieces is out of reach: a vertex lies in 2^inputs of them.
ENUMERABLE_INPUTS = 6
#: With at most this many neurons that can have both signs, listing all pieces takes about a second at most.
FEW_UNSTABLE = 200


def choose(
    engine: str | Engine, networks: Sequence[Network], input_sets: Sequence[InputSet], question: str
) -> tuple[Engine, str]:
    """The engine to use, and why (empty if the caller named it).

    Parameters
    ----------
    question : {"pieces", "maximum"}

    Raises
    ------
    ValueError
        If the name is unknown; names the nearest.
    """
    if not isinstance(engine, str):
        if not isinstance(engine, Engine):
            raise ValueError(f"engine is {engine!r}: it must be a name or an engine object")
        return engine, ""
    check_name(engine)
    return _best(networks, input_sets, question) if engine == "auto" else (ENGINES[engine](), "")


def choose_search(
    engine: str | Engine,
    networks: Sequence[Network],
    input_sets: Sequence[InputSet],
    checkpoint=None,
    memory_limit: float | None = None,
) -> tuple[Engine, str]:
    """The engine for a maximum, as :func:`choose` does; one that keeps checkpoints where one is kept.

    Raises
    ------
    ValueError
        If a checkpoint is kept, and the engine keeps none.
    """
    if checkpoint is not None and engine == "auto":
        return limited(BranchAndBound(), memory_limit), "auto: the engine that keeps a checkpoint"
    chosen, why = choose(engine, networks, input_sets, "maximum")
    if checkpoint is not None and not isinstance(chosen, BranchAndBound):
        raise ValueError(f"engine {chosen.name!r} keeps no checkpoint: use branch-and-bound")
    return limited(chosen, memory_limit), why


def check_name(engine: str) -> None:
    """Refuse a name that is no engine's; say which was meant."""
    names = ["auto", *ENGINES]
    if engine not in names:
        near = get_close_matches(engine, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown engine {engine!r}: choose one of {', '.join(names)}{hint}")


def _best(networks, input_sets, question: str) -> tuple[Engine, str]:
    """Every engine here is exact: ``auto`` never trades proof for speed, it only guesses which is fastest."""
    free = max(len(input_set.free) for input_set in input_sets)
    if question == "pieces":
        if free <= ENUMERABLE_INPUTS:
            return Skeleton(), f"auto: {free} free inputs, all pieces at once"
        return Star(lp="highspy"), f"auto: {free} free inputs, too many for vertices"
    unstable = max(unstable_neurons(networks, input_set) for input_set in input_sets)
    size = f"{free} free inputs, {unstable} unstable neurons"
    if free <= ENUMERABLE_INPUTS and unstable <= FEW_UNSTABLE:
        return Skeleton(), f"auto: {size}, few pieces"
    return BranchAndBound(), f"auto: {size}, too many pieces to list"


def unstable_neurons(networks, input_set: InputSet) -> int:
    """Neurons that interval arithmetic cannot prove to keep their sign."""
    layers = [
        bounds
        for network in networks
        for bounds in interval_layers(network, input_set.box.lower, input_set.box.upper)[:-1]
    ]
    return sum(int(((low < 0) & (high > 0)).sum()) for low, high in layers)


def named(engine: Engine) -> str:
    """``star(lp=highspy)``: the name and the options that differ from the defaults."""
    options = [
        f"{field.name}={getattr(engine, field.name)}"
        for field in fields(engine)
        if getattr(engine, field.name) != field.default
    ]
    return f"{engine.name}({', '.join(options)})" if options else engine.name
