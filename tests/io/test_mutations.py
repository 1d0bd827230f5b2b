"""Damaged files of every kind give an answer or a ValueError of one line: never another exception, never a hang."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from nnequiv.io import load, load_box, save
from nnequiv.io.instances import load_instances
from nnequiv.io.vnncomp import load_answer
from nnequiv.io.vnnlib import load_query
from tests.io.test_npz import net

ONE = """; a property
(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(declare-const Y_1 Real)
(assert (and (>= X_0 -1.5e0) (<= X_0 1)))
(assert (or (and (<= X_1 2) (>= X_1 0)) (and (<= X_1 4) (>= X_1 3))))
(assert (<= (+ X_0 X_1) 3.5))
(assert (or (<= Y_0 (* 2 Y_1)) (and (> Y_1 0.5) (< Y_0 -3))))
"""
TWO = """(vnnlib-version <2.0>)
(declare-network f (declare-input X_f real [2]) (declare-output Y_f real [1]))
(declare-network g (declare-input X_g real [2]) (declare-output Y_g real [1]))
(assert (and (>= X_f[0] -1.5) (<= X_f[0] 1.0)))
(assert (and (>= X_f[1] -1.5) (<= X_f[1] 1.0)))
(assert (== X_f[0] X_g[0]))
(assert (== X_f[1] X_g[1]))
(assert (or (>= (- Y_f[0] Y_g[0]) 0.05) (and (<= Y_f[0] -0.05) (< Y_g[0] Y_f[0]))))
"""
ANSWER = "sat\n((X_0 0.5)\n(X_1 -1e-3)\n(Y_0 2.5))\n"
ANSWER_2 = "sat\nA float32 [1,2]\n0.5\n0.25\nY float32 [1]\n1.5\n"
INSTANCES = "a.onnx,p.vnnlib,116\n[('f','a.onnx'),('g','b.onnx')],q.vnnlib,60.5\n"


def originals(folder) -> dict[str, tuple[bytes, object]]:
    """A small file of every kind, and its reader."""
    for suffix in (".npz", ".nnet", ".onnx"):
        save(net(), folder / f"net{suffix}")
    files = {f"net{suffix}": ((folder / f"net{suffix}").read_bytes(), load) for suffix in (".npz", ".nnet", ".onnx")}
    files["convolution.onnx"] = (convolution(), load)
    texts = {
        "one.vnnlib": (ONE, load_query),
        "two.vnnlib": (TWO, load_query),
        "box.json": ('{"lower": [0, -1.5], "upper": [1, 2e0]}', load_box),
        "box.csv": ("lower,0,-1.5\nupper,1,2\n", load_box),
        "answer.txt": (ANSWER, load_answer),
        "answer2.txt": (ANSWER_2, load_answer),
        "instances.csv": (INSTANCES, load_instances),
    }
    files |= {name: (text.encode(), reader) for name, (text, reader) in texts.items()}
    files["one.vnnlib.gz"] = (gzip.compress(ONE.encode(), mtime=0), load_query)
    return files


def convolution() -> bytes:
    """A graph with many operators: attributes, integer constants, branches."""
    from tests.oracles.onnx_graphs import graph, ints, node, random

    nodes = [
        node("Conv", "x k c", "a", pads=[1, 1, 1, 1]),
        node("LeakyRelu", "a", "b"),
        node("MaxPool", "b", "d", kernel_shape=[2, 2], strides=[2, 2]),
        node("Pad", "d p", "e"),
        node("Slice", "e s t u", "f"),
        node("Transpose", "f", "g", perm=[0, 2, 3, 1]),
        node("Reshape", "g r", "h"),
        node("Gemm", "h w", "i", alpha=0.5, transB=1),
        node("Clip", "i lo hi", "j"),
        node("Concat", "j i", "l", axis=1),
        node("Unsqueeze", "l u", "y"),
    ]
    constants = {
        "k": random(2, 1, 3, 3), "c": random(2), "w": random(3, 12), "p": ints(0, 0, 0, 0, 0, 0, 1, 1),
        "s": ints(0), "t": ints(2), "u": ints(2), "r": ints(1, -1),
        "lo": np.float32(0), "hi": np.float32(6),
    }  # fmt: skip
    return graph(nodes, (1, 1, 4, 4), constants).SerializeToString()


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, the end cut off, a line dropped or repeated, or a piece moved."""
    way = rng.integers(6)
    at = int(rng.integers(len(data)))
    if way <= 1:
        changed = bytearray(data)
        for _ in range(rng.integers(1, 5)):
            changed[rng.integers(len(data))] = rng.integers(256) if way else rng.integers(32, 127)
        return bytes(changed)
    if way == 2:
        return data[:at]
    if way == 3:
        length = int(rng.integers(1, 30))
        return data[:at] + data[at + length :] + data[at : at + length]
    lines = data.split(b"\n")
    chosen = int(rng.integers(len(lines)))
    return b"\n".join(lines[:chosen] + ([lines[chosen]] * 2 if way == 4 else []) + lines[chosen + 1 :])


def check(folder, rounds: int, seed: int) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("vnnlib")
    files = originals(folder)
    for name, (data, reader) in files.items():
        (folder / name).write_bytes(data)
        reader(folder / name)
    answers = refusals = 0
    for k in range(rounds):
        for name, (data, reader) in files.items():
            rng = np.random.default_rng([seed, k, sum(name.encode())])
            (folder / name).write_bytes(mutate(data, rng))
            try:
                reader(folder / name)
                answers += 1
            except ValueError as refusal:
                refusals += 1
                assert "\n" not in str(refusal) and name in str(refusal), (seed, k, name)
            except Exception as error:
                raise AssertionError(f"{name}, seed {seed}, round {k}: {error!r}") from error
    assert answers > rounds and refusals > rounds


def test_some_hundred_mutated_files(tmp_path):
    check(tmp_path, rounds=40, seed=0)


@pytest.mark.slow
def test_ten_thousand_mutated_files(tmp_path):
    check(tmp_path, rounds=900, seed=1)
