import numpy as np
import pytest

from nnequiv import Box, Network
from nnequiv.reach.choose import ENGINES, choose, named
from nnequiv.reach.engine import Engine
from nnequiv.reach.milp import Milp
from nnequiv.reach.star import Star
from tests.oracles.random_networks import random_network

NETS, SETS = (Network([([[1.0]], [0.0])]),), [Box([0.0], [1.0])]


def test_every_name_gives_its_engine():
    for name, kind in ENGINES.items():
        engine, why = choose(name, NETS, SETS, "maximum")
        assert type(engine) is kind
        assert isinstance(engine, Engine)
        assert (engine.name, why) == (name, "")


def test_an_object_is_taken_as_it_is():
    star = Star(lp="highspy", intervals=False)
    assert choose(star, NETS, SETS, "maximum") == (star, "")


@pytest.mark.parametrize(
    ("inputs", "hidden", "question", "name"),
    [
        (2, 8, "pieces", "skeleton"),
        (9, 8, "pieces", "star"),
        (2, 8, "maximum", "skeleton"),
        (9, 8, "maximum", "branch-and-bound"),
        (2, 800, "maximum", "branch-and-bound"),
    ],
)
def test_auto_goes_by_free_inputs_and_unstable_neurons_and_says_so(inputs, hidden, question, name):
    net = random_network(np.random.default_rng(0), (inputs, hidden, 1))
    boxes = [Box(np.zeros(inputs), np.zeros(inputs)), Box(-np.ones(inputs), np.ones(inputs))]  # the harder one decides
    engine, why = choose("auto", (net,), boxes, question)
    assert engine.name == name
    assert why.startswith(f"auto: {inputs} free inputs")


def test_unknown_engines_are_refused():
    with pytest.raises(ValueError, match="unknown engine 'strar': choose one of auto, .*; did you mean 'star'?"):
        choose("strar", NETS, SETS, "maximum")
    with pytest.raises(ValueError, match="engine is 3: it must be a name or an engine object"):
        choose(3, NETS, SETS, "maximum")


def test_names_show_what_differs_from_the_defaults():
    assert named(Star()) == "star"
    assert named(Star(lp="highspy", intervals=False)) == "star(lp=highspy, intervals=False)"
    assert named(Milp()) == "milp"
