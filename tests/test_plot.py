"""Figures say what they show: units, boxes, networks and seed; the same numbers give the same picture."""

import io

import numpy as np
import pytest
from PIL import Image

from nnequiv import Box, Polytope, Star, enumerate_pieces, max_discrepancy, plot, steps
from nnequiv.plot.polygons import area, polygon_of
from nnequiv.reach.steps import Finished, Split
from tests.oracles.random_networks import random_network

CAPTION = "digits; f 64-32-16-10, g 64-20-10-10; 3 boxes: image ± 0.2 on 4 pixels; seed 0"
BEFORE = np.array([[5.0, 5.0], [2.0, 2.1], [7.0, 7.0]])


def _comparison():
    names = ["f, original", "g, compressed", "labels", "g, repaired"]
    shares = [0.99, 0.92, 0.98, 0.98]
    return plot.comparison_figure(names, shares, [np.nan, 7, 3, 1], [np.nan, 8, 3, 2], 2.0, CAPTION, 3)


def _discrepancy():
    return plot.discrepancy_figure(BEFORE, BEFORE / 4, 2.0, CAPTION)


def _history():
    return plot.history_figure(
        np.arange(3),
        np.array([7.0, 2, 1]),
        np.array([4.0, 1, 0.5]),
        [np.nan, 0.1, 0.05],
        [0.93, 0.99, 1.0],
        2.0,
        CAPTION,
    )


def _witness():
    image = np.linspace(0, 1, 64).reshape(8, 8)
    outputs = {"f": np.arange(10.0), "g before": np.ones(10), "g after": np.arange(10.0) + 0.1}
    return plot.witness_figure(image, image.T, np.array([[1, 2], [3, 4]]), outputs, 9, CAPTION)


FIGURES = [_comparison, _discrepancy, _history, _witness]


@pytest.mark.parametrize("make", FIGURES)
def test_a_figure_is_a_png_with_its_caption_and_the_same_each_time(make):
    figure = make()
    assert figure.get_supxlabel() == CAPTION and figure.get_suptitle()
    content = plot.png(figure)
    assert content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) > 5000
    assert plot.png(make()) == content


@pytest.mark.parametrize("make", [_comparison, _discrepancy, _history])
def test_axes_have_labels_and_units(make):
    for axes in make().axes:
        assert axes.get_xlabel()
    labels = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in make().axes)
    assert "logit units" in labels
    assert "%" in labels or make is _discrepancy


def test_sets_are_ordered_by_what_they_were_before():
    before, after = (line.get_ydata() for line in _discrepancy().axes[0].lines[:2])
    assert before.tolist() == [2.1, 5.0, 7.0]
    np.testing.assert_allclose(after, [2.1 / 4, 5 / 4, 7 / 4])


def test_plotting_leaves_no_global_state():
    import matplotlib.pyplot as pyplot

    _comparison()
    assert pyplot.get_fignums() == []


# Every function on axes: it gives the axes back, draws on the ones it is given, and says what it shows.

SQUARE = Box([-1.0, -1.0], [1.0, 1.0])
F = random_network(np.random.default_rng(0), (2, 4, 3, 2))
G = random_network(np.random.default_rng(1), (2, 3, 2))
EVENTS = list(steps(F, SQUARE, Star(lp="highspy")))
TRACE = plot.Trace([0.0, 0.1, 0.2], [-np.inf, 0.5, 1.0], [np.inf, 3.0, 1.0])
AFTER = BEFORE / 4

