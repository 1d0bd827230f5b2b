"""Real data: the UCI handwritten digits, in the package.

"Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine Learning Repository
(1998), https://doi.org/10.24432/C50P49, licensed CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/).
The copy here is the repository's test set of 1,797 images, as scikit-learn distributes it, stored as whole
numbers 0 … 16; nothing else was changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, in two parts that share none.

    Attributes
    ----------
    name : str
    image_shape : (height, width)
    train_points, test_points : (k, n) arrays
        One image a row, pixels in [0, 1].
    train_labels, test_labels : (k,) int arrays
    note : str
        What a reader of results must know of the files, if anything.

    Examples
    --------
    >>> images, labels = np.zeros((2, 4)), np.array([0, 1])
    >>> Dataset("mine", (2, 2), images, labels, images, labels).train_points.shape
    (2, 4)
    """

    name: str
    image_shape: tuple[int, int]
    train_points: np.ndarray
    train_labels: np.ndarray
    test_points: np.ndarray
    test_labels: np.ndarray
    note: str = ""


def digits(rng: np.random.Generator, train: int = 1297) -> Dataset:
    """The 1,797 8 × 8 digits, split at random into training and test images.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides the split.
    train : int
        Training images; the others (500 by default) are for testing.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If ``train`` leaves no image on one side.

    Examples
    --------
    >>> data = digits(np.random.default_rng(0))
    >>> data.train_points.shape, data.test_points.shape
    ((1297, 64), (500, 64))
    """
    with (files("nnequiv") / "data" / "digits.npz").open("rb") as file, np.load(file) as stored:
        points, labels = stored["images"] / 16.0, stored["labels"].astype(int)
    if not 0 < train < len(points):
        raise ValueError(f"train is {train}: it must be from 1 to {len(points) - 1}")
    order = rng.permutation(len(points))
    first, second = order[:train], order[train:]
    return Dataset("digits", (8, 8), points[first], labels[first], points[second], labels[second])
