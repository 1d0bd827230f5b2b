"""What reports hold: plain values, of which ``report.json`` and every page is made; and how they are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nnequiv.certificate.check import digest
from nnequiv.compression import size
from nnequiv.io.files import write_atomically
from nnequiv.network import Network
from nnequiv.pipeline import Measured, worst
from nnequiv.plot import Trace
from nnequiv.reach.engine import InputSet
from nnequiv.results import plain

#: Steps of a search that a record keeps.
KEPT = 40


def interval(discrepancies) -> dict:
    """``{"lower": …, "upper": …}`` over all input sets together."""
    lower, upper = worst(discrepancies)
    return {"lower": lower, "upper": upper}


def control_record(measured: Measured) -> dict:
    """What ``report.json`` says of one control."""
    return {
        "accuracy": measured.accuracy,
        "size": measured.size.to_json(),
        "discrepancy": interval(measured.sets),
        "heldout": interval(measured.heldout),
    }


def sha256(network: Network) -> str:
    """What certificates call a network by: over shapes, weights and biases, whatever file they came from."""
    return digest([(layer.weight, layer.bias) for layer in network.layers])


def network_record(network: Network, file: str) -> dict:
    """A network: its file's name without folders, its widths, its size and its SHA-256.

    >>> network_record(Network([([[1.0, 0.0]], [0.0])]), "nets/f.npz")["widths"]
    '2-1'
    """
    return {
        "file": Path(file).name,
        "widths": "-".join(map(str, network.widths)),
        "nonzeros": size(network).nonzeros,
        "sha256": sha256(network),
    }


def set_record(input_set: InputSet) -> dict:
    """An input set: its box, which inputs are free, and how many further inequalities cut it."""
    box = input_set.box
    return {
        "inputs": box.dimension,
        "free": box.free,
        "lower": box.lower,
        "upper": box.upper,
        "cuts": len(input_set.cuts[1]),
    }


def trace_record(trace: Trace) -> list[dict]:
    """The steps at which a search's interval changed, the first and the last among them; at most :data:`KEPT`.

    >>> trace = Trace([0.1, 0.2, 0.3], [0.0, 0.0, 1.0], [2.0, 2.0, 1.5])
    >>> [(step["lower"], step["upper"]) for step in trace_record(trace)]
    [(0.0, 2.0), (1.0, 1.5)]
    """
    steps: list[dict] = []
    for seconds, lower, upper in zip(trace.seconds, trace.lower, trace.upper, strict=True):
        if steps:  # what was proved once stays proved
            lower, upper = max(lower, steps[-1]["lower"]), min(upper, steps[-1]["upper"])
        if not steps or (lower, upper) != (steps[-1]["lower"], steps[-1]["upper"]):
            steps.append({"seconds": round(seconds, 3), "lower": lower, "upper": upper})
    if len(steps) <= KEPT:
        return steps
    return [steps[round(k * (len(steps) - 1) / (KEPT - 1))] for k in range(KEPT)]


def write_files(out: Path, record: dict, files: Sequence[tuple[str, bytes]]) -> None:
    """Files of a report into a folder, each whole or not at all, ``report.json`` last.

    Where ``report.json`` is, all the files it belongs to are there too: one of an earlier report goes first.
    """
    content = (json.dumps(plain(record), indent=2, allow_nan=False) + "\n").encode()
    (out / "report.json").unlink(missing_ok=True)
    for name, data in [*files, ("report.json", content)]:
        _write(out / name, data)


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
