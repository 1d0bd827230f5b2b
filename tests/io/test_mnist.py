"""MNIST: found where it is, downloaded only with its checksum, and never half taken."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.io.mnist import FILES, MIRROR, mnist


def _idx(array) -> bytes:
    array = np.asarray(array, dtype=np.uint8)
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def _contents(train=5, test=3):
    rng = np.random.default_rng(0)
    made = {}
    for start, count in (("train", train), ("t10k", test)):
        made[f"{start}-images-idx3-ubyte"] = _idx(rng.integers(0, 256, (count, 28, 28)))
        made[f"{start}-labels-idx1-ubyte"] = _idx(np.arange(count) % 10)
    return made


def _write(folder, contents, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NNEQUIV_DATA", raising=False)
    return tmp_path / "cache" / "nnequiv" / "mnist"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inside", [".", "mnist"])
def test_a_folder_is_read(tmp_path, packed, inside):
    contents = _contents()
    _write(tmp_path / inside, contents, packed)
    data = nq.mnist(tmp_path)
    assert data.train_points.shape == (5, 784) and data.test_points.shape == (3, 784)
    assert data.train_labels.tolist() == [0, 1, 2, 3, 4] and data.name == "mnist"
    pixels = np.frombuffer(contents["t10k-images-idx3-ubyte"], np.uint8, offset=16).reshape(3, 784)
    np.testing.assert_array_equal(np.rint(data.test_points * 255), pixels)
    assert data.note.startswith("not the published bytes, by SHA-256: train-images")


def test_the_environment_names_a_folder(tmp_path, cache, monkeypatch):
    _write(tmp_path / "here", _contents())
    monkeypatch.setenv("NNEQUIV_DATA", str(tmp_path / "here"))
    assert len(mnist().test_points) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t10k-labels-idx1-ubyte": _idx([1, 2])}, r"t10k-labels-idx1-ubyte: shape \(2,\), but .* has 3 images"),
        ({"t10k-labels-idx1-ubyte": _idx([1, 12, 2])}, "label 12 at 1, but digits are 0 to 9"),
        ({"train-images-idx3-ubyte": _idx(np.zeros((5, 8, 8)))}, r"shape \(5, 8, 8\), but MNIST's images have"),
        ({"train-images-idx3-ubyte": b"\0\0"}, "train-images-idx3-ubyte: starts with 0000: not an IDX file"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, change, message):
    _write(tmp_path, _contents() | change)
    with pytest.raises(ValueError, match=message):
        mnist(tmp_path)


def test_a_missing_file_is_said(tmp_path, cache):
    contents = _contents()
    del contents["t10k-images-idx3-ubyte"]
    _write(tmp_path / "half", contents)
    with pytest.raises(ValueError, match="half: no folder with MNIST's four files .*t10k-images-idx3-ubyte"):
        mnist(tmp_path / "half")


def test_a_download_goes_into_the_cache_once(cache, monkeypatch):
    contents, asked = _contents(), []
    for name, data in contents.items():
        monkeypatch.setitem(FILES, name, hashlib.sha256(data).hexdigest())

    def fetch(address):
        asked.append(address)
        return gzip.compress(contents[address.removeprefix(MIRROR).removesuffix(".gz")])

    first, again = mnist(fetch=fetch), mnist(fetch=fetch)
    assert asked == [f"{MIRROR}{name}.gz" for name in FILES]
    assert first.note == "" and sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in FILES)
    np.testing.assert_array_equal(first.train_points, again.train_points)


def test_a_download_of_other_bytes_is_refused_and_not_kept(cache):
    with pytest.raises(ValueError, match="unpacks to SHA-256 .*, but MNIST's train-images-idx3-ubyte has"):
        mnist(fetch=lambda address: gzip.compress(_contents()["train-images-idx3-ubyte"]))
    assert not cache.exists() or not os.listdir(cache)


def test_without_a_network_the_four_files_are_named(cache):
    def fetch(address):
        raise OSError("no route")

    with pytest.raises(ValueError, match="no route.*" + ", ".join(FILES)):
        mnist(fetch=fetch)


def test_the_real_files():
    folder = Path(os.environ.get("NNEQUIV_DATA", "")) / "mnist"
    if not folder.is_dir():
        pytest.skip("needs MNIST in NNEQUIV_DATA")
    data = mnist(folder)
    assert data.train_points.shape == (60000, 784) and data.test_points.shape == (10000, 784)
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_points.min() == 0.0 and data.train_points.max() == 1.0
