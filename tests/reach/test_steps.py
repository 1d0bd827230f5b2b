"""The star search, one event at a time: the events are the engine's own, and they tell the whole story."""

from collections import Counter

import numpy as np
import pytest

from nnequiv import Box, Network, Polytope, Star, Stopped, enumerate_pieces, save, steps
from nnequiv.cli import main
from nnequiv.lp import HighspySolver, margin
from nnequiv.reach.steps import Dropped, Entered, Event, Finished, Looked, Solved, Split, Stable, affine_text
from tests.oracles.random_networks import random_network
from tests.oracles.random_pairs import KINDS, random_pair

FAST = Star(lp="highspy")


def same(one, other) -> bool:
    return (
        np.array_equal(one.pattern, other.pattern)
        and np.array_equal(one.matrix, other.matrix)
        and np.array_equal(one.offset, other.offset)
        and np.array_equal(one.error, other.error)
        and np.array_equal(one.polytope.matrix, other.polytope.matrix)
        and np.array_equal(one.polytope.bound, other.polytope.bound)
    )


@pytest.mark.parametrize("engine", [FAST, Star(lp="highspy", intervals=False)], ids=str)
def test_the_finished_events_are_the_engines_pieces_bit_for_bit(engine):
    for seed in range(2 * len(KINDS)):
        f, g, input_set, kind = random_pair(seed)
        listed = list(enumerate_pieces((f, g), input_set, engine))
        told = [event.piece(input_set.box) for event in steps((f, g), input_set, engine) if isinstance(event, Finished)]
        assert len(listed) == len(told), f"seed {seed} ({kind})"
        assert all(same(a, b) for a, b in zip(listed, told, strict=True)), f"seed {seed} ({kind})"


def rebuilt(input_set, events: list[Event]) -> list[tuple[tuple, np.ndarray, np.ndarray]]:
    """Every piece's pattern and predicate, from the events alone: splits give half-spaces, stable neurons signs."""
    matrix, bound = np.zeros((0, len(input_set.free))), np.zeros(0)
    known, pieces = {"": ((), matrix, bound)}, []
    for event in events:
        signs, matrix, bound = known[event.path]
        if isinstance(event, Stable):
            known[event.path] = ((*signs, event.active), matrix, bound)
        elif isinstance(event, Split):
            for side, sign in (("+", -1.0), ("-", 1.0)):
                rows = np.vstack([matrix, sign * event.row]), np.append(bound, -sign * event.offset)
                known[event.path + side] = ((*signs, side == "+"), *rows)
        elif isinstance(event, Finished):
            pieces.append((signs, matrix, bound))
    return pieces


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_patterns_and_half_spaces_follow_from_the_events_alone(seed):
    f, g, input_set, kind = random_pair(seed)
    if isinstance(input_set, Polytope):
        input_set = input_set.box
    events = list(steps((f, g), input_set, FAST))
    listed = list(enumerate_pieces((f, g), input_set, FAST))
    told = rebuilt(input_set, events)
    where = f"seed {seed} ({kind})"
    assert len(told) == len(listed), where
    for piece, (signs, matrix, bound) in zip(listed, told, strict=True):
        assert piece.pattern.tolist() == list(signs), where
        np.testing.assert_array_equal(piece.polytope.matrix[:, input_set.free], matrix, err_msg=where)
        np.testing.assert_array_equal(piece.polytope.bound, bound, err_msg=where)


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_every_event_is_true(seed):
    """Bounds and LP answers hold at sampled points of the branch; a dropped branch has no interior."""
    f, g, input_set, kind = random_pair(seed)
    rng = np.random.default_rng(seed)
    for event in steps((f, g), input_set, FAST):
        where = f"seed {seed} ({kind}): {event.text}"
        star = event.branch.star
        alpha = star.lower + (star.upper - star.lower) * rng.random((200, len(star.lower)))
        alpha = alpha[(alpha @ star.matrix.T <= star.bound).all(axis=1)]
        if isinstance(event, (Looked, Solved, Stable, Split)):
            z = alpha @ star.basis[event.branch.neuron] + star.center[event.branch.neuron]
            slack = 1e-9 * max(1.0, np.abs(z).max(initial=0.0))
        if isinstance(event, (Looked, Stable, Split)):
            assert event.low <= event.high, where
            assert ((event.low - slack <= z) & (z <= event.high + slack)).all(), where
        elif isinstance(event, Solved):
            assert (event.sign * z <= event.sign * event.value + slack).all(), where
            if event.point is not None:
                reached = star.basis[event.branch.neuron] @ event.point + star.center[event.branch.neuron]
                assert abs(reached - event.value) < 1e-7 * max(1.0, abs(event.value)), where
                np.testing.assert_allclose(event.cost, event.sign * star.basis[event.branch.neuron], err_msg=where)
        elif isinstance(event, Dropped):
            assert margin(HighspySolver(), star.matrix, star.bound, star.lower, star.upper)[0] <= 0, where


