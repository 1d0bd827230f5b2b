"""Any small query: no two engines contradict each other, and only equalities between rationals stay undecided."""

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.audit.verify import verify
from nnequiv.io.vnnlib import parse_query
from nnequiv.network import Network

ENGINES = ("auto", nq.Star(lp="highspy"), nq.Vertices(), nq.BranchAndBound(), nq.Milp())


def linear(rng, letter: str, n: int) -> str:
    chosen = rng.choice(n, int(rng.integers(1, n + 1)), replace=False)
    return "(+ 0 " + " ".join(f"(* {rng.integers(-2, 3) / 2} {letter}_{i})" for i in chosen) + ")"


def random_query(seed: int) -> tuple[str, Network]:
    """A network on a coarse grid or not, a box that may be cut, and up to three conjunctions of up to three rows."""
    rng = np.random.default_rng(seed)
    d, m = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    widths = [d, *rng.integers(1, 5, size=rng.integers(0, 3)).tolist(), m]
    pairs = list(zip(widths, widths[1:], strict=False))
    if rng.random() < 0.5:
        layers = [(rng.integers(-2, 3, size=(b, a)) / 2, rng.integers(-2, 3, size=b) / 2) for a, b in pairs]
    else:
        layers = [(rng.normal(size=(b, a)), rng.normal(size=b) * 0.4) for a, b in pairs]
    lines = [f"(declare-const X_{i} Real)" for i in range(d)] + [f"(declare-const Y_{i} Real)" for i in range(m)]
    lines += [f"(assert (and (>= X_{i} -1) (<= X_{i} {rng.integers(0, 3) / 2})))" for i in range(d)]
    if rng.random() < 0.4:
        lines.append(f"(assert (<= {linear(rng, 'X', d)} {rng.integers(0, 3) / 2}))")
    conjunctions = []
    for _ in range(rng.integers(1, 4)):
        relations = rng.choice(["<", "<=", ">", ">=", "="], p=[0.22, 0.22, 0.22, 0.22, 0.12], size=rng.integers(1, 4))
        rows = [f"({relation} {linear(rng, 'Y', m)} {rng.integers(-3, 4) / 2})" for relation in relations]
        conjunctions.append(f"(and {' '.join(rows)})")
    return "\n".join([*lines, f"(assert (or {' '.join(conjunctions)}))"]), Network(layers)


@pytest.mark.parametrize("seed", range(60))
def test_no_two_engines_contradict_each_other(seed):
    text, network = random_query(seed)
    query = parse_query(text)
    answers = [verify(query, {"N": network}, engine) for engine in ENGINES]
    verdicts = {answer.verdict for answer in answers}
    assert not {"sat", "unsat"} <= verdicts, seed
    assert verdicts <= {"sat", "unsat"} or all(a.verdict != "unsat" for a in answers), seed
    assert all(a.rational for a in answers if a.verdict == "unknown"), (seed, answers)
