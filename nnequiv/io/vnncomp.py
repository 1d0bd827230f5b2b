"""What tools answer: result and counterexample files of VNN-COMP and of VNN-LIB 2.0, in and out.

A VNN-COMP counterexample is ``sat`` and then ``((X_0 v) (X_1 v) ... (Y_0 v) ...)``. VNN-LIB 2.0 prints a line
``NAME TYPE [SHAPE]`` for each tensor and then its values, one a line; an earlier draft printed ``NAME[i,j]=v``.
Source: rules of VNN-COMP 2023; VNN-LIB 2.0 standard, chapter "Solver Command-line Interface".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnequiv.io.cases import entry_name
from nnequiv.io.files import decode_text
from nnequiv.io.formula import number
from nnequiv.io.query import Query
from nnequiv.io.sexpr import Atom, read_groups
from nnequiv.io.vnnlib import read_unzipped

#: Words that tools write, and the standard's word for each.
VERDICTS = {
    "sat": "sat",
    "unsat": "unsat",
    "unknown": "unknown",
    "timed-out": "timed-out",
    "timeout": "timed-out",
    "violated": "sat",
    "holds": "unsat",
    "equivalent": "unsat",
    "not_equivalent": "sat",
    "error": "error",
}

_HEADER = re.compile(r"([A-Za-z][\w.]*)\s+[A-Za-z]\w*\s+\[([\d\s,]*)\]")
_ENTRY = re.compile(r"([A-Za-z][\w.]*?)(?:_(\d+)|\[([\d\s,]+)\])?")
#: A result with more numbers is refused.
MAX_ENTRIES = 10**6


@dataclass(frozen=True, eq=False)
class Answer:
    """Another tool's answer.

    Attributes
    ----------
    verdict : str
        ``sat``, ``unsat``, ``unknown``, ``timed-out`` or ``error``.
    values : mapping from tensor name to flat float64 array
        The counterexample: ``X`` and ``Y`` in VNN-COMP files, declared names in VNN-LIB 2.0; empty without one.
    """

    verdict: str
    values: Mapping[str, np.ndarray]

    def tensors(self, query: Query) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        """The inputs and the claimed outputs (None where not given) of the query's networks, in their order.

        Raises
        ------
        ValueError
            If an input is missing, a tensor is not the query's, or a length is not as declared.
        """
        wanted = {name: size for pair in _tensors(query) for name, size in pair}
        for name, values in self.values.items():
            if name not in wanted:
                raise ValueError(f"the answer gives {name}, but the query declares {', '.join(wanted)}")
            if len(values) != wanted[name]:
                raise ValueError(
                    f"the answer gives {len(values)} values of {name}, but the query declares {wanted[name]}"
                )
        missing = [name for (name, _), _ in _tensors(query) if name not in self.values]
        if missing:
            raise ValueError(f"the answer gives no values of {missing[0]}")
        inputs = [self.values[name] for (name, _), _ in _tensors(query)]
        return inputs, [self.values.get(name) for _, (name, _) in _tensors(query)]


def _tensors(query: Query) -> list[tuple[tuple[str, int], tuple[str, int]]]:
    """Name and size of each network's input and output; ``X_`` of VNN-LIB 1.0 is ``X`` in answers."""

    def plain(name: str) -> str:
        return name.rstrip("_") if query.version == "1.0" else name

    return [((plain(d.input_name), d.n_inputs), (plain(d.output_name), d.n_outputs)) for d in query.declarations]


def load_answer(path) -> Answer:
    """Read a result or counterexample file, gzipped or not; see :func:`parse_answer` for examples.

    Raises
    ------
    ValueError
        One line that names the file, the line and what is wrong.
    """
    text = decode_text(read_unzipped(path), path)
    try:
        return parse_answer(text)
    except ValueError as error:
        raise ValueError(f"{Path(path)}: {error}") from None


def parse_answer(text: str) -> Answer:
    """The answer a text says.

    Numbers are read as the nearest float64, like those of queries.

    Examples
    --------
    >>> answer = parse_answer('''sat
    ... ((X_0 0.5)
    ...  (X_1 -1e-3)
    ...  (Y_0 2))''')
    >>> answer.verdict, answer.values["X"].tolist()
    ('sat', [0.5, -0.001])
    >>> parse_answer('''sat
    ... X_f real [1,2]
    ... 0.5
    ... 1.5''').values["X_f"].tolist()
    [0.5, 1.5]
    """
    first, _, rest = text.lstrip().partition("\n")
    words = first.split()
    if words and words[0].startswith("("):  # some counterexample files leave the word out
        words, rest = ["sat"], text
    if len(words) != 1 or words[0].lower().rstrip(",") not in VERDICTS:
        raise ValueError(f"line 1: {first[:40]!r} is not one of {', '.join(VERDICTS)}")
    skipped = text[: len(text) - len(rest)].count("\n")
    entries = _entries_of_groups(rest, skipped) if rest.lstrip().startswith("(") else _entries_of_lines(rest, skipped)
    values = {name: _flat(name, indexed) for name, indexed in entries.items()}
    return Answer(VERDICTS[words[0].lower().rstrip(",")], values)


