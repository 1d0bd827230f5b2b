"""Attacks: a changed certificate is refused, or what it says is still true. Nothing hangs or crashes."""

from fractions import Fraction

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.certificate import NotProved, Statement, certificate, certify, check_certificate
from nnequiv.relations import discrepancy_objectives
from tests.certificate.mutations import OF_THE_PROOF, exact_largest, is_true, mutated
from tests.oracles.random_pairs import random_pair

SEEDS = (0, 2, 4, 6, 13, 18, 19, 22, 24, 36)


def records():
    """Valid certificates of different kinds, small ones: the text that names each, and its record."""
    result = []
    for seed in SEEDS:
        f, g, input_set, kind = random_pair(seed)
        answer = nq.max_discrepancy(f, g, input_set, engine="vertices")
        result.append((f"seed {seed}, {kind}", certificate(answer, f, g, input_set).record))
        for relation in (nq.Epsilon(round(answer.upper * 1.2 + 0.01, 3)), nq.Epsilon(answer.upper * 0.7), nq.Top1(0.1)):
            answer = nq.check_equivalence(f, g, input_set, relation, engine="vertices")
            if answer.verdict is not nq.Verdict.UNKNOWN:
                record = certificate(answer, f, g, input_set, relation).record
                result.append((f"seed {seed}, {kind}, {relation}", record))
    return [(name, record) for name, record in result if len(record["claims"][0]["proof"]) < 60]


def attack(count: int, seed: int) -> dict:
    """Changes certificates ``count`` times; of each kind of change, how many were accepted (and true), and all."""
    rng, valid, tally = np.random.default_rng(seed), records(), {}
    for name, record in valid:
        report = check_certificate(nq.Certificate(record))
        assert report.accepted, f"{name}: {report.text}"
    trees = [entry for entry in valid if len(entry[1]["claims"][0]["proof"]) > 2]
    for k in range(count):
        some = trees if rng.random() < 0.7 else valid
        name, record = some[rng.integers(len(some))]
        changed, change = mutated(rng, record)
        report = check_certificate(nq.Certificate(changed), fast=k % 4 == 3)
        accepted, tried = tally.get(change, (0, 0))
        tally[change] = accepted + report.accepted, tried + 1
        if report.accepted:
            claims = changed["claims"]
            true = all(is_true(claim, changed["networks"]) for claim in claims)
            assert true, f"{name}, change {k} with seed {seed}, {change}: accepted, but false: {report.text}"
        else:
            assert report.text.startswith("refused: ") and len(report.text) < 500, report.text
    return tally


def test_changed_certificates_are_refused_or_true():
    tally = attack(250, seed=1)
    assert tally["change_a_weight"][0] == 0, "the SHA-256 must notice"


@pytest.mark.parametrize("seed", range(22))
def test_the_last_float_below_the_maximum_is_never_proved(seed):
    """By the tree of the tightest bound that can be proved, with its multipliers; exactly and in floats."""
    f, g, input_set, kind = random_pair(seed)
    objectives = discrepancy_objectives(f.n_outputs)
    largest = nq.Vertices("exact").exact_maximum((f, g), input_set, objectives)
    below = float(largest)
    below = below if Fraction(below) < largest else float(np.nextafter(below, -np.inf))
    outputs = tuple(range(f.n_outputs))
    for room in (1e-6, 1e-9):
        try:
            proof = certify({"f": f, "g": g}, [Statement(("f", "g"), input_set, outputs, upper=float(largest) + room)])
        except NotProved:
            continue
        proof.record["claims"][0]["upper"] = below.hex()
        for fast in (False, True):
            report = check_certificate(proof, fast=fast)
            assert not report.accepted, f"seed {seed}, {kind}, {room}: {report.text}"


def just_false(record: dict) -> None:
    """Claim the last float below the largest value."""
    claim = record["claims"][0]
    largest = exact_largest(claim, record["networks"])
    below = float(largest)
    below = below if Fraction(below) < largest else float(np.nextafter(below, -np.inf))
    claim.update(lower=None, upper=below.hex())


@pytest.mark.parametrize("seed", range(4))
def test_no_change_of_a_proof_proves_what_is_just_false(seed):
    rng = np.random.default_rng(seed)
    trees = [entry for entry in records() if len(entry[1]["claims"][0]["proof"]) > 2]
    for name, record in trees[seed::4]:
        just_false(record)
        for k in range(30):
            changed, change = mutated(rng, record, OF_THE_PROOF)
            report = check_certificate(nq.Certificate(changed), fast=k % 2 == 1)
            assert not report.accepted, f"{name}, change {k} with seed {seed}, {change}: {report.text}"


@pytest.mark.slow
def test_five_thousand_changes():
    tally = attack(5000, seed=2)
    assert tally["change_a_weight"][0] == 0, "the SHA-256 must notice"
    assert sum(tried for _, tried in tally.values()) == 5000
