"""The library's own format: bit for bit, nothing executed, the whole file or none."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from nnequiv.io.files import write_atomically
from nnequiv.io.npz import load_npz, save_npz
from nnequiv.network import Network


def net(seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    return Network([(rng.normal(size=(4, 3)), rng.normal(size=4)), (rng.normal(size=(2, 4)), rng.normal(size=2))])


def same_bits(a: Network, b: Network) -> bool:
    return a.widths == b.widths and all(
        x.weight.tobytes() == y.weight.tobytes() and x.bias.tobytes() == y.bias.tobytes()
        for x, y in zip(a.layers, b.layers, strict=True)
    )


def test_round_trip_is_bit_for_bit(tmp_path):
    special = Network([([[-0.0, 5e-324, 1.7976931348623157e308]], [np.nextafter(1, 2)])])
    for network in (net(), special):
        save_npz(network, tmp_path / "net.npz")
        assert same_bits(load_npz(tmp_path / "net.npz"), network)


def test_shorter_floats_keep_their_values(tmp_path):
    for kind in (np.float16, np.float32):
        weight = np.array([[0.1, -3.0]], dtype=kind)
        np.savez(tmp_path / "net.npz", weight_0=weight, bias_0=np.array([0.7], dtype=kind))
        assert np.array_equal(load_npz(tmp_path / "net.npz").layers[0].weight, weight.astype(np.float64))


def test_every_truncation_is_refused_by_name(tmp_path):
    save_npz(net(), tmp_path / "net.npz")
    data = (tmp_path / "net.npz").read_bytes()
    for length in range(0, len(data) - 1, 37):
        (tmp_path / "cut.npz").write_bytes(data[:length])
        with pytest.raises(ValueError, match="cut.npz") as refusal:
            load_npz(tmp_path / "cut.npz")
        assert "\n" not in str(refusal.value), length


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({}, "holds 0 arrays"),
        ({"weight_0": np.eye(2)}, "holds 1 arrays"),
        ({"weight_0": np.eye(2), "bias_1": np.zeros(2)}, "no array bias_0"),
        ({"weight_0": np.eye(2), "bias_0": np.zeros(3)}, r"layer 0: bias has shape \(3,\)"),
        ({"weight_0": np.eye(2) * np.nan, "bias_0": np.zeros(2)}, r"weight\[0, 0\] is nan"),
        ({"weight_0": np.eye(2) * 1j, "bias_0": np.zeros(2)}, "weight_0 has type complex128"),
        (
            {"weight_0": np.eye(2), "bias_0": np.zeros(2), "weight_1": np.eye(3), "bias_1": np.zeros(3)},
            "layer 1: weight is",
        ),
    ],
)
def test_wrong_content_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "net.npz", **arrays)
    with pytest.raises(ValueError, match="net.npz.*" + message):
        load_npz(tmp_path / "net.npz")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "net.npz"
    with pytest.raises(ValueError, match="net.npz: cannot be read"):
        load_npz(path)
    np.save(tmp_path / "array.npy", np.eye(2))
    path.write_bytes((tmp_path / "array.npy").read_bytes())
    with pytest.raises(ValueError, match="not a .npz archive"):
        load_npz(path)


def test_pickles_are_not_executed(tmp_path):
    np.savez(tmp_path / "net.npz", weight_0=np.array([{}], dtype=object), bias_0=np.zeros(1))
    with pytest.raises(ValueError, match="net.npz: damaged or unsupported"):
        load_npz(tmp_path / "net.npz")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "net.npz"
    save_npz(net(), path)

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert same_bits(load_npz(path), net())
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.npz"]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be written"):
        save_npz(net(), tmp_path / "nowhere" / "net.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    """Zeros pack a thousand to one; the archive says how many they are."""
    monkeypatch.setattr("nnequiv.io.npz.MAX_FILE_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weight_0.npy", bytes(2**21))
    assert (tmp_path / "bomb.npz").stat().st_size < 5000
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ValueError, match="bomb.npz: .*it unpacks to 2097152 bytes, the limit is 1048576"):
        load_npz(tmp_path / "bomb.npz")


@pytest.mark.parametrize("name", ["a blank.npz", "größe é 网络.npz"])
def test_names_with_blanks_and_other_letters(tmp_path, name):
    (tmp_path / name[:2]).mkdir()
    save_npz(net(), tmp_path / name[:2] / name)
    assert same_bits(load_npz(tmp_path / name[:2] / name), net())