_Entries = dict[str, dict[tuple[int, ...], float]]


def _add(entries: _Entries, name: str, index: tuple[int, ...], value: str, line: int) -> None:
    tensor = entries.setdefault(name, {})
    if index in tensor:
        raise ValueError(f"line {line}: entry {list(index)} of {name} is given twice")
    tensor[index] = float(number(value, line))


def _split(name: str, line: int) -> tuple[str, tuple[int, ...]]:
    """``X_3``, ``X[0,3]`` or ``X`` as name and index."""
    match = _ENTRY.fullmatch(name)
    if match is None:
        raise ValueError(f"line {line}: {name!r} is not the name of a variable")
    return match[1], _integers(match[2] or match[3] or "", line)


def _integers(text: str, line: int) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(word.isdigit() and len(word) < 10 for word in words):
        raise ValueError(f"line {line}: [{text}] is not a list of whole numbers")
    return tuple(int(word) for word in words)


def _entries_of_groups(text: str, skipped: int) -> _Entries:
    """``((X_0 v) (X_1 v) ...)``, with or without the outer parentheses."""
    groups = read_groups(text)
    if len(groups) == 1 and not any(isinstance(item, Atom) for item in groups[0].items):
        groups = list(groups[0].items)
    entries: _Entries = {}
    for group in groups:
        line = group.line + skipped
        if len(group.items) != 2 or not all(isinstance(item, Atom) for item in group.items):
            raise ValueError(f"line {line}: expected (NAME VALUE)")
        name, index = _split(group.items[0].text, line)
        _add(entries, name, index, group.items[1].text, line)
    return entries


def _entries_of_lines(text: str, skipped: int) -> _Entries:
    """``NAME TYPE [SHAPE]`` and its values, one a line; or ``NAME[i,j]=v``."""
    entries: _Entries = {}
    name, waiting = "", iter(())
    for line, content in enumerate((part.strip() for part in text.splitlines()), start=skipped + 1):
        header = _HEADER.fullmatch(content)
        if not content:
            continue
        if header or "=" in content:
            if next(waiting, None) is not None:
                raise ValueError(f"line {line}: more values of {name} are needed before this line")
        if header:
            name, shape = header[1], _integers(header[2], line)
            if name in entries or math.prod(shape) > MAX_ENTRIES:
                raise ValueError(f"line {line}: {name} {list(shape)} is given twice or has over {MAX_ENTRIES} entries")
            entries[name], waiting = {}, iter(np.ndindex(*shape))
        elif "=" in content:
            left, _, value = content.partition("=")
            _add(entries, *_split(left.strip(), line), value.strip(), line)
        else:
            index = next(waiting, None)
            if index is None:
                raise ValueError(f"line {line}: {content[:40]!r} is one value too many, or not NAME TYPE [SHAPE]")
            _add(entries, name, index, content, line)
    if next(waiting, None) is not None:
        raise ValueError(f"the file ends before all values of {name}")
    return entries


def _flat(name: str, indexed: dict[tuple[int, ...], float]) -> np.ndarray:
    """The entries in row-major order; refuses gaps."""
    ranks = {len(index) for index in indexed}
    if len(ranks) > 1:
        raise ValueError(f"entries of {name} have different numbers of indices")
    shape = [max(axis) + 1 for axis in zip(*indexed, strict=True)]
    if math.prod(shape) != len(indexed):
        raise ValueError(f"{len(indexed)} of the {math.prod(shape)} entries of {name} are given")
    return np.array([indexed[index] for index in sorted(indexed)])


def format_answer(query: Query, verdict: str, inputs: Sequence = (), outputs: Sequence = ()) -> str:
    """A verdict, and for ``sat`` the assignment, in the standard's format for the query's version.

    Parameters
    ----------
    query : Query
    verdict : str
    inputs, outputs : one array a network
        Written with the digits that give the same float64 back.

    Examples
    --------
    >>> from nnequiv.io.vnnlib import parse_query
    >>> text = "(declare-const X_0 Real) (declare-const Y_0 Real) (assert (= X_0 0.5)) (assert (>= Y_0 1))"
    >>> print(format_answer(parse_query(text), "sat", [[0.5]], [[2.0]]), end="")
    sat
    ((X_0 0.5)
    (Y_0 2.0))
    """
    lines = [verdict]
    tensors = []
    for d, x, y in zip(query.declarations, inputs, outputs, strict=False):
        tensors += [(d.input_name, d.input_type, d.input_shape, x), (d.output_name, d.output_type, d.output_shape, y)]
    if verdict != "sat" or not tensors:
        return verdict + "\n"
    if query.version == "1.0":
        pairs = [
            f"({entry_name(name, shape, i)} {float(v)!r})"
            for name, _, shape, values in tensors
            for i, v in enumerate(values)
        ]
        return "\n".join([verdict, "(" + "\n".join(pairs) + ")"]) + "\n"
    for name, kind, shape, values in tensors:
        lines.append(f"{name} {kind} [{','.join(str(n) for n in shape)}]")
        lines += [repr(float(v)) for v in values]
    return "\n".join(lines) + "\n"
