import json
import math

import numpy as np
import pytest

from nnequiv.relations import Epsilon
from nnequiv.results import Discrepancy, Equivalence, Verdict, plain
from nnequiv.version import VERSION

EVIDENCE = dict(
    lower=0.1 + 0.2,
    upper=1 / 3,
    output=2,
    witness=(0.1, -0.0, 5e-324, 1e300),
    pieces=3,
    nodes=4,
    lps=5,
    seconds=0.25,
    engine="star",
    tolerance=1e-6,
    proof="LP duality",
    reason="",
)


@pytest.mark.parametrize(
    "change",
    [{}, {"upper": math.inf}, {"lower": -math.inf, "upper": -math.inf}, {"witness": None, "output": None}]
    + [{"tolerance": math.inf}, {"reason": 'time limit of "0" s\nreached ≥'}],
)
def test_round_trips_are_exact(change):
    answer = Discrepancy(**EVIDENCE | change)
    assert Discrepancy.from_json(answer.to_json()) == answer
    assert Discrepancy.from_json(answer.to_json(indent=2)) == answer
    for verdict in Verdict:
        answer = Equivalence(**EVIDENCE | change, verdict=verdict, relation=repr(Epsilon(0.05)))
        again = Equivalence.from_json(answer.to_json())
        assert again == answer
        assert again.verdict is verdict


def test_json_is_strict_and_has_the_documented_keys():
    text = Equivalence(**EVIDENCE | {"upper": math.inf, "lower": -math.inf}).to_json()
    record = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert (record["lower"], record["upper"], record["verdict"]) == ("-inf", "inf", "UNKNOWN")
    keys = "verdict lower upper witness output pieces nodes lps seconds engine tolerance version".split()
    for answer in (Discrepancy(**EVIDENCE), Equivalence(**EVIDENCE)):
        assert set(keys) <= set(json.loads(answer.to_json()))
    assert record["version"] == VERSION


def test_plain_takes_arrays_and_enums():
    value = {"a": np.array([[1.0, np.inf]]), 1: (np.float64(2.0), np.int64(3), np.bool_(True)), "v": Verdict.UNKNOWN}
    assert plain(value) == {"a": [[1.0, "inf"]], "1": [2.0, 3, True], "v": "UNKNOWN"}


def test_exact_needs_a_narrow_interval():
    assert Discrepancy(**EVIDENCE | {"lower": 1.0, "upper": 1.0 + 9e-7}).exact
    assert not Discrepancy(**EVIDENCE | {"lower": 1.0, "upper": 1.0 + 2e-6}).exact
    assert not Discrepancy(**EVIDENCE | {"lower": 0.0, "upper": math.inf}).exact
    assert not Discrepancy(**EVIDENCE | {"lower": 0.0, "upper": math.nan}).exact


def test_answers_are_frozen():
    with pytest.raises(AttributeError):
        Discrepancy(**EVIDENCE).upper = 0.0
