"""A small valid file of every kind the library reads, each with its reader: what the fuzzer begins from."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import nnequiv as nq
from nnequiv.audit.folder import read_table
from nnequiv.checkpoint import open_checkpoint
from nnequiv.io import load, load_box, save
from nnequiv.io.idx import load_idx
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
TABLE = """judgement,networks,query,timeout,claimed,ours,seconds,evidence
CONFIRMED,a.onnx,p.vnnlib,116.0,unsat,unsat,0.5,proved
"""
IDENTITY = {"network": "f"}
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
    files["table.csv"] = (TABLE.encode(), read_table)
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, *range(8)])
    files["images-idx3-ubyte"] = (images, load_idx)
    files["images-idx3-ubyte.gz"] = (gzip.compress(images, mtime=0), load_idx)
    open_checkpoint(folder / "state", IDENTITY).write({"k": [1, 2.5]}, {"x": np.arange(4.0), "y": np.zeros((0, 2))})
    files["state"] = ((folder / "state").read_bytes(), lambda path: open_checkpoint(path, IDENTITY))
    return files | proofs(folder)


def proofs(folder) -> dict[str, tuple[bytes, object]]:
    """A certificate, packed and not. The checker refuses in words of its own, so its reader has only to return."""
    line, fold = nq.Network([([[1.0]], [0.0])]), nq.Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    proof = nq.max_discrepancy(line, fold, nq.Box([-1.0], [2.0])).certificate()
    files = {}
    for name in ("proof.json", "proof.json.gz"):
        proof.save(folder / name)
        files[name] = ((folder / name).read_bytes(), _checked)
    return files


def _checked(path: Path) -> str:
    report = nq.check_certificate(path)
    assert "\n" not in report.text and isinstance(report.text, str)
    return report.text


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
