"""Certificates of real answers: every kind of pair, question and input set; saved, loaded, accepted."""

import os

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import NotProved, Statement, certificate, certify, check_certificate
from nnequiv.results import Discrepancy
from tests.oracles.random_pairs import random_pair


def accepted(answer, f, g, where: str) -> None:
    proof = answer.certificate()
    for fast in (False, True):
        report = check_certificate(proof, {"f": f, "g": g}, fast=fast)
        assert report.accepted, f"{where}: {report.text}"


def certify_pair(seed: int) -> None:
    """The discrepancy, and verdicts of relations on both sides of it."""
    f, g, input_set, kind = random_pair(seed)
    where = f"seed {seed}, {kind}"
    answer = nq.max_discrepancy(f, g, input_set, engine="vertices")
    accepted(answer, f, g, where)
    m, rng = f.n_outputs, np.random.default_rng(seed)
    relations = [nq.Epsilon(answer.upper * 1.1 + 1e-3), nq.Epsilon(answer.upper * 0.5), nq.Top1(float(rng.random()))]
    relations += [nq.TopK(min(2, m)), nq.Order(0, m - 1)] if m > 1 else []
    for relation in relations:
        verdict = nq.check_equivalence(f, g, input_set, relation, engine="vertices")
        if verdict.verdict is not nq.Verdict.UNKNOWN and abs(verdict.upper) > 1e-9:
            accepted(verdict, f, g, f"{where}, {relation}")


#: Nearly equal networks: their trees have thousands of leaves.
LARGE = (33, 39)


@pytest.mark.parametrize("seed", [seed for seed in range(50) if seed not in LARGE])
def test_every_answer_on_small_pairs_is_certified(seed):
    certify_pair(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 500, 50))
def test_five_hundred_pairs(first):
    for seed in range(first, first + 50):
        certify_pair(seed)


@pytest.mark.parametrize("name", ["c.json", "c.json.gz"])
def test_saved_and_loaded(tmp_path, name):
    f, g, box, _ = random_pair(0)
    proof = nq.max_discrepancy(f, g, box).certificate()
    proof.save(tmp_path / name)
    assert nq.Certificate.load(tmp_path / name) == proof
    assert check_certificate(tmp_path / name).accepted
    assert os.listdir(tmp_path) == [name]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    proof = nq.Certificate({"format": "x"})
    with pytest.raises(ValueError, match="cannot be written"):
        proof.save(tmp_path / "no folder" / "c.json")
    (tmp_path / "c.json").mkdir()
    with pytest.raises(ValueError, match="cannot be written"):
        proof.save(tmp_path / "c.json")
    assert os.listdir(tmp_path) == ["c.json"]


def test_files_that_are_not_certificates(tmp_path):
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(ValueError, match="no certificate"):
        nq.Certificate.load(tmp_path / "c.json")
    with pytest.raises(ValueError, match="cannot be read"):
        nq.Certificate.load(tmp_path / "d.json")


def test_the_same_answer_gives_the_same_certificate():
    f, g, box, _ = random_pair(22)
    answer = nq.max_discrepancy(f, g, box, engine="vertices")
    assert answer.certificate() == answer.certificate()


def test_a_bound_that_is_false_is_not_proved():
    f, g, box, _ = random_pair(0)
    answer = nq.max_discrepancy(f, g, box, engine="vertices")
    with pytest.raises(NotProved, match="above"):
        certify({"f": f, "g": g}, [Statement(("f", "g"), box, (0,), upper=answer.lower / 2)])


def test_the_time_limit_stops_the_search():
    f, g, box, _ = random_pair(0)
    with pytest.raises(nq.Stopped):
        nq.max_discrepancy(f, g, box).certificate(nq.Control(time_limit=0.0))


def test_nothing_to_certify():
    f, g, box, _ = random_pair(0)
    unknown = nq.check_equivalence(f, g, box, nq.Epsilon(1.0), engine="branch-and-bound", time_limit=0.0)
    if unknown.verdict is nq.Verdict.UNKNOWN:
        with pytest.raises(ValueError, match="UNKNOWN"):
            unknown.certificate()
    answer = nq.max_discrepancy(f, g, box)
    with pytest.raises(ValueError, match="what was asked"):
        Discrepancy.from_json(answer.to_json()).certificate()


def test_a_relation_is_needed_for_a_verdict():
    f, g, box, _ = random_pair(0)
    verdict = nq.check_equivalence(f, g, box, nq.Epsilon(100.0))
    with pytest.raises(ValueError, match="Epsilon"):
        certificate(verdict, f, g, box)


def test_chosen_outputs():
    f, g, box, _ = random_pair(22)
    for i in range(f.n_outputs):
        accepted(nq.max_discrepancy(f, g, box, outputs=[i]), f, g, f"output {i}")


def test_many_claims_in_one_certificate():
    """Before and after a repair: two pairs, two boxes, one file."""
    f, g, box, _ = random_pair(0)
    half = nq.Network([*f.layers[:-1], (f.layers[-1].weight * 0.999, f.layers[-1].bias)])
    statements = []
    for name, other in (("before", g), ("after", half)):
        answer = nq.max_discrepancy(f, other, box, engine="vertices")
        statements.append(Statement(("f", name), box, (0,), upper=answer.upper + 1e-6))
    proof = certify({"f": f, "before": g, "after": half}, statements)
    report = check_certificate(proof, {"f": f, "after": half})
    assert report.accepted and "max |f_i - before_i|" in report.text and "max |f_i - after_i|" in report.text
    assert len(proof.record["networks"]) == 3


def test_a_tie_on_coarse_networks_is_certified_exactly():
    """|x| − |x| computed in two ways: equal everywhere, with kinks, and no rounding that could hide it."""
    f = nq.Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    g = nq.Network([([[-2.0], [2.0]], [0.0, 0.0]), ([[0.5, 0.5]], [0.0])])
    box = nq.Box([-1.0], [1.0])
    proof = certify({"f": f, "g": g}, [Statement(("f", "g"), box, nq.Epsilon(2.0**-30), upper=0.0)])
    assert check_certificate(proof).accepted
