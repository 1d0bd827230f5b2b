import numpy as np
import pytest

from nnequiv.datasets import digits


def test_digits_are_all_there_once():
    data = digits(np.random.default_rng(0))
    assert data.train_points.shape == (1297, 64) and data.test_points.shape == (500, 64)
    assert data.image_shape == (8, 8)
    labels = np.concatenate([data.train_labels, data.test_labels])
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    points = np.concatenate([data.train_points, data.test_points])
    assert len(np.unique(points, axis=0)) == 1797  # no two images are equal, so none is in both parts
    assert points.min() == 0.0 and points.max() == 1.0
    np.testing.assert_array_equal(points * 16, np.rint(points * 16))


def test_the_split_is_the_seeds():
    first, again, other = (digits(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.test_points, again.test_points)
    np.testing.assert_array_equal(first.train_labels, again.train_labels)
    assert not np.array_equal(first.test_points, other.test_points)


@pytest.mark.parametrize("train", [0, 1797])
def test_an_empty_part_is_refused(train):
    with pytest.raises(ValueError, match=f"train is {train}: it must be from 1 to 1796"):
        digits(np.random.default_rng(0), train=train)
