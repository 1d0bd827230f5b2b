"""A small part of the great comparison in every run; and that it would see a wrong answer."""

from dataclasses import replace
from fractions import Fraction

import pytest

from nnequiv.reach.vertices import Vertices
from tests.laws.great_comparison import FIRST, compare, judge, relation_of, table
from tests.oracles.random_pairs import random_pair


@pytest.mark.parametrize("count, every", [(22, 4), pytest.param(5_000, 10, marks=pytest.mark.slow)])
def test_no_engine_is_wrong(count, every):
    scores = compare(range(FIRST, FIRST + count), every)
    assert [line for score in scores.values() for line in score.wrong] == [], table(scores)
    assert scores["skeleton"].pairs == count and scores["milp"].pairs == len(range(0, count, every))


class Wrong(Vertices):
    """Says that everything is smaller than it is."""

    def maximise(self, *arguments, **options):
        found = super().maximise(*arguments, **options)
        return replace(found, lower=-1.0, upper=-0.5, witness=None, objective=None)


def test_a_wrong_engine_is_seen():
    seed = FIRST + 1
    f, g, input_set, _ = random_pair(seed)
    score = judge(Wrong(), seed, (f, g), input_set, Fraction(1), relation_of(seed, Fraction(1), 1), holds=False)
    assert len(score.wrong) == 2, score.wrong
