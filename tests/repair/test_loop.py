"""The loop of the paper: what it returns is on its constraint, is the best round, and is proved anew or not at all."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from nnequiv.certificate import check_certificate
from nnequiv.compression import Compressed, Narrow, Prune, Quantize, compress
from nnequiv.equivalence import max_discrepancies
from nnequiv.network import Network
from nnequiv.reach.skeleton import Skeleton
from nnequiv.repair import best_last_layer, repair
from nnequiv.sets import Box, Polytope
from nnequiv.training import he_network

ENGINE = Skeleton()
SETS = [Box([-1.0, -1.0], [0.0, 0.0]), Box([0.0, 0.0], [1.0, 1.0]), Box([-0.5, 0.2], [0.5, 0.2])]


def _network(seed=0, widths=(2, 6, 5, 2)):
    rng = np.random.default_rng(seed)
    return Network((layer.weight, 0.3 * rng.standard_normal(layer.n_out)) for layer in he_network(widths, rng).layers)


def _run(f, g, seed=0, **options):
    options = dict(target=0.5, rounds=4, steps=150, batch=16, engine=ENGINE) | options
    return repair(f, g, SETS, rng=np.random.default_rng(seed), **options)


@dataclass(frozen=True)
class Scripted:
    """An engine that spoils the true answers of its first calls: what a search believed must not reach the proof."""

    spoil: object
    calls: int
    count: list = field(default_factory=lambda: [0])
    name = "scripted"

    def maximise(self, networks, input_set, objectives, tolerance, control, threshold=None):
        self.count[0] += 1
        optimum = ENGINE.maximise(networks, input_set, objectives, tolerance, control, threshold)
        return self.spoil(optimum) if self.count[0] <= self.calls else optimum


@pytest.mark.parametrize("how", [Prune(0.6), Quantize(3), Narrow([4, 4])])
def test_repaired_is_near_f_everywhere_and_on_its_constraint(how):
    f = _network()
    g = compress(f, how)
    out = _run(f, g, rounds=6)
    assert out.proved and out.reason == "" and isinstance(out.network, Compressed)
    assert g.constraint.holds(out.network) and out.network.constraint is g.constraint
    assert out.history[0].worst[1] > 0.5  # there was something to repair
    points = np.vstack([box.sample(np.random.default_rng(1), 4000) for box in SETS])
    assert np.abs(f.evaluate(points) - out.network.evaluate(points)).max() <= 0.5
    assert max(entry.upper for entry in out.discrepancies) <= 0.5
    assert len(out.discrepancies) == len(SETS)


def test_the_proof_is_that_of_the_returned_network():
    f = _network(1)
    out = _run(f, compress(f, Prune(0.6)), target=0.3, stop_early=False)
    again = max_discrepancies(f, out.network, SETS, ENGINE)
    for proof, fresh in zip(out.discrepancies, again, strict=True):
        assert proof.upper == fresh.upper and proof.lower == fresh.lower


def test_the_best_round_is_kept():
    f = _network(2)
    out = _run(f, compress(f, Quantize(2)), target=1e-3, rounds=6)
    best = min(entry.worst[1] for entry in out.history)
    assert len(out.history) == 7 and best < out.history[-1].worst[1]  # the last round is not the best one here
    assert max(entry.upper for entry in out.discrepancies) == best


def test_a_missed_target_is_said_and_not_proved():
    f = _network()
    out = _run(f, compress(f, Prune(0.6)), target=1e-3, rounds=0)
    assert not out.proved and len(out.history) == 1
    assert out.reason == f"the discrepancy is up to {out.history[0].worst[1]:.4g}, above the target 0.001"


def test_it_stops_at_the_first_round_that_reaches_the_target():
    f = _network()
    g = compress(f, Prune(0.6))
    early, full = _run(f, g, rounds=6), _run(f, g, rounds=6, stop_early=False)
    assert early.proved and early.history[-1].worst[1] <= 0.5 < early.history[-2].worst[1]
    assert len(early.history) < len(full.history) == 7
    for a, b in zip(early.history, full.history, strict=False):
        np.testing.assert_array_equal(a.intervals, b.intervals)


def test_a_search_that_was_wrong_is_not_believed():
    f = _network()
    engine = Scripted(lambda optimum: replace(optimum, lower=0.0, upper=0.0), calls=len(SETS))
    out = _run(f, compress(f, Prune(0.6)), engine=engine)
    assert len(out.history) == 1 and out.history[0].worst == (0.0, 0.0)  # it thought that it was done
    assert not out.proved and "above the target 0.5" in out.reason


def test_an_engine_that_does_not_finish_proves_nothing():
    f = _network()
    engine = Scripted(lambda optimum: replace(optimum, reason="interrupted"), calls=100)
    out = _run(f, compress(f, Prune(0.6)), engine=engine)
    assert not out.proved and out.reason == "interrupted" and out.discrepancies == () and out.history == ()


def test_the_same_seed_gives_the_same_network():
    f = _network()
    g = compress(f, Prune(0.6))
    first, second, other = (_run(f, g, seed, data=np.zeros((3, 2))) for seed in (5, 5, 6))
    for a, b in zip(first.network.layers, second.network.layers, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
    assert any((a.weight != b.weight).any() for a, b in zip(first.network.layers, other.network.layers, strict=True))


def test_time_limit_and_interruption_return_what_is_reached():
    f = _network()
    g = compress(f, Prune(0.6))
    out = _run(f, g, time_limit=0.0)
    assert not out.proved and out.reason == "time limit of 0 s reached" and out.history == ()
    np.testing.assert_array_equal(out.network.layers[0].weight, g.layers[0].weight)

    def interrupt(round, lower, upper):
        if round == 1:
            raise KeyboardInterrupt

    out = _run(f, g, target=1e-4, progress=interrupt)
    assert not out.proved and out.reason == "interrupted" and len(out.history) == 2
    assert g.constraint.holds(out.network)


def test_data_keep_the_network_right_away_from_the_input_sets():
    f = _network(2)
    g = compress(f, Narrow([4, 4]))
    data = Box([2.0, 2.0], [3.0, 3.0]).sample(np.random.default_rng(0), 50)

    def error(network):
        return np.abs(f.evaluate(data) - network.evaluate(data)).mean()

    alone, both = _run(f, g, stop_early=False), _run(f, g, data=data, stop_early=False)
    assert error(both.network) < 0.5 * error(alone.network)


def test_alpha_asks_for_a_part_of_the_way_and_gets_there_slower():
    f = _network()
    g = compress(f, Prune(0.6))
    whole, part = (_run(f, g, alpha=alpha, rounds=1, stop_early=False, target=1e-3) for alpha in (1.0, 10.0))
    assert whole.history[1].worst[1] < part.history[1].worst[1] < part.history[0].worst[1]


def test_a_plain_network_keeps_its_shape():
    f = _network()
    g = _network(9, (2, 4, 2))  # another depth
    out = _run(f, g, target=0.6, rounds=8, steps=200)
    assert out.network.widths == g.widths and out.proved


def test_identical_networks_are_proved_at_once():
    f = _network()
    out = _run(f, Network(f.layers), target=1e-6)
    assert out.proved and len(out.history) == 1


@pytest.mark.parametrize("how", [Prune(0.6), Quantize(4), Narrow([4, 4])])
def test_both_is_at_least_as_near_as_training_alone(how):
    f = _network()
    g = compress(f, how)
    alone, both = (_run(f, g, method=method, target=1e-3) for method in ("sgd", "both"))
    assert [entry.worst for entry in both.history[:-1]] == [entry.worst for entry in alone.history]
    worst = max(entry.upper for entry in both.discrepancies)
    assert worst <= min(entry.worst[1] for entry in alone.history) and g.constraint.holds(both.network)
    assert both.last_layer.lower_bound <= worst and both.infeasible and "no last layer" in both.reason
    if not isinstance(how, Quantize):
        assert both.last_layer.optimal and worst == pytest.approx(both.last_layer.lower_bound, rel=1e-6)


def test_the_last_layer_alone_keeps_the_hidden_layers():
    f = _network()
    g = compress(f, Prune(0.6))
    best = best_last_layer(f, g, SETS)
    out = _run(f, g, method="last-layer", target=1.01 * best.upper)
    assert out.proved and len(out.history) == 2 and np.isnan(out.history[1].loss)
    for old, new in zip(g.hidden, out.network.hidden, strict=True):
        np.testing.assert_array_equal(old.weight, new.weight)
    assert max(entry.upper for entry in out.discrepancies) == pytest.approx(best.upper, rel=1e-6)
    assert check_certificate(out.certificate()).accepted
    near = _run(f, g, method="last-layer", target=1.3 * best.upper, near=1.2)
    assert near.proved and max(entry.upper for entry in near.discrepancies) > 1.1 * best.upper


def test_a_last_layer_that_was_not_finished_proves_nothing():
    f = _network()
    engine = Scripted(lambda optimum: replace(optimum, reason="interrupted"), calls=10**6)
    out = _run(f, compress(f, Prune(0.6)), engine=engine, method="last-layer")
    assert not out.proved and out.reason == "interrupted" and out.last_layer is None


@pytest.mark.parametrize("method", ["sgd", "last-layer", "both"])
def test_a_set_of_differences_that_is_not_around_zero(method):
    f = _network()
    wanted = Polytope([[1.0, 1.0]], [0.9], Box([0.1, -0.2], [0.9, 0.6]))  # 0 is not in it
    out = _run(f, compress(f, Narrow([5, 5])), target=wanted, method=method, rounds=8)
    points = np.vstack([box.sample(np.random.default_rng(1), 2000) for box in SETS])
    difference = f.evaluate(points) - out.network.evaluate(points)
    rows = np.column_stack([difference - [0.9, 0.6], [0.1, -0.2] - difference, difference.sum(axis=1) - 0.9])
    worst = max(entry.upper for entry in out.discrepancies)
    assert rows.max() <= worst and out.proved == (worst <= 0.0)
    assert worst < out.history[0].worst[1]
    assert out.proved or method == "last-layer"
    with pytest.raises(ValueError, match="not proved|another target"):
        out.certificate()
    assert json.loads(out.to_json())["target"]["bound"] == [0.9]


@pytest.mark.parametrize("method", ["sgd", "last-layer", "both"])
def test_labels_stand_in_for_f(method):
    labels, margin = [0, 1, 0], 0.3
    g = _network(4)
    sets = [Box([-2.0, -1.0], [-1.0, 0.0]), Box([1.0, 0.0], [2.0, 1.0]), Box([-1.5, 2.0], [-1.0, 2.0])]
    out = repair(labels, g, sets, target=margin, rng=np.random.default_rng(0), method=method, steps=100, batch=16)
    assert out.history[0].worst[1] > 0 and out.proved and out.labels == (0, 1, 0), out.reason
    for box, label in zip(sets, labels, strict=True):
        scores = out.network.evaluate(box.sample(np.random.default_rng(1), 2000))
        assert (scores[:, label] - scores[:, 1 - label]).min() >= margin
    record = json.loads(out.to_json())
    assert record["labels"] == labels and (record["last_layer"] is None) == (method == "sgd")


def test_contradicting_labels_are_missed_and_said_so():
    g, box = _network(4), Box([-1.0, -1.0], [1.0, 1.0])
    out = repair([0, 1], g, [box, box], target=0.5, rng=np.random.default_rng(0), method="both", rounds=1, steps=50)
    assert not out.proved and out.infeasible
    assert out.reason.startswith("a label is kept by a margin of only")


def test_json_holds_the_history():
    f = _network()
    out = _run(f, compress(f, Prune(0.6)), target=1e-3, rounds=1)
    record = json.loads(out.to_json())
    assert record["proved"] is False and record["target"] == 1e-3 and record["reason"] == out.reason
    assert [entry["round"] for entry in record["history"]] == [0, 1]
    assert np.array(record["history"][1]["intervals"]).shape == (3, 2)
    assert np.array(record["history"][0]["witnesses"]).shape == (3, 2)
    assert record["discrepancies"][0]["upper"] == out.discrepancies[0].upper


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(input_sets=[]), "at least one input set"),
        (dict(target=-1.0), "target is -1.0"),
        (dict(target=float("nan")), "target is nan"),
        (dict(alpha=0.5), "alpha is 0.5"),
        (dict(rounds=-1), "rounds is -1"),
        (dict(steps=0), "steps 0"),
        (dict(batch=1), "batch 1: need at least 0, 1 and 2"),
        (dict(g0=_network(0, (3, 2))), "f has 2 inputs, but g has 3"),
        (dict(input_sets=[Box([0.0], [1.0])]), "the input set has 1 inputs"),
        (dict(data=np.zeros((2, 5))), "points have shape"),
        (dict(engine="stars"), "unknown engine 'stars'"),
        (dict(method="adam"), "method is 'adam'"),
        (dict(near=1.1), "method is 'sgd'"),
        (dict(f=[0, 1, 0], alpha=2.0), "there is no f to go a part of the way to"),
        (dict(f=[0, 1, 0], data=np.zeros((2, 2))), "data must have labels too"),
        (dict(f=[0, 1]), "one label for each input set: 3 are needed"),
    ],
)
def test_bad_input_is_refused(options, message):
    arguments = dict(f=_network(), g0=_network(1), input_sets=SETS, rng=np.random.default_rng(0)) | options
    with pytest.raises(ValueError, match=message):
        repair(**arguments)
