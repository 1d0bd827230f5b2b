"""A search between two steps as plain values and arrays, and back: what a checkpoint keeps.

Kept is all that later steps depend on: the open parts in the order of their heaps, the best witness, what closed parts
add up to, and how parts are split. What follows from the question alone is computed anew. So a search that goes on from
here takes the same steps, bit by bit, as one that was never stopped.
"""

from __future__ import annotations

import numpy as np

from nnequiv.reach.branch_and_bound.frontier import Frontier
from nnequiv.reach.branch_and_bound.input_splitting import InputSplitting
from nnequiv.reach.branch_and_bound.leaves import Leaves
from nnequiv.reach.branch_and_bound.pair_splitting import Group, PairSplitting
from nnequiv.reach.branch_and_bound.question import Best
from nnequiv.reach.branch_and_bound.relu_splitting import ReluSplitting
from nnequiv.reach.branch_and_bound.search import Search

COUNTERS = {"closed": float, "stuck": float, "nodes": int, "lps": int}


def state_of(search: Search, frontier: Frontier) -> tuple[dict, dict[str, np.ndarray]]:
    """Facts and arrays. Only to be taken between two steps: during one, parts are neither open nor closed."""
    best, splits = search.best, frontier.splits
    facts = {name: getattr(search, name) for name in COUNTERS}
    facts |= {"lower": float(best.lower), "objective": None if best.objective is None else int(best.objective)}
    boxes, pairs = splits["boxes"], splits.get("pairs")
    facts["boxes"] = [float(boxes.few), boxes.differential, boxes.finish]
    facts["leaves"] = "leaves" in splits
    groups = [] if pairs is None else pairs.groups
    facts["pairs"] = None if pairs is None else [[int(g.term), bool(g.is_goal), g.objectives.tolist()] for g in groups]
    arrays = {} if best.witness is None else {"witness": np.asarray(best.witness, dtype=np.float64)}
    for kind, queue in frontier.queues.items():
        arrays |= {f"{kind}.{name}": values for name, values in queue.state().items()}
    return facts, arrays


def restored(saved: tuple[dict, dict[str, np.ndarray]], search: Search, frontier: Frontier, few: int) -> dict:
    """Bring a new search and its frontier to a kept state; returns the ways of splitting.

    Raises
    ------
    ValueError
        If it is no state of such a search. That the state is of the same question is for the caller to know.
    """
    facts, arrays = saved
    try:
        best = Best(search.question)
        best.lower, best.objective, best.witness = facts["lower"], facts["objective"], arrays.get("witness")
        if (best.witness is None) != (best.objective is None) or not best.lower < np.inf:
            raise ValueError("a bound without a witness")
        for kind, queue in frontier.queues.items():
            own = {name: values for name, values in arrays.items() if name.startswith(f"{kind}.")}
            queue.restore({name.removeprefix(f"{kind}."): values for name, values in own.items()})
        splits = _splits(facts, search, few)
        if any(len(queue) and kind not in splits for kind, queue in frontier.queues.items()):
            raise ValueError("parts that nothing splits")
        counters = {name: kind(facts[name]) for name, kind in COUNTERS.items()}
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"the checkpoint is damaged: {type(error).__name__}: {error}") from None
    search.best = best
    for name, value in counters.items():
        setattr(search, name, value)
    return splits


def _splits(facts: dict, search: Search, few: int) -> dict:
    many, differential, finish = facts["boxes"]
    splits = {"boxes": InputSplitting(many, differential, finish), "signs": ReluSplitting()}
    if facts["leaves"]:
        splits["leaves"] = Leaves(few)
    if facts["pairs"] is not None:
        pairs = PairSplitting(search)
        pairs.groups = [Group(term, goal, np.array(members, dtype=int)) for term, goal, members in facts["pairs"]]
        splits |= {"pairs": pairs, "signs": ReluSplitting(pairs.pair)}
    return splits
