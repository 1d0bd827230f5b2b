"""``report.html`` of one question about a pair: the discrepancy, or a relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnequiv import plot
from nnequiv.network import Network
from nnequiv.plot import Trace
from nnequiv.plot.summary import output_bars
from nnequiv.reach.engine import InputSet
from nnequiv.report.page import (
    Html,
    banner,
    down,
    facts,
    figures,
    heading,
    interval,
    number,
    page,
    paragraph,
    table,
    up,
)
from nnequiv.report.pictures import panel, picture_of
from nnequiv.report.record import network_record, set_record, trace_record, write_files
from nnequiv.report.sections import again_section, networks_section, shown_command
from nnequiv.results import Answer, plain

#: Coordinates and outputs that a page shows one by one; report.json has all.
SHOWN = 20
#: Inputs that are taken for the pixels of a square image.
SQUARES = {64: (8, 8), 784: (28, 28)}


def write_answer(
    folder,
    answer: Answer,
    pair: tuple[Network, Network],
    files: Sequence[str],
    input_set: InputSet,
    words,
    trace: Trace,
) -> None:
    """``report.html`` and ``report.json`` of an answer into a folder.

    Parameters
    ----------
    files : the networks' files
    words : the command that asked
    trace : what its progress was
    """
    record = {
        "version": answer.version,
        "command": shown_command(words),
        "networks": {name: network_record(n, file) for name, n, file in zip("fg", pair, files, strict=True)},
        "input_set": set_record(input_set),
        "answer": answer._record(),
        "search": trace_record(trace.finish(answer)),
    }
    if answer.witness is not None:
        record["outputs"] = {name: net.evaluate(answer.witness) for name, net in zip("fg", pair, strict=True)}
    record = plain(record)
    write_files(Path(folder), record, [("report.html", answer_page(record, answer_pictures(record)).encode())])


def answer_pictures(record: Mapping) -> dict[str, bytes]:
    """Name → PNG of what there is to see: the witness as an image, the outputs there, the bounds over time."""
    pictures, answer, found = {}, record["answer"], record["input_set"]
    if answer["witness"] is not None:
        if found["inputs"] in SQUARES:
            free = found["free"] if len(found["free"]) <= SHOWN else []
            pictures["witness"] = picture_of(_pixels(answer["witness"], found), SQUARES[found["inputs"]], free)
        if len(record["outputs"]["f"]) <= SHOWN:
            outputs = {name: np.array(values, dtype=float) for name, values in record["outputs"].items()}
            pictures["outputs"] = panel(lambda ax: output_bars(ax, outputs, answer["output"], "output units"))
    steps = [step for step in record["search"] if np.isfinite(float(step["upper"]))]
    if len(steps) >= 3 and answer["verdict"] is None:
        columns = ([float(step[key]) for step in steps] for key in ("seconds", "lower", "upper"))
        pictures["search"] = panel(lambda ax: plot.gap_over_time(Trace(*columns), ax))
    return pictures


def _pixels(witness, found: Mapping) -> np.ndarray:
    """Grey values from 0 to 1 whatever scale the inputs have."""
    most = max(1.0, float(np.max(np.abs(np.array(found["upper"], dtype=float)))))
    return np.array(witness, dtype=float) / most


def answer_page(record: Mapping, pictures: Mapping[str, bytes]) -> str:
    """The page, from the record and its pictures alone."""
    relation = record["answer"].get("relation")
    title = f"Are f and g equivalent: {relation}?" if relation else "How far apart are f and g?"
    parts = [
        _verdict(record),
        heading("The question"),
        paragraph(_question(record)),
        *_set(record["input_set"]),
        *networks_section(record["networks"]),
        heading("The answer"),
        facts(_answer(record)),
        *_worst(record, pictures),
    ]
    if "search" in pictures:
        shown = (pictures["search"], "The width of the proved interval while it ran", False)
        parts += [heading("The search"), figures([shown])]
    return page(title, [*parts, *again_section(record, record["networks"])])


def _verdict(record: Mapping) -> Html:
    answer, reason = record["answer"], record["answer"]["reason"]
    if answer["verdict"] is None:
        words = f"The largest |f − g| of any output anywhere on the input set lies in {interval(answer)}."
        width = float(answer["upper"]) - float(answer["lower"])
        kind = "good" if width <= answer["tolerance"] else "open"
        return banner(kind, "Proved", words + (f" The search was stopped: {reason}." if reason else ""))
    kinds = {
        "EQUIVALENT": ("good", "The relation is proved to hold on the whole input set."),
        "NOT_EQUIVALENT": ("bad", "The witness below violates it, in exact arithmetic."),
        "UNKNOWN": ("open", f"Neither is proved: {reason}."),
    }
    kind, words = kinds[answer["verdict"]]
    return banner(kind, answer["verdict"], words)


def _question(record: Mapping) -> str:
    if record["answer"]["verdict"] is None:
        return (
            "How large can |f_i(x) − g_i(x)| get, for any output i and any x of the input set, and where is it largest?"
        )
    return f"Does {record['answer']['relation']} hold between f and g for every x of the input set?"


def _set(found: Mapping) -> list[Html]:
    cuts = f", cut by {found['cuts']} further inequalities" if found["cuts"] else ""
    words = f"The input set is a box of {found['inputs']} inputs, {len(found['free'])} of them free{cuts}."
    if found["inputs"] > SHOWN:
        return [paragraph(words)]
    rows = [[k, number(a), number(b)] for k, (a, b) in enumerate(zip(found["lower"], found["upper"], strict=True))]
    return [paragraph(words), table(["input", "from", "to"], rows)]


def _answer(record: Mapping) -> dict:
    answer = record["answer"]
    what = "largest |f − g|" if answer["verdict"] is None else "largest violation (the relation holds iff it is ≤ 0)"
    work = [f"{answer[name]:,} {name}" for name in ("pieces", "nodes", "lps") if answer[name]]
    return {
        what: interval(answer),
        "lower end": "attained at the witness, rounding subtracted",
        "upper end": f"proved: {answer['proof']}",
        "asked tolerance": number(answer["tolerance"]),
        "engine": answer["engine"],
        "work": ", ".join([*work, f"{number(answer['seconds'], 3)} s"]),
    }


def _worst(record: Mapping, pictures: Mapping[str, bytes]) -> list[Html]:
    answer = record["answer"]
    if answer["witness"] is None:
        return []
    outputs, found = record["outputs"], record["input_set"]
    shown = [("witness", "The witness; framed pixels are free", True), ("outputs", "What f and g say there", False)]
    parts = [heading("Where"), figures([(pictures[n], *words) for n, *words in shown if n in pictures])]
    if len(outputs["f"]) <= SHOWN:
        rows = [
            [k, number(a), number(b), number(a - b)] for k, (a, b) in enumerate(zip(*outputs.values(), strict=True))
        ]
        parts.append(table(["output", "f", "g", "f − g"], rows, marked=answer["output"]))
    if found["inputs"] <= SHOWN:
        ends = zip(found["lower"], answer["witness"], found["upper"], strict=True)
        rows = [[k, down(a), repr(x), up(b)] for k, (a, x, b) in enumerate(ends)]
        parts.append(table(["input", "from", "witness", "to"], rows))
    else:
        parts.append(paragraph("All coordinates of the witness are in report.json.", "note"))
    return parts
