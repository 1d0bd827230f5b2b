"""MNIST: 70,000 handwritten digits, found in a folder, or downloaded once and checked.

The files are those of Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits" (1998).
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnequiv.datasets import Dataset
from nnequiv.io.files import write_atomically
from nnequiv.io.idx import load_idx, parse_idx

#: The four files, in the order images and labels for training, then for testing, with the SHA-256 of what they unpack
#: to (there are several packings of the same bytes) and their shapes.
FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

#: Where they are downloaded from, if they are nowhere else.
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"

#: Seconds that a download may be silent, and the most bytes one file may have.
SILENCE, MAX_DOWNLOAD = 30.0, 2**24


def mnist(data_dir=None, *, fetch: Callable[[str], bytes] | None = None) -> Dataset:
    """Full MNIST: 60,000 training and 10,000 test images of 28 × 28 pixels in [0, 1].

    Parameters
    ----------
    data_dir : str or path, optional
        A folder with the four IDX files, gzipped or not, or with a folder ``mnist`` that has them. By default the
        environment variable ``NNEQUIV_DATA``, else the user's cache, into which they are downloaded once.
    fetch : callable, optional
        Gets an address and returns the bytes; by default an HTTPS download.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the files are not there and cannot be downloaded, naming the four files; if a download is not MNIST by its
        SHA-256; or if a file is not of MNIST's format, naming it. Other images in that format are taken, and
        ``note`` says so.

    Examples
    --------
    >>> mnist("/nowhere")
    Traceback (most recent call last):
        ...
    ValueError: /nowhere: no folder with MNIST's four files (train-images-idx3-ubyte, train-labels-idx1-ubyte, \
t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; each may end in .gz)
    """
    folder = _named_folder(data_dir) or _cached(fetch or _download)
    paths = {name: _present(folder, name) for name in FILES}
    arrays = {name: load_idx(path) for name, path in paths.items()}
    train, test = (_part(paths, arrays, start) for start in ("train", "t10k"))
    other = [name for name, array in arrays.items() if _sha256(array) != FILES[name]]
    note = f"not the published bytes, by SHA-256: {', '.join(other)}" if other else ""
    return Dataset("mnist", (28, 28), *train, *test, note)


def _part(paths: dict[str, Path], arrays: dict[str, np.ndarray], start: str) -> tuple[np.ndarray, np.ndarray]:
    """Points in [0, 1] and labels of one part; refused unless they are images of 28 × 28 and as many digits."""
    (image_path, images), (label_path, labels) = (
        (paths[name], arrays[name]) for name in FILES if name.startswith(start)
    )
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"{image_path}: shape {images.shape}, but MNIST's images have (k, 28, 28)")
    if labels.shape != (len(images),) or not len(labels):
        raise ValueError(f"{label_path}: shape {labels.shape}, but {image_path} has {len(images)} images")
    if labels.max() > 9:
        raise ValueError(f"{label_path}: label {labels.max()} at {labels.argmax()}, but digits are 0 to 9")
    return np.multiply(images.reshape(len(images), -1), 1 / 255, dtype=np.float64), labels.astype(int)


def _sha256(array: np.ndarray) -> str:
    """Of the IDX file that holds the array, unpacked."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def _named_folder(data_dir) -> Path | None:
    """The folder that was asked for, or that the environment names; None if neither is."""
    named = data_dir if data_dir is not None else os.environ.get("NNEQUIV_DATA")
    if not named:
        return None
    for folder in (Path(named), Path(named) / "mnist"):
        if all(_present(folder, name) for name in FILES):
            return folder
    if data_dir is None:
        return None  # the variable may name a folder with other data only
    raise ValueError(f"{named}: no folder with MNIST's four files ({', '.join(FILES)}; each may end in .gz)")


def _present(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _cached(fetch: Callable[[str], bytes]) -> Path:
    """The user's cache, filled file by file with what is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnequiv" / "mnist"
    for name in FILES:
        if not _present(cache, name):
            _fill(cache, name, fetch)
    return cache


def _fill(cache: Path, name: str, fetch: Callable[[str], bytes]) -> None:
    address = f"{MIRROR}{name}.gz"
    try:
        content = fetch(address)
    except OSError as error:
        raise ValueError(
            f"MNIST is not in --data-dir, NNEQUIV_DATA or {cache}, and {address} cannot be read "
            f"({error}); its files are {', '.join(FILES)}, each may end in .gz"
        ) from None
    found = _sha256(parse_idx(content, f"{name}.gz"))
    if found != FILES[name]:
        raise ValueError(f"{address}: unpacks to SHA-256 {found}, but MNIST's {name} has {FILES[name]}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{cache}: cannot be made ({error.strerror})") from None
    write_atomically(cache / f"{name}.gz", lambda file: file.write(content))


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=SILENCE) as answer:
        content = answer.read(MAX_DOWNLOAD + 1)
    if len(content) > MAX_DOWNLOAD:
        raise OSError(f"over {MAX_DOWNLOAD} bytes")
    return content
