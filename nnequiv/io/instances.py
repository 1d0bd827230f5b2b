"""Lists of instances: VNN-COMP's instances.csv."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from nnequiv.io.files import decode_text
from nnequiv.io.vnnlib import read_unzipped


@dataclass(frozen=True)
class Instance:
    """One row of instances.csv.

    Attributes
    ----------
    networks : tuple of (name, file) pairs
        The name is None where the row gives one file only.
    query : str
        The property file.
    timeout : float
        Seconds.
    """

    networks: tuple[tuple[str | None, str], ...]
    query: str
    timeout: float


def load_instances(path) -> list[Instance]:
    """Read a VNN-COMP ``instances.csv``: rows ``network,property,timeout``.

    For several networks the first cell is ``[('f', 'a.onnx'), ('g', 'b.onnx')]``, quoted or not. File names are given
    as written: they are relative to the folder of the list.

    Raises
    ------
    ValueError
        One line that names the file, the line and what is wrong.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "instances.csv").write_text("f.onnx,prop_1.vnnlib,116")
    ...     load_instances(Path(folder, "instances.csv"))
    [Instance(networks=((None, 'f.onnx'),), query='prop_1.vnnlib', timeout=116.0)]
    """
    text = decode_text(read_unzipped(path), path)
    instances = []
    for line, content in enumerate(text.splitlines(), start=1):
        if content.strip():
            try:
                instances.append(_instance(content.strip()))
            except ValueError as error:
                raise ValueError(f"{Path(path)}, line {line}: {error}") from None
    return instances


def _instance(content: str) -> Instance:
    networks: tuple[tuple[str | None, str], ...] | None = None
    listed = re.match(r'"?(\[.*?\])"?\s*,', content)
    if listed:  # its commas are not the row's
        networks, content = _named_networks(listed[1]), "networks," + content[listed.end() :]
    try:
        cells = [cell.strip() for cell in next(csv.reader([content]))]
    except csv.Error as error:
        raise ValueError(f"not CSV ({error})") from None
    if len(cells) != 3 or not all(cells):
        raise ValueError(f"{len(cells)} cells, but a row is network,property,timeout")
    seconds = float(cells[2]) if re.fullmatch(r"\d+\.?\d*([eE][+-]?\d+)?", cells[2]) else 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"timeout {cells[2]!r} is not a positive number of seconds")
    return Instance(networks or ((None, cells[0]),), cells[1], seconds)


_WORD = r"""(?:'[^']+'|"[^"]+")"""
_PAIR = rf"\(\s*{_WORD}\s*,\s*{_WORD}\s*\)"


def _named_networks(text: str) -> tuple[tuple[str, str], ...]:
    """``[('f', 'a.onnx'), ('g', 'b.onnx')]`` as pairs."""
    if not re.fullmatch(rf"\[\s*{_PAIR}(?:\s*,\s*{_PAIR})*\s*,?\s*\]", text):
        raise ValueError(f"{text[:60]!r} is not a list of (name, file)")
    words = [word[1:-1] for word in re.findall(_WORD, text)]
    return tuple(zip(words[::2], words[1::2], strict=True))
