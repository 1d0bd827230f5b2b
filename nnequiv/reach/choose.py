"""Which engine answers: by name, by object, or ``auto`` with a reason."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches

from nnequiv.reach.engine import Engine
from nnequiv.reach.milp import Milp
from nnequiv.reach.star import Star

ENGINES = {engine.name: engine for engine in (Star, Milp)}


def choose(engine: str | Engine, networks, input_set, question: str) -> tuple[Engine, str]:
    """The engine to use, and why (empty if the caller named it).

    Raises
    ------
    ValueError
        If the name is unknown; names the nearest.
    """
    if not isinstance(engine, str):
        if not isinstance(engine, Engine):
            raise ValueError(f"engine is {engine!r}: it must be a name or an engine object")
        return engine, ""
    if engine in ENGINES:
        return ENGINES[engine](), ""
    if engine != "auto":
        near = get_close_matches(engine, [*ENGINES, "auto"], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown engine {engine!r}: choose one of auto, {', '.join(ENGINES)}{hint}")
    return Star(lp="highspy"), "auto: the only exact engine for every question"


def named(engine: Engine) -> str:
    """``star(lp=highspy)``: the name and the options that differ from the defaults."""
    options = [
        f"{field.name}={getattr(engine, field.name)}"
        for field in fields(engine)
        if getattr(engine, field.name) != field.default
    ]
    return f"{engine.name}({', '.join(options)})" if options else engine.name
