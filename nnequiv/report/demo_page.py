"""``report.html`` of the demo, from its record and pictures alone."""

from __future__ import annotations

from collections.abc import Mapping

from nnequiv.report.page import (
    Html,
    banner,
    bullets,
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
from nnequiv.report.sections import again_section

#: Digits of a discrepancy in the demo's tables.
SHORT = 4

#: The page's pictures: what each shows, and whether it is small.
PICTURES = {
    "accuracy": ("Accuracy of every network", False),
    "gaps": ("Proved discrepancy of every network", False),
    "image": ("The training image; framed pixels are free", True),
    "witness": ("The worst point before repair", True),
    "outputs": ("What the networks say at the worst point", False),
    "sets": ("Every input set, before and after", False),
    "rounds": ("Round by round", False),
}


def demo_page(record: Mapping, pictures: Mapping[str, bytes]) -> str:
    """The page; ``pictures`` are PNG files by the names of :data:`PICTURES`."""
    networks = {name: {"sha256": value} for name, value in record["sha256"].items()}
    more = {"seed": record["seed"], "engine": record["engine"], "seconds": number(record["seconds"])}
    parts = [
        _verdict(record),
        *_question(record),
        *_answer(record, pictures),
        *_worst(record, pictures),
        *_controls(record),
        *_history(record, pictures),
        *again_section(record, networks, more),
    ]
    return page(f"Compression and repair of a network for the {record['data']} images", parts)


def _shown(pictures: Mapping[str, bytes], *names: str) -> Html:
    return figures([(pictures[name], *PICTURES[name]) for name in names])


def _verdict(record) -> Html:
    target = number(record["target"])
    if record["proved"]:
        words = f"On all {record['sets']} input sets, every output of the repaired g is within {target} of f's."
        return banner("good", "Proved", f"{words} An independent checker accepted the proof in exact arithmetic.")
    return banner("open", "Not proved", f"The target {target} is missed: {record['reason']}.")


def _question(record) -> list[Html]:
    nets, recipe = record["networks"], record["recipe"]
    words = (
        f"f ({nets['original']}) was compressed by {record['compression']} to g ({nets['compressed']}). How far apart "
        f"can their outputs be, anywhere on {record['sets']} input sets, and can g be repaired at its size so that no "
        f"output is farther than {number(record['target'])} from f's?"
    )
    sets = (
        f"An input set is a training image in which the {recipe['free']} pixels where f − g is steepest may move by "
        f"± {number(recipe['radius'])}, between white and black. Held-out sets are made the same way around as many "
        "test images, which no training has seen."
    )
    return [heading("The question"), paragraph(words), paragraph(sets)]


def _answer(record, pictures) -> list[Html]:
    entry = record["discrepancy"]
    found = {
        "before repair, largest |f − g|": interval(entry["before"]),
        "after repair, largest |f − g|": interval(entry["after"]),
    }
    header = ["network", "accuracy", "nonzeros", "bits", "δ sets ≤", "δ held-out ≤", "agree sets", "agree held-out"]
    rows = [_row("f, original", record["accuracy"]["original"], record["size"]["original"], ["", "", "", ""])]
    for name, stage, when in (("g, compressed", "compressed", "before"), ("g, repaired", "repaired", "after")):
        cells = [up(record[key][when]["upper"], SHORT) for key in ("discrepancy", "heldout")]
        cells += [percent(record[key][when]) for key in ("agreement", "heldout_agreement")]
        rows.append(_row(name, record["accuracy"][stage], record["size"][stage], cells))
    for name, control in record["controls"].items():
        cells = [up(control[key]["upper"], SHORT) for key in ("discrepancy", "heldout")]
        rows.append(_row(name, control["accuracy"], control["size"], [*cells, "", ""]))
    return [
        heading("The answer"),
        facts(found),
        table(header, rows, marked=2),
        paragraph(
            "δ: the largest |f − g| of any output (logits) anywhere on any of the sets, the upper end of a proved "
            "interval. Agree: the share of the sets on which g provably gives f's class all over. Bits: what storing "
            "the values exactly takes. Accuracy is on test images.",
            "note",
        ),
        _shown(pictures, "accuracy", "gaps"),
    ]


def _row(name: str, right: float, size: Mapping, cells: list[str]) -> list[str]:
    return [name, percent(right), number(size["nonzeros"]), number(size["bits"]), *cells]


def _worst(record, pictures) -> list[Html]:
    found = record["worst"]
    words = (
        f"Before repair f and g were farthest apart on input set {found['set']}, at output {found['output']}: "
        f"by at least {down(found['lower'])}."
    )
    rows = [
        [k, *(number(values[k]) for values in found["outputs"].values())] for k in range(len(found["outputs"]["f"]))
    ]
    return [
        heading("Where the worst point is"),
        paragraph(words),
        _shown(pictures, "image", "witness", "outputs"),
        table(["output", *found["outputs"]], rows, marked=found["output"]),
    ]


def _controls(record) -> list[Html]:
    recipe, last = record["recipe"], record["last_layer"]
    steps = number(recipe["rounds"] * recipe["round_steps"])
    optimal = (
        "It is the best to a millionth." if last["optimal"] else f"Another is better by at most {up(last['gap'], 3)}."
    )
    return [
        heading("Controls"),
        paragraph(f"The same g, in the same {steps} steps, on other training points:"),
        bullets(
            [
                "labels: the training labels, trained as f was.",
                "distillation: f's outputs on the training images, trained as repair does.",
                "random corners: so too, but half of each batch are random corners of the input sets, where repair has "
                "witnesses.",
                "repaired, best last layer: not trained. Linear programs find the last layer over the repaired hidden "
                f"layers with the least δ on the input sets, {interval(last)}. Proved: no other last layer over them "
                f"is below {down(last['lower_bound'])}. {optimal}",
            ]
        ),
    ]


def _history(record, pictures) -> list[Html]:
    reached = record["round_reached"]
    first = "in no round" if reached is None else f"first after round {reached}"
    rows = [
        [
            entry["round"],
            interval(entry, 6),
            number(entry["loss"], 4),
            percent(entry["accuracy"]),
            number(entry["seconds"]),
        ]
        for entry in record["history"]
    ]
    words = (
        f"Each round adds the exact worst point of every set to the training points. The target was reached {first}. "
        "The round with the least δ was kept, and then proved from scratch."
    )
    header = ["round", "largest |f − g|, proved", "mean loss", "training accuracy", "seconds"]
    return [
        heading("History"),
        paragraph(words),
        _shown(pictures, "sets", "rounds"),
        table(header, rows),
        paragraph("The proof speaks of the input sets only. Held-out sets are measured, not promised.", "note"),
    ]
