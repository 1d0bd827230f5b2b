"""The stages: input sets where f − g is steepest, controls on the constraint, agreement by proof."""

import numpy as np
import pytest

from nnequiv.compression import Prune, compress
from nnequiv.datasets import Dataset
from nnequiv.network import Network
from nnequiv.pipeline import (
    CONTROLS,
    Recipe,
    agreement,
    compress_to,
    corners,
    measure,
    sensitive_boxes,
    strengths,
    train_control,
    train_original,
    worst,
)
from nnequiv.reach.skeleton import Skeleton
from nnequiv.sets import Box
from nnequiv.training import accuracy, he_network

ENGINE = Skeleton()
RECIPE = Recipe(hidden=(8,), steps=1500, batch=16, noise=0.0, sets=4, free=2, rounds=2, round_steps=30)


def _data(seed=0, count=200):
    """Points in the unit square, three classes by where they lie."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 4))
    labels = (points[:, 0] > 0.5).astype(int) + (points[:, 1] > 0.5)
    half = count // 2
    return Dataset("squares", (2, 2), points[:half], labels[:half], points[half:], labels[half:])


def _pair():
    data = _data()
    f = train_original(data, RECIPE, np.random.default_rng(1))
    return f, compress(f, Prune(0.5)), data


def test_the_original_learns():
    f, _, data = _pair()
    assert f.widths == (4, 8, 3) and accuracy(f, data.test_points, data.test_labels) >= 0.9


@pytest.mark.parametrize("kind", ["narrow", "prune", "quantize"])
def test_strength_is_chosen_on_training_images(kind):
    f, _, data = _pair()
    g, how = compress_to(f, kind, data, 0.07)
    goal = accuracy(f, data.train_points, data.train_labels) - 0.07
    misses = [
        abs(accuracy(compress(f, other), data.train_points, data.train_labels) - goal) for other in strengths(f, kind)
    ]
    assert abs(accuracy(g, data.train_points, data.train_labels) - goal) == min(misses)
    assert repr(how) in map(repr, strengths(f, kind))


def test_an_unknown_compression_is_refused():
    with pytest.raises(ValueError, match="compression is 'shrink': choose one of narrow, prune, quantize"):
        strengths(_pair()[0], "shrink")


def test_boxes_are_free_where_the_difference_is_steepest():
    f = Network([([[3.0, 0.0, -5.0, 1.0]], [0.0])])
    g = Network([([[0.0, 0.0, 0.0, 0.9]], [0.0])])
    (box,) = sensitive_boxes(f, g, np.array([[0.5, 0.5, 0.1, 0.5]]), 2, 0.2)
    assert box.free.tolist() == [0, 2]
    np.testing.assert_allclose(box.lower, [0.3, 0.5, 0.0, 0.5])
    np.testing.assert_allclose(box.upper, [0.7, 0.5, 0.3, 0.5])


def test_corners_are_corners_of_the_boxes_with_outputs_of_f():
    f, _, _ = _pair()
    box = Box([0.0, 0.2, 0.4, 0.5], [0.1, 0.2, 0.6, 0.5])
    points, outputs = next(corners([box], f, 50, np.random.default_rng(0)))
    assert np.all((points == box.lower) | (points == box.upper)) and len(np.unique(points, axis=0)) == 4
    np.testing.assert_array_equal(outputs, f.evaluate(points))


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_keep_the_constraint_and_are_the_seeds(name):
    f, g, data = _pair()
    boxes = sensitive_boxes(f, g, data.train_points[:4], 2, 0.1)
    first, second = (train_control(name, f, g, boxes, data, RECIPE, np.random.default_rng(3)) for _ in range(2))
    assert g.constraint.holds(first)
    np.testing.assert_array_equal(first.layers[0].weight, second.layers[0].weight)
    assert not np.array_equal(first.layers[0].weight, g.layers[0].weight)


def test_an_unknown_control_is_refused():
    f, g, data = _pair()
    with pytest.raises(ValueError, match="control is 'magic'"):
        train_control("magic", f, g, [], data, RECIPE, np.random.default_rng(0))


def test_agreement_counts_the_sets_with_a_proof():
    f = Network([(np.eye(2), [0.0, 0.0])])  # class 0 iff x0 > x1
    g = Network([(np.eye(2), [0.5, 0.0])])  # class 0 iff x0 > x1 − 0.5
    apart, between = Box([0.0, 0.8], [0.2, 1.0]), Box([0.4, 0.6], [0.5, 0.7])
    assert agreement(f, f, [apart, between], ENGINE) == 1.0
    assert agreement(f, g, [apart, between, between], ENGINE) == pytest.approx(1 / 3)


def test_measuring_uses_what_is_known():
    f, g, data = _pair()
    boxes = sensitive_boxes(f, g, data.train_points[:4], 2, 0.1)
    first = measure(f, g, boxes[:2], boxes[2:], data, ENGINE)
    again = measure(f, g, boxes[:2], boxes[2:], data, ENGINE, known=first.sets)
    assert again.sets == first.sets and len(first.heldout) == 2
    lower, upper = worst(first.sets)
    assert 0 < lower <= upper == max(entry.upper for entry in first.sets)
    assert first.accuracy == accuracy(g, data.test_points, data.test_labels) and first.size.nonzeros < 67


def test_the_default_recipe_is_the_one_in_the_report():
    recipe = Recipe()
    assert (recipe.hidden, recipe.sets, recipe.free, recipe.radius) == ((32, 16), 150, 4, 0.2)
    assert he_network([64, *recipe.hidden, 10], np.random.default_rng(0)).n_hidden == 48
