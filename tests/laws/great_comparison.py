"""The great comparison: many random pairs, every engine against exact arithmetic. Run it as a program:

``python -m tests.laws.great_comparison --pairs 100000 --processes 2 --out comparison.json``

Each pair (sizes, depth, kind of degeneracy drawn from its seed) is asked for its largest discrepancy and one relation.
``Vertices("exact")`` decides both over whole numbers. An engine is wrong if its interval does not hold the exact
maximum, if a verdict other than UNKNOWN is false, or if it raises. The slow engines get every ``--every``-th pair. A
question that takes over a minute is stopped, and counted as late.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nnequiv import check_equivalence, max_discrepancy
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.milp import Milp
from nnequiv.reach.skeleton import Skeleton
from nnequiv.reach.star import Star
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import Epsilon, Order, Top1, TopK, discrepancy_objectives
from nnequiv.results import Verdict
from tests.oracles.random_pairs import random_pair

FAST = {"vertices": Vertices(), "skeleton": Skeleton(), "branch-and-bound": BranchAndBound()}
SLOW = {"star": Star(lp="highspy"), "milp": Milp()}
EXACT = Vertices("exact")

#: Pairs a task; the seeds of the comparison begin here, above all those of other tests.
CHUNK, FIRST = 100, 10_000_000

#: Seconds for one question.
LIMIT = 60.0


@dataclass
class Score:
    """How one engine did; scores add up."""

    pairs: int = 0
    verdicts: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    widest: float = 0.0
    seconds: float = 0.0

    def __iadd__(self, other: Score) -> Score:
        self.pairs += other.pairs
        self.verdicts.update(other.verdicts)
        self.wrong += other.wrong
        self.late += other.late
        self.widest = max(self.widest, other.widest)
        self.seconds += other.seconds
        return self


def relation_of(seed: int, delta: Fraction, n_outputs: int):
    """One relation: ε around the exact maximum, at any distance from 1e-12 to 1, or one on the order of outputs."""
    rng = np.random.default_rng([seed, 1])
    kind = rng.integers(6)
    if kind < 3 or n_outputs == 1:
        return Epsilon(max(0.0, float(delta) * (1 + rng.choice([-1, 0, 1]) * 10.0 ** -rng.uniform(0, 12))))
    return (Top1(), Top1(float(rng.uniform(0, 1))), TopK(2) if rng.random() < 0.5 else Order(0, n_outputs - 1))[
        kind - 3
    ]


def truth(seed: int, pair, input_set, relation) -> bool:
    """Whether the relation holds, over whole numbers: no objective is above zero anywhere."""
    exact = EXACT.exact_maximum(pair, input_set, relation.objectives(pair[0].n_outputs))
    return exact is None or exact <= 0


def judge(engine, seed: int, pair, input_set, delta: Fraction, relation, holds: bool) -> Score:
    """One engine on one pair."""
    score, started = Score(pairs=1), time.process_time()
    what = f"seed {seed}, {type(engine).__name__}, {relation}"
    try:
        found = max_discrepancy(*pair, input_set, engine, time_limit=LIMIT)
        answer = check_equivalence(*pair, input_set, relation, engine, time_limit=LIMIT)
    except Exception as error:  # the comparison goes on, and says so
        score.wrong.append(f"{what}: {error!r}")
        return score
    score.seconds = time.process_time() - started
    if not found.lower <= delta <= found.upper:
        score.wrong.append(f"{what}: {float(delta)!r} is not in [{found.lower!r}, {found.upper!r}]")
    if answer.verdict is (Verdict.NOT_EQUIVALENT if holds else Verdict.EQUIVALENT):
        score.wrong.append(f"{what}: {answer.verdict.name} is false")
    score.late += [what for one in (found, answer) if one.reason.startswith("time limit")]
    score.verdicts[answer.verdict.name] += 1
    score.widest = found.upper - found.lower
    return score


def compare(seeds: range, every: int) -> dict[str, Score]:
    """The score of every engine on some seeds."""
    scores = {name: Score() for name in FAST | SLOW}
    for seed in seeds:
        f, g, input_set, _ = random_pair(seed)
        delta = EXACT.exact_maximum((f, g), input_set, discrepancy_objectives(f.n_outputs))
        relation = relation_of(seed, delta, f.n_outputs)
        holds = truth(seed, (f, g), input_set, relation)
        for name, engine in (FAST | SLOW if seed % every == 0 else FAST).items():
            scores[name] += judge(engine, seed, (f, g), input_set, delta, relation, holds)
    return scores


def table(scores: dict[str, Score]) -> str:
    heads = ("pairs", "EQUIVALENT", "NOT", "UNKNOWN", "wrong", "late", "widest", "CPU s")
    lines = ["engine".ljust(18) + "".join(head.rjust(max(len(head) + 2, 9)) for head in heads)]
    for name, score in scores.items():
        verdicts = [score.verdicts[verdict.name] for verdict in Verdict]
        counts = [score.pairs, *verdicts, len(score.wrong), len(score.late)]
        cells = [*counts, f"{score.widest:.1e}", f"{score.seconds:.0f}"]
        row = zip(heads, cells, strict=True)
        lines.append(name.ljust(18) + "".join(str(cell).rjust(max(len(head) + 2, 9)) for head, cell in row))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=FIRST, help="first seed")
    parser.add_argument("--every", type=int, default=10, help="star and MILP get every so many-th pair")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the summary as JSON, rewritten every 1,000 pairs")
    options = parser.parse_args()
    chunks = [
        range(first, min(first + CHUNK, options.first + options.pairs))
        for first in range(options.first, options.first + options.pairs, CHUNK)
    ]
    total = {name: Score() for name in FAST | SLOW}
    with ProcessPoolExecutor(options.processes) as executor:
        results = executor.map(compare, chunks, [options.every] * len(chunks))
        for done, scores in enumerate(tqdm(results, total=len(chunks), unit_scale=CHUNK, unit="pair"), 1):
            for name, score in scores.items():
                total[name] += score
            if options.out and (done % 10 == 0 or done == len(chunks)):
                options.out.write_text(json.dumps({name: vars(score) for name, score in total.items()}, indent=1))
    print(table(total))
    wrong = [line for score in total.values() for line in score.wrong]
    late = [line for score in total.values() for line in score.late]
    print(*wrong, f"{len(wrong)} wrong answers", *late, f"{len(late)} late", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
