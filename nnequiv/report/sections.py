"""What every page has: the networks, how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from nnequiv.report.page import Html, code, facts, heading, number, paragraph, table


def shown_command(words: Sequence[str]) -> str:
    """A command as it can be typed again; of a path from the root only the file's name is told.

    >>> shown_command(["nnequiv", "discrepancy", "/home/me/my f.npz", "g.npz", "--box=-1:1", "N=/tmp/f.onnx"])
    "nnequiv discrepancy 'my f.npz' g.npz --box=-1:1 N=f.onnx"
    """
    return shlex.join(map(_without_folders, words))


def _without_folders(word: str) -> str:
    before, equals, path = word.rpartition("=")
    return f"{before}{equals}{PurePath(path).name}" if PurePath(path).is_absolute() else word


def networks_section(networks: Mapping[str, Mapping]) -> list[Html]:
    """Widths, sizes and names of the networks; their hashes are where they are needed, in :func:`again_section`."""
    rows = [
        [name, net["file"], net["widths"] + (" (a single affine map)" if net["widths"].count("-") == 1 else "")]
        + [number(net["nonzeros"])]
        for name, net in networks.items()
    ]
    return [heading("The networks"), table(["network", "file", "widths", "weights and biases not 0"], rows)]


def again_section(record: Mapping, networks: Mapping[str, Mapping], more: Mapping | None = None) -> list[Html]:
    """Command, version and the networks' hashes."""
    hashes = {f"SHA-256 of {name}": net["sha256"] for name, net in networks.items()}
    return [
        heading("How to make it again"),
        code(record["command"]),
        facts({"nnequiv": record["version"], **(more or {}), **hashes}),
        paragraph(
            "The hash is over the shapes, weights and biases of all layers as float64, as in certificates. Every "
            "number here is rounded outwards where it is a bound; report.json has all their digits.",
            "note",
        ),
    ]
