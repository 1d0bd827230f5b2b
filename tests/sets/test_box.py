import numpy as np
import pytest

from nnequiv.sets import Box


def test_a_box_keeps_its_own_copy_and_cannot_be_written_to():
    lower = np.zeros(2)
    box = Box(lower, [1.0, 1.0])
    lower[0] = 0.5
    assert box.lower.tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="read-only"):
        box.upper[0] = 3.0
    with pytest.raises(AttributeError):
        box.lower = lower


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([0.0, 2.0], [1.0, 1.0], r"input 1 has lower 2.0 > upper 1.0"),
        ([0.0, -np.inf], [1.0, 1.0], r"input 1 has bounds \[-inf, 1.0\]: an input set must be bounded"),
        ([np.nan], [1.0], r"input 0 has bounds \[nan, 1.0\]"),
        ([0.0], [1.0, 1.0], r"lower has shape \(1,\) and upper \(2,\)"),
        ([], [], r"n ≥ 1"),
        (0.0, 1.0, r"lower has shape \(\) and upper \(\)"),
        ([[0.0]], [[1.0]], r"lower has shape \(1, 1\)"),
    ],
)
def test_bad_bounds_are_refused(lower, upper, message):
    with pytest.raises(ValueError, match=message):
        Box(lower, upper)


def test_contains_is_exact():
    box = Box([0.0, 1.0], [0.3, 1.0])
    assert box.contains([0.3, 1.0])
    assert not box.contains([np.nextafter(0.3, 1.0), 1.0])
    assert not box.contains([0.1, np.nextafter(1.0, 0.0)])
    assert not box.contains([np.nan, 1.0])


def test_a_point_of_another_shape_is_refused():
    box = Box([0.0, 0.0], [1.0, 1.0])
    for point in ([0.5], [0.5, 0.5, 0.5], [[0.5, 0.5]]):
        with pytest.raises(ValueError, match="but the set has 2 inputs"):
            box.contains(point)


def test_flat_boxes_and_samples():
    box = Box([0.0, 1.0, -1.0], [1.0, 1.0, 1.0])
    assert box.free.tolist() == [0, 2]
    assert box.center.tolist() == [0.5, 1.0, 0.0]
    sample = box.sample(np.random.default_rng(0), 100)
    assert sample.shape == (100, 3)
    assert all(box.contains(point) for point in sample)
    assert (sample[:, 1] == 1.0).all()
    assert box.clip([5.0, 5.0, -5.0]).tolist() == [1.0, 1.0, -1.0]
    assert Box([1.0], [1.0]).free.tolist() == []
    assert box.box is box
    assert [array.shape for array in box.cuts] == [(0, 3), (0,)]


def test_around_a_point():
    assert repr(Box.around([0.5, 0.5], 0.25)) == "Box(lower=[0.25, 0.25], upper=[0.75, 0.75])"
    assert Box.around([0.5, 0.5], [0.25], free=[1]).free.tolist() == [1]
    assert Box.around([0.0, 1.0], 0.5, limits=(0.0, 1.0)).upper.tolist() == [0.5, 1.0]
    with pytest.raises(ValueError, match="lower"):
        Box.around([0.0], -1.0)