ON_AXES = {
    "pieces of a pair": lambda ax: plot.pieces((F, G), SQUARE, ax, seed=0),
    "pieces of a network": lambda ax: plot.pieces(F, SQUARE, ax, output=1, seed=0),
    "partition": lambda ax: plot.partition(F, SQUARE, 2, ax, seed=0),
    "map": lambda ax: plot.discrepancy_map(F, G, SQUARE, max_discrepancy(F, G, SQUARE), ax, seed=0),
    "reachable": lambda ax: plot.reachable_set(F, G, SQUARE, (0, 1), 0.5, ax, seed=0),
    "tree": lambda ax: plot.split_tree(EVENTS, ax, caption=CAPTION),
    "state": lambda ax: plot.search_state(EVENTS[:7], SQUARE, ax, caption=CAPTION),
    "bounds": lambda ax: plot.bounds_over_time({"one": TRACE, "two": TRACE}, ax, caption=CAPTION),
    "gap": lambda ax: plot.gap_over_time(TRACE, ax, caption=CAPTION),
    "history": lambda ax: plot.repair_history([3.0, 2.0], [2.0, 1.0], 1.5, {"labels": 2.5}, ax, caption=CAPTION),
    "by set": lambda ax: plot.discrepancy_by_set(BEFORE, AFTER, 2.0, ax, caption=CAPTION),
    "distribution": lambda ax: plot.discrepancy_distribution({"a": BEFORE, "b": AFTER}, 2.0, ax, caption=CAPTION),
}


@pytest.mark.parametrize("name", ON_AXES)
def test_functions_draw_on_the_axes_they_get_and_caption_their_figure(name):
    first, second = plot.panels(2)
    assert ON_AXES[name](second) is second
    assert second.has_data() and not first.has_data()
    caption = first.figure.get_supxlabel()
    assert caption and ("seed 0" in caption)
    ON_AXES[name](first)
    assert first.figure.get_supxlabel() == caption  # once, however many axes share it
    alone = ON_AXES[name](None)
    assert alone.figure is not first.figure
    assert plot.png(alone.figure) == plot.png(ON_AXES[name](None).figure)


@pytest.mark.parametrize(
    "name", [name for name in ON_AXES if name not in ("tree", "partition", "state", "pieces of a network")]
)
def test_axes_name_their_unit(name):
    figure = ON_AXES[name](None).figure
    labels = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes)
    assert "units)" in labels


def test_pieces_are_coloured_by_the_largest_difference_on_each():
    drawn = plot.pieces((F, G), SQUARE).collections[0]
    answer = max_discrepancy(F, G, SQUARE)
    assert abs(drawn.get_array().max() - answer.upper) < 1e-9
    rng = np.random.default_rng(0)
    for path, value in zip(drawn.get_paths(), drawn.get_array(), strict=True):
        corners = path.vertices[:-1]
        inside = rng.dirichlet(np.ones(len(corners)), 50) @ corners
        assert np.abs(F(inside) - G(inside)).max() <= value + 1e-9
        assert abs(np.abs(F(corners) - G(corners)).max() - value) < 1e-9


def test_polygons_cover_the_input_set_whatever_the_engine():
    areas = []
    for engine in (Star(lp="highspy"), "vertices", "skeleton"):
        found = [polygon_of(piece.polytope) for piece in enumerate_pieces((F, G), SQUARE, engine)]
        areas.append(sum(area(polygon) for polygon in found if len(polygon) > 2))
    np.testing.assert_allclose(areas, 4.0, rtol=1e-9)


def test_a_slice_shows_the_network_on_the_slice():
    f, g = (random_network(np.random.default_rng(k), (4, 5, 1)) for k in (2, 3))
    box = Box(-np.ones(4), np.ones(4))
    answer = max_discrepancy(f, g, box)
    flat = plot.section(box, answer.witness, (1, 3))
    ax = plot.discrepancy_map(f, g, flat, max_discrepancy(f, g, flat))
    assert [ax.get_xlabel(), ax.get_ylabel()] == ["input $x_{1}$", "input $x_{3}$"]
    image = ax.collections[0].get_array()
    assert abs(image.max() - answer.upper) < 1e-2 * answer.upper
    for engine in ("star", "vertices"):
        assert plot.pieces((f, g), flat, engine=engine).get_title() == plot.pieces((f, g), flat).get_title()


