"""S-expressions with line numbers: the syntax of VNN-LIB 1.0."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Deeper nesting is refused.
MAX_NESTING = 200

_TOKEN = re.compile(r";[^\n]*|[()]|[^\s();]+")


@dataclass(frozen=True)
class Atom:
    """A word or number, as written."""

    text: str
    line: int


@dataclass(frozen=True)
class Group:
    """``(item item ...)``; ``line`` is that of the opening parenthesis."""

    items: tuple[Atom | Group, ...]
    line: int


def read_groups(text: str) -> list[Group]:
    """All top-level groups of the text; ``;`` starts a comment.

    Raises
    ------
    ValueError
        With the line: an unbalanced parenthesis, a word outside all groups, or nesting over 200.

    Examples
    --------
    >>> read_groups("(assert (<= X_0 1)) ; a comment")[0].items[0]
    Atom(text='assert', line=1)
    """
    done: list[Group] = []
    open_groups: list[tuple[int, list]] = []
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        token = match.group()
        if token.startswith(";"):
            continue
        if token == "(":
            if len(open_groups) == MAX_NESTING:
                raise ValueError(f"line {line}: over {MAX_NESTING} parentheses inside each other")
            open_groups.append((line, []))
        elif not open_groups:
            raise ValueError(f"line {line}: {token!r} outside of any parentheses")
        elif token == ")":
            start, items = open_groups.pop()
            group = Group(tuple(items), start)
            (open_groups[-1][1] if open_groups else done).append(group)
        else:
            open_groups[-1][1].append(Atom(token, line))
    if open_groups:
        raise ValueError(f"line {open_groups[-1][0]}: the parenthesis opened here is never closed")
    return done