def test_the_tree_is_binary_and_its_leaves_are_pieces_or_dropped():
    for seed in range(len(KINDS)):
        f, g, input_set, kind = random_pair(seed)
        events = list(steps((f, g), input_set, FAST))
        inner = [event.path for event in events if isinstance(event, Split)]
        leaves = [event.path for event in events if isinstance(event, (Finished, Dropped))]
        assert len(set(inner)) == len(inner) and len(set(leaves)) == len(leaves), f"seed {seed} ({kind})"
        assert len(leaves) == len(inner) + 1, f"seed {seed} ({kind})"
        nodes = {path + side for path in inner for side in "+-"} | {""}
        assert nodes == set(inner) | set(leaves), f"seed {seed} ({kind})"
        assert [e.number for e in events if isinstance(e, Finished)] == list(
            range(sum(isinstance(e, Finished) for e in events))
        )


def test_without_intervals_every_neuron_asks_for_lps():
    net, box = random_network(np.random.default_rng(0), (2, 4, 3, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    kinds = {engine.intervals: Counter(map(type, steps(net, box, engine))) for engine in (FAST, Star("highspy", False))}
    assert kinds[False][Finished] == kinds[True][Finished]
    assert kinds[False][Solved] >= kinds[False][Looked] > 0
    assert kinds[True][Solved] < kinds[False][Solved]
    assert kinds[True][Entered] == kinds[False][Entered]


def test_texts_name_inputs_as_the_network_counts_them():
    net = Network([([[1.0, 2.0, 3.0]], [0.0]), ([[1.0]], [0.0])])
    texts = [event.text for event in steps(net, Box([0.0, 0.5, -1.0], [0.0, 0.5, 1.0]), FAST)]
    assert texts[1] == "[root] f's layer 0, neuron 0: z = 3 x2 + 1, in [-2, 4] over the box"
    assert any("split at 3 x2 + 1 = 0: [+] now, [-] waits" in text for text in texts)
    assert texts[-1] == "[-] piece 1 is finished, outputs 0"
    assert affine_text([-1.0, 0.5], -2.0, ["a", "b"]) == "-a + 0.5 b - 2"


def test_bad_questions_are_refused():
    net, box = random_network(np.random.default_rng(0), (2, 2, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="engine 'vertices' does not go step by step: use star"):
        next(steps(net, box, "vertices"))
    with pytest.raises(ValueError, match="the input set has 1 inputs, but the network has 2"):
        next(steps(net, Box([0.0], [1.0])))
    with pytest.raises(Stopped, match="time limit"):
        list(steps(net, box, time_limit=0.0))


def test_explain_prints_the_events_before_the_answer(tmp_path, capsys):
    net, box = random_network(np.random.default_rng(0), (2, 3, 1)), Box([-1.0, -1.0], [1.0, 1.0])
    save(net, tmp_path / "f.npz")
    assert main(["regions", str(tmp_path / "f.npz"), "--box=-1:1", "--explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = [event.text for event in steps(net, box)]
    assert lines[: len(expected)] == expected
    assert lines[len(expected)].endswith("pieces of f")
    assert main(["regions", str(tmp_path / "f.npz"), "--box=-1:1", "--explain", "--json", "-"]) == 2
    assert "--explain and --json - both want standard output" in capsys.readouterr().err
