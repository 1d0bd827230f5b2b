"""``report.html`` of a repair: before and after on every input set, the rounds, and the proof."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnequiv import plot
from nnequiv.network import Network
from nnequiv.plot.repair import intervals
from nnequiv.repair.result import Repair
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
    percent,
    table,
    up,
)
from nnequiv.report.pictures import panel
from nnequiv.report.record import network_record, write_files
from nnequiv.report.sections import again_section, networks_section, shown_command
from nnequiv.results import plain
from nnequiv.version import VERSION


def write_repair(folder, out: Repair, networks: Mapping[str, tuple[Network, str]], words: Sequence[str]) -> None:
    """``report.html`` and ``report.json`` of a repair into a folder; ``networks``: name → network and its file."""
    record = {
        "version": VERSION,
        "command": shown_command(words),
        "networks": {name: network_record(network, file) for name, (network, file) in networks.items()},
        "repair": json.loads(out.to_json()),
    }
    page_ = repair_page(plain(record), repair_pictures(out))
    write_files(Path(folder), record, [("report.html", page_.encode())])


def repair_pictures(out: Repair) -> dict[str, bytes]:
    """The sets before and after, and the rounds, where there is a proof and a number to reach."""
    if not out.discrepancies:
        return {}
    target = out.target if isinstance(out.target, float) and out.labels is None else None
    before, after = (intervals(answers) for answers in (out.history[0].discrepancies, out.discrepancies))
    pictures = {}
    if target is not None:
        pictures["sets"] = panel(
            lambda ax: plot.discrepancy_distribution({"before": before, "after": after}, target, ax)
        )
        worst = [entry.worst[1] for entry in out.history]
        medians = [float(np.median([d.upper for d in entry.discrepancies])) for entry in out.history]
        pictures["rounds"] = panel(lambda ax: plot.repair_history(worst, medians, target, ax=ax))
    return pictures


def repair_page(record: Mapping, pictures: Mapping[str, bytes]) -> str:
    """The page, from the record and its pictures alone."""
    found = record["repair"]
    parts = [
        _verdict(found),
        heading("The question"),
        paragraph(_question(found)),
        *networks_section(record["networks"]),
    ]
    parts += [heading("The answer"), facts(_answer(found))]
    shown = {"sets": "Every input set, before and after", "rounds": "Round by round"}
    parts.append(figures([(pictures[name], words, False) for name, words in shown.items() if name in pictures]))
    parts += _history(found)
    parts.append(paragraph("The proof speaks of the input sets and of nothing beyond them.", "note"))
    return page("Repair of a compressed network", [*parts, *again_section(record, record["networks"])])


def _verdict(found: Mapping) -> Html:
    if found["proved"]:
        return banner("good", "Proved", f"On all {len(found['discrepancies'])} input sets the target is reached.")
    return banner("open", "Not proved", f"The target is missed: {found['reason']}.")


def _question(found: Mapping) -> str:
    if found["labels"] is not None:
        return f"Can g, at its size, keep the label of every input set ahead of all other outputs by {found['target']}?"
    target = found["target"]
    within = f"within {number(target)} of f's" if isinstance(target, float) else "so that f − g lies in the target set"
    return f"Can g be retrained, at its size, so that every output is {within}, everywhere on every input set?"


def _ends(pairs: Sequence[Sequence]) -> dict:
    """The worst of many intervals."""
    return {key: max(float(pair[k]) for pair in pairs) for k, key in enumerate(("lower", "upper"))}


def _answer(found: Mapping) -> dict:
    distance = isinstance(found["target"], float) and found["labels"] is None
    what, answer = "largest |f − g|" if distance else "largest violation", {}
    if found["history"]:
        answer[f"before: {what}"] = interval(_ends(found["history"][0]["intervals"]))
    if found["discrepancies"]:
        ends = [(answer["lower"], answer["upper"]) for answer in found["discrepancies"]]
        answer[f"after: {what}, proved from scratch"] = interval(_ends(ends))
        answer["engine"] = found["discrepancies"][0]["engine"]
    layer = found["last_layer"]
    if layer is not None:
        answer["best last layer"] = f"{up(layer['upper'])}; proved that none is below {down(layer['lower_bound'])}"
    return answer | {"seconds": number(found["seconds"], 4)}


def _history(found: Mapping) -> list[Html]:
    rows = [
        [k, interval(_ends(e["intervals"]), 6), number(e["loss"], 4), _share(e["accuracy"]), number(e["seconds"], 3)]
        for k, e in enumerate(found["history"])
    ]
    header = ["round", "worst over the sets, proved", "mean loss", "training accuracy", "seconds"]
    return [heading("Round by round"), table(header, rows)]


def _share(value) -> str:
    return "" if value in (None, "nan") else percent(float(value))
