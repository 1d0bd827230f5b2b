"""Answers of every engine are certified: boxes and polytopes, distances and relations, proofs and witnesses."""

import pytest

import nnequiv as nq
from nnequiv.certificate import check_certificate
from tests.oracles.random_pairs import KINDS, random_pair

ENGINES = (nq.Star(lp="highspy"), nq.Vertices(), nq.Vertices("exact"), nq.Skeleton(), nq.BranchAndBound(), nq.Milp())

#: One pair of each kind, but for nearly equal networks: their trees have thousands of leaves.
SEEDS = [seed for seed in range(len(KINDS)) if not KINDS[seed].startswith("noise")]


def certified(answer, f, g, where: str) -> None:
    proof = answer.certificate()
    for fast in (False, True):
        report = check_certificate(proof, {"f": f, "g": g}, fast=fast)
        assert report.accepted, f"{where}: {report.text}"
    if isinstance(answer, nq.Equivalence):
        assert f": {answer.verdict.value}: " in report.text, f"{where}: {report.text}"


@pytest.mark.parametrize("engine", ENGINES, ids=repr)
@pytest.mark.parametrize("seed", [pytest.param(seed, marks=pytest.mark.slow if seed % 3 else ()) for seed in SEEDS])
def test_every_engine(engine, seed):
    f, g, input_set, kind = random_pair(seed)
    where = f"seed {seed}, {kind}, {engine}"
    answer = nq.max_discrepancy(f, g, input_set, engine=engine)
    certified(answer, f, g, where)
    relations = [nq.Epsilon(tuple(1.2 * answer.upper + 0.01 * (i + 1) for i in range(f.n_outputs)))]
    relations += [nq.Epsilon(answer.upper * 0.7), nq.Top1(0.3)]
    relations += [nq.TopK(2), nq.Order(0, 1)] if f.n_outputs > 2 else []
    for relation in relations:
        verdict = nq.check_equivalence(f, g, input_set, relation, engine=engine)
        if verdict.verdict is not nq.Verdict.UNKNOWN and abs(verdict.upper) > 1e-6:
            certified(verdict, f, g, f"{where}, {relation}")