def test_the_reachable_set_holds_every_difference():
    ax = plot.reachable_set(F, G, SQUARE)
    paths = ax.collections[0].get_paths()
    points = SQUARE.sample(np.random.default_rng(0), 200)
    for difference in F(points) - G(points):
        assert any(path.contains_point(difference, radius=r) for path in paths for r in (1e-6, -1e-6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plot.pieces(random_network(np.random.default_rng(0), (3, 2, 1)), Box(np.zeros(3), np.ones(3))),
            "3 free",
        ),
        (lambda: plot.partition(F, SQUARE, 3), "layers is 3: it must be from 1 to 2"),
        (lambda: plot.reachable_set(F, G, SQUARE, (0, 5)), r"outputs is \(0, 5\)"),
        (lambda: plot.reachable_set(F, G, SQUARE, target=Box([0.0], [1.0])), "target set has 1 outputs"),
        (lambda: plot.reachable_set(F, G, SQUARE, engine="star"), "no vertices"),
        (lambda: plot.section(SQUARE, [2.0, 0.0], (0, 1)), "not in Box"),
        (lambda: plot.search_state([], SQUARE), "no event"),
        (lambda: plot.animation(EVENTS[:2], SQUARE), "neither a split nor a finished piece"),
        (lambda: plot.bounds_over_time(plot.Trace()), "no finite upper bound"),
        (lambda: plot.image(np.zeros(5), (2, 2)), r"shape \(5,\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_target_sets_of_all_kinds_are_drawn_where_they_are():
    box = Box([-1.0, -0.5], [0.25, 2.0])
    cut = Polytope([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 1.0]], [1.0, 1.0, 1.0, 1.0, 0.5])
    for target, corners in ((0.5, 4), (box, 4), (cut, 5)):
        frame = plot.reachable_set(F, G, SQUARE, target=target).lines[0].get_xydata()
        assert len(frame) == corners + 1
    assert frame.sum(axis=1).max() == 0.5


def test_a_trace_of_a_real_search_closes():
    f, g = (random_network(np.random.default_rng(k), (3, 8, 1)) for k in (4, 5))
    trace = plot.Trace()
    answer = max_discrepancy(f, g, Box(-np.ones(3), np.ones(3)), "branch-and-bound", progress=trace)
    trace.finish(answer)
    ax = plot.bounds_over_time(trace)
    upper, lower = (line.get_ydata() for line in ax.lines)
    assert (np.diff(upper) <= 0).all() and (np.diff(lower) >= 0).all() and (lower <= upper).all()
    assert upper[-1] == answer.upper and lower[-1] == answer.lower


def test_a_trace_that_is_shown_also_writes_everything_down(capsys):
    f, g = (random_network(np.random.default_rng(k), (3, 8, 1)) for k in (4, 5))
    box = Box(-np.ones(3), np.ones(3))
    silent, shown = plot.Trace(), plot.Trace(shown=True)
    max_discrepancy(f, g, box, "branch-and-bound", progress=silent)
    assert capsys.readouterr().err == ""
    answer = max_discrepancy(f, g, box, "branch-and-bound", progress=shown)
    assert (shown.lower, shown.upper) == (silent.lower, silent.upper) and len(shown.lower) > 1
    assert "best" in capsys.readouterr().err and shown.upper[-1] >= answer.lower


def test_a_witness_is_shown_with_what_both_networks_say():
    f, g = (random_network(np.random.default_rng(k), (4, 5, 3)) for k in (2, 3))
    box, point = Box([0.0, 0.0, 0.5, 0.5], [1.0, 1.0, 0.5, 0.5]), np.array([0.0, 1.0, 0.5, 0.5])
    axes = plot.witness_images(f, g, point, (2, 2), box, seed=3)
    assert len(axes[0].patches) == 2  # the free pixels
    for ax, values in zip(axes[1:], (f(point), g(point), f(point) - g(point)), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches[:3]], values)
    assert axes[1].get_ylim() == axes[2].get_ylim()
    assert "seed 3" in axes[0].figure.get_supxlabel()


def test_an_animation_has_a_frame_a_split_and_a_piece():
    frames = Image.open(io.BytesIO(plot.animation(EVENTS, SQUARE, caption=CAPTION)))
    assert frames.n_frames == sum(isinstance(event, (Split, Finished)) for event in EVENTS)
