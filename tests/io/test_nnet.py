"""NNet files: the header's normalisation, agreement with the ONNX files, refusals with line numbers."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv.io.nnet import load_nnet, save_nnet
from nnequiv.io.onnx import load_onnx
from nnequiv.network import Network
from nnequiv.sets import Box
from tests.io.test_npz import net, same_bits

TEXT = """// a comment
// another
2,2,1,3,
2,3,1,
0,
-10.0,-1.0,
10.0,1.0,
1.0,-2.0,7.0,
4.0,0.5,3.0,
1.0,2.0,
3.0e0,-4,
-5.0,.5,
0.25,
0.5,
-0.75,
1.0,-1.0,2.0,
0.125,
"""


def write(tmp_path, text: str):
    path = tmp_path / "net.nnet"
    path.write_text(text)
    return path


def test_the_network_proper_is_the_default(tmp_path):
    network = load_nnet(write(tmp_path, TEXT))
    assert network.layers[0].weight.tolist() == [[1, 2], [3, -4], [-5, 0.5]]
    assert network.layers[0].bias.tolist() == [0.25, 0.5, -0.75]
    assert network.layers[1].weight.tolist() == [[1, -1, 2]]


def test_normalisation_is_folded_in_on_request(tmp_path):
    path = write(tmp_path, TEXT)
    plain, folded = load_nnet(path), load_nnet(path, normalize=True)
    raw = np.random.default_rng(1).normal(size=(50, 2)) * 5
    expected = plain((raw - [1.0, -2.0]) / [4.0, 0.5]) * 3.0 + 7.0
    assert np.abs(folded(raw) - expected).max() < 1e-12


def test_windows_line_ends(tmp_path):
    path = tmp_path / "net.nnet"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert same_bits(load_nnet(path), load_nnet(write(tmp_path, TEXT)))


@pytest.mark.parametrize("name", ["1_1", "1_2", "2_2", "2_9", "3_3", "4_5"])
def test_nnet_and_onnx_of_one_acas_network_agree(data_dir, name):
    """On normalised inputs, uniform in [−1/2, 1/2]: the .nnet file prints its weights to six digits."""
    stem = data_dir / "acasxu" / f"ACASXU_run2a_{name}_batch_2000"
    points = np.random.default_rng(2).uniform(-0.5, 0.5, size=(1000, 5))
    difference = load_nnet(f"{stem}.nnet")(points) - load_onnx(f"{stem}.onnx")(points)
    assert np.abs(difference).max() < 2e-6


def test_raw_units_of_acas(data_dir):
    """Raw inputs through the folded network, and normalised ones through the network proper (373.94992 y + 7.5188…)."""
    path = data_dir / "acasxu" / "ACASXU_run2a_1_1_batch_2000.nnet"
    points = np.random.default_rng(3).uniform(-0.3, 0.3, size=(100, 5))
    raw = points * [60261.0, 6.28318530718, 6.28318530718, 1100.0, 1200.0] + [19791.091, 0.0, 0.0, 650.0, 600.0]
    expected = load_nnet(path)(points) * 373.94992 + 7.5188840201005975
    assert np.abs(load_nnet(path, normalize=True)(raw) - expected).max() < 1e-9


def test_round_trip_is_bit_for_bit(tmp_path):
    special = Network([([[-0.0, 5e-324, 1.7e308]], [np.nextafter(1, 2)])])
    for network in (net(7), special):
        save_nnet(network, tmp_path / "net.nnet")
        assert same_bits(load_nnet(tmp_path / "net.nnet"), network)
        assert load_nnet(tmp_path / "net.nnet", normalize=True).widths == network.widths


def test_the_box_is_written_as_minima_and_maxima(tmp_path):
    save_nnet(net(), tmp_path / "net.nnet", box=Box([-1, 0, 0], [1, 2, 0.5]))
    lines = (tmp_path / "net.nnet").read_text().splitlines()
    assert lines[4:6] == ["-1.0,0.0,0.0,", "1.0,2.0,0.5,"]
    with pytest.raises(ValueError, match="the box has 1 inputs, but the network has 3"):
        save_nnet(net(), tmp_path / "net.nnet", box=Box([0], [1]))


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("2,3,1,\n", "2,3,3,1,\n", r"the layer sizes \[2, 3, 3, 1\] do not fit 2 layers"),
        ("1.0,2.0,\n", "1.0,\n", "line 10: row 0 of weight 0: 1 numbers, but 2 are needed"),
        ("1.0,2.0,\n", "1.0,two,\n", "line 10: 'two' in row 0 of weight 0 is not a number"),
        ("1.0,2.0,\n", "1.0,nan,\n", "line 10: 'nan'"),
        ("1.0,2.0,\n", "1.0,1e999,\n", "line 10: a number in row 0 of weight 0 is too large"),
        ("0.125,\n", "", "the file ends where entry 0 of bias 1 should be"),
        ("0.125,\n", "0.125,\n0.125,\n", "line 18: more lines than"),
        ("2,2,1,3,\n", "2,2,1,\n", "line 3: the header: 3 numbers"),
        ("2,2,1,3,\n", "2,2.5,1,3,\n", "line 3: the header must be whole numbers"),
        ("4.0,0.5,3.0,\n", "4.0,0.0,3.0,\n", "range 1 is 0"),
    ],
)
def test_refusals_name_the_line(tmp_path, old, new, message):
    assert TEXT.count(old) >= 1
    with pytest.raises(ValueError, match="net.nnet: " + message):
        load_nnet(write(tmp_path, TEXT.replace(old, new, 1)), normalize=True)
