"""Figures say what they show: units, boxes, networks and seed; the same numbers give the same picture."""

import numpy as np
import pytest

from nnequiv import plot

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
