"""``load`` and ``save`` choose by suffix, and every format gives the same network back."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nnequiv.io import load, save
from tests.io.test_npz import net, same_bits


@pytest.mark.parametrize("suffix", [".npz", ".nnet", ".onnx", ".NPZ"])
def test_round_trip(tmp_path, suffix):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    save(net(3), tmp_path / f"net{suffix}")
    assert same_bits(load(tmp_path / f"net{suffix}"), net(3))


def test_the_formats_agree_after_conversion(tmp_path):
    pytest.importorskip("onnx")
    save(net(4), tmp_path / "a.onnx")
    save(load(tmp_path / "a.onnx"), tmp_path / "b.nnet")
    save(load(tmp_path / "b.nnet"), tmp_path / "c.npz")
    assert same_bits(load(tmp_path / "c.npz"), net(4))


@pytest.mark.parametrize("name", ["net", "net.pt", "net.npz.bak"])
def test_an_unknown_suffix_is_refused(tmp_path, name):
    for call in (lambda: load(tmp_path / name), lambda: save(net(), tmp_path / name)):
        with pytest.raises(ValueError, match="is not one of .npz, .nnet, .onnx"):
            call()


@pytest.mark.parametrize("package, suffix", [("onnx", ".onnx"), ("vnnlib", ".vnnlib")])
def test_a_missing_package_is_an_error_that_names_the_extra(tmp_path, monkeypatch, package, suffix):
    from nnequiv.io.vnnlib import load_query

    path = tmp_path / f"file{suffix}"
    path.write_text("(vnnlib-version <2.0>)\n")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"nnequiv\[{package}\]"):
        load(path) if suffix == ".onnx" else load_query(path)


def test_npz_and_nnet_need_no_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for suffix in (".npz", ".nnet"):
        save(net(), tmp_path / f"net{suffix}")
        assert np.array_equal(load(tmp_path / f"net{suffix}")(np.ones(3)), net()(np.ones(3)))
