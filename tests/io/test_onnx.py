"""ONNX files: every real network against onnxruntime, exactness, refusals, and files out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nnequiv.io.onnx import load_onnx
from nnequiv.io.onnx_write import save_onnx
from nnequiv.network import Network
from nnequiv.rounding import evaluate_exact
from tests.io.test_npz import net, same_bits
from tests.oracles.onnx_graphs import f32, graph, ints, node, onnx, random, run, save

FOLDER = os.environ.get("NNEQUIV_DATA")
FILES = sorted(Path(FOLDER).glob("*/*.onnx")) if FOLDER else []


def refuses(path, message, **options):
    with pytest.raises(ValueError, match=message) as refusal:
        load_onnx(path, **options)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.skipif(not FILES, reason="needs real networks: set NNEQUIV_DATA to their folder")
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_real_networks_agree_with_onnxruntime(path):
    network = load_onnx(path)
    seed = 11
    points = np.random.default_rng(seed).uniform(-1, 1, size=(1000, network.n_inputs)).astype(np.float32)
    expected = run(str(path), points)
    error = np.abs(network(points) - expected).max() / max(1.0, np.abs(expected).max())
    assert error < 5e-6, f"relative error {error} with seed {seed}"


def test_weights_of_matmul_add_relu_are_kept_exactly(tmp_path):
    constants = {"w": random(4, 3), "b": random(3), "v": random(2, 3), "c": random(2)}
    nodes = [node("MatMul", "x w", "a"), node("Add", "a b", "z"), node("Relu", "z", "r")]
    nodes += [node("MatMul", "v r", "d"), node("Add", "d c", "y")]
    layers = load_onnx(save(graph(nodes, (4,), constants), tmp_path / "net.onnx")).layers
    expected = [constants["w"].T, constants["b"], constants["v"], constants["c"]]
    found = [array for layer in layers for array in (layer.weight, layer.bias)]
    assert all(np.array_equal(a, b.astype(np.float64)) for a, b in zip(found, expected, strict=True))


def test_a_relu_on_the_output_is_followed_by_the_identity(tmp_path):
    model = graph([node("Gemm", "x w"), node("Relu", "y", "z")], (1, 4), {"w": random(4, 3)}, output="z")
    network = load_onnx(save(model, tmp_path / "net.onnx"))
    assert network.widths == (4, 3, 3)
    assert np.array_equal(network.layers[1].weight, np.eye(3)) and not network.layers[1].bias.any()


def test_residual_branches_are_exact(tmp_path):
    """relu(W x) + x with small whole weights: no rounding anywhere, so rational arithmetic must agree to the bit."""
    weight = np.array([[1, -2], [3, 4]], dtype=np.float32)
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "r"), node("Add", "r x", "y")]
    network = load_onnx(save(graph(nodes, (1, 2), {"w": weight}), tmp_path / "net.onnx"))
    assert network.widths == (2, 6, 2)  # two neurons, and a pair of identity lanes for each input
    for point in ([0.5, -0.25], [-3.0, 7.0]):
        expected = np.maximum(np.array(point) @ weight.astype(np.float64), 0) + point
        assert [float(v) for v in evaluate_exact(network, point)] == expected.tolist()


def test_identity_lanes_of_relu_outputs_are_single(tmp_path):
    nodes = [node("Relu", "x", "a"), node("MatMul", "a w", "b"), node("Relu", "b", "c"), node("Add", "c a", "y")]
    network = load_onnx(save(graph(nodes, (1, 2), {"w": random(2, 2)}), tmp_path / "net.onnx"))
    assert network.widths == (2, 2, 4, 2)


def test_neurons_without_outgoing_weight_are_kept(tmp_path):
    nodes = [node("Gemm", "x w", "a"), node("Relu", "a", "r"), node("Gemm", "r v", "y")]
    model = graph(nodes, (1, 2), {"w": random(2, 3), "v": np.zeros((3, 1), dtype=np.float32)})
    assert load_onnx(save(model, tmp_path / "net.onnx")).widths == (2, 3, 1)


def test_an_output_that_does_not_depend_on_the_input(tmp_path):
    model = graph([node("Mul", "x c", "z"), node("Relu", "z", "y")], (1, 2), {"c": f32(0.0)})
    assert not load_onnx(save(model, tmp_path / "net.onnx"))(np.ones((3, 2))).any()
    model = graph([node("Clip", "x lo hi")], (1, 2), {"lo": np.float32(1), "hi": np.float32(-1)})
    assert (load_onnx(save(model, tmp_path / "clip.onnx"))(np.ones((3, 2))) == -1).all()


def test_softmax(tmp_path):
    nodes = [node("Gemm", "x w", "z"), node("Softmax", "z", "y", name="last")]
    path = save(graph(nodes, (1, 4), {"w": random(4, 3)}), tmp_path / "net.onnx")
    refuses(path, "Softmax node last: .*--drop-softmax")
    points = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    logits, shares = load_onnx(path, drop_softmax=True)(points), run(path, points)
    assert np.array_equal(logits.argsort(axis=1), shares.argsort(axis=1))


def test_softmax_over_part_of_the_outputs_is_not_dropped(tmp_path):
    path = save(graph([node("Softmax", "x", axis=-1)], (2, 3)), tmp_path / "net.onnx")
    refuses(path, "does not hold all outputs", drop_softmax=True)
    path = save(graph([node("Softmax", "x", "s"), node("Relu", "s")], (1, 3)), tmp_path / "inner.onnx")
    refuses(path, "operator Softmax is not supported", drop_softmax=True)


def test_an_unsupported_operator_names_itself_its_node_and_the_supported_ones(tmp_path):
    path = save(graph([node("Sigmoid", "x", name="squash")], (1, 3)), tmp_path / "net.onnx")
    refuses(path, "Sigmoid node squash: operator Sigmoid is not supported; supported are Add, AveragePool, .*Unsqueeze")


def test_a_large_layer_is_refused_with_its_size(tmp_path):
    path = save(graph([node("MatMul", "x w")], (1, 40), {"w": random(40, 30)}), tmp_path / "net.onnx")
    refuses(path, "MatMul node y: a dense layer of 30 x 40 = 1200 weights is over the limit of 1000", max_weights=1000)
    image = graph([node("Conv", "x w")], (1, 3, 224, 224), {"w": random(64, 3, 7, 7)})
    refuses(save(image, tmp_path / "large.onnx"), "Conv node y: a dense layer of 3041536 x 150528 = 457836331008")
    padded = graph([node("Pad", "x p")], (1, 4), {"p": ints(0, 0, 0, 3_000_000)})
    refuses(save(padded, tmp_path / "padded.onnx"), "Pad node y: a dense layer of 3000004 x 16 = 48000064")


@pytest.mark.parametrize(
    "model, message",
    [
        (graph([node("MatMul", "x w")], (1, 4), {"w": random(3, 2)}), r"\(1, 4\) and \(3, 2\) do not chain"),
        (graph([node("Mul", "x x")], (1, 4)), "Mul node y: one factor depends on the network's input"),
        (graph([node("Div", "c x")], (1, 4), {"c": f32(1.0)}), "the divisor depends on the network's input"),
        (graph([node("Div", "x c")], (1, 4), {"c": f32(0.0)}), "the divisor holds a 0"),
        (graph([node("MatMul", "x w")], (1, 4), {"w": random(4, 2) * np.float32("nan")}), r"\[0, 0\] is nan"),
        (graph([node("Add", "x c")], (1, 4), {"c": random(3)}), "do not broadcast"),
        (graph([node("Add", "x nothing")], (1, 4)), "its input nothing is not computed before it"),
        (graph([node("Reshape", "x s")], (1, 4), {"s": ints(3)}), r"shape \(1, 4\) cannot take the shape \[3\]"),
        (graph([node("Relu", "x")], (1, "height", 4)), "dimension 1 of unknown size height"),
        (graph([node("Relu", "x", "y"), node("Neg", "x", "y")], (1, 4)), "'y' is empty or defined twice"),
        (graph([node("Relu", "x", "z")], (1, 4)), "output y is not computed"),
        (graph([node("Cast", "x", to=7)], (1, 4)), "a cast to type 7 is not supported"),
        (graph([node("Dropout", "x r t")], (1, 4), {"r": f32(0.5)[0], "t": np.array(True)}), "training_mode is on"),
        (graph([node("Relu", "x")], (1, 4), opset=6), "operator set 6 is not one of 7 to"),
        (graph([node("Relu", "x", alpha=2.0)], (1, 4)), "attribute alpha is unknown"),
        (graph([node("Gemm", "x w", transB=1.0)], (1, 4), {"w": random(3, 4)}), "attribute transB is"),
        (graph([node("MaxPool", "x", "y i", kernel_shape=[2]), node("Add", "y i", "z")], (1, 1, 4), output="z"),
         "its input i is not computed"),
        (graph([node("Clip", "x lo")], (1, 4), {"lo": np.float32("nan")}), "the bounds are"),
    ],
    ids=range(18),
)  # fmt: skip
def test_refusals(tmp_path, model, message):
    refuses(save(model, tmp_path / "net.onnx"), message)


def test_several_inputs_or_outputs_are_refused(tmp_path):
    model = graph([node("Relu", "x")], (1, 4))
    model.graph.output.append(model.graph.input[0])
    refuses(save(model, tmp_path / "net.onnx"), "1 inputs and 2 outputs")


def test_other_files_are_refused(tmp_path):
    for name, content in (("text.onnx", b"not a network"), ("empty.onnx", b"")):
        (tmp_path / name).write_bytes(content)
        refuses(tmp_path / name, name)


def external(tmp_path, location: str) -> str:
    """A network whose weight lies in another file."""
    model = graph([node("Gemm", "x w")], (1, 2), {"w": random(2, 3)})
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    return save(model, folder / "net.onnx")


def test_external_data_is_read_from_the_folder_only(tmp_path):
    path = external(tmp_path, "weights.bin")
    refuses(path, "weights.bin: cannot be read")
    (tmp_path / "model" / "weights.bin").write_bytes(random(2, 3).tobytes())
    assert np.array_equal(load_onnx(path).layers[0].weight, random(2, 3).T.astype(np.float64))
    (tmp_path / "weights.bin").write_bytes(random(2, 3).tobytes())
    refuses(external(tmp_path, "../weights.bin"), "../weights.bin lies outside")
    refuses(external(tmp_path, str(tmp_path / "weights.bin")), "lies outside")
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "weights.bin")
    refuses(external(tmp_path, "link.bin"), "lies outside")


@pytest.mark.parametrize("dtype", ["auto", "float32", "float64"])
def test_written_files_run_in_onnxruntime(tmp_path, dtype):
    path = tmp_path / "net.onnx"
    save_onnx(net(5), path, dtype=dtype)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    points = np.random.default_rng(5).normal(size=(200, 3))
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    assert np.abs(run(str(path), points) - net(5)(points)).max() < tolerance


def test_written_files_hold_the_network_exactly(tmp_path):
    path = tmp_path / "net.onnx"
    short = Network([(layer.weight.astype(np.float32), layer.bias.astype(np.float32)) for layer in net(6).layers])
    for network, element in ((net(6), onnx.TensorProto.DOUBLE), (short, onnx.TensorProto.FLOAT)):
        save_onnx(network, path)
        assert onnx.load(path).graph.initializer[0].data_type == element
        assert same_bits(load_onnx(path), network)


def test_a_weight_too_large_for_float32_is_refused(tmp_path):
    with pytest.raises(ValueError, match="too large for float32"):
        save_onnx(Network([([[1e300]], [0.0])]), tmp_path / "net.onnx", dtype="float32")
    with pytest.raises(ValueError, match="dtype is 'half'"):
        save_onnx(net(), tmp_path / "net.onnx", dtype="half")
