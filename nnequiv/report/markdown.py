"""``report.md``: the demo's report for readers, from its record alone."""

from __future__ import annotations

from collections.abc import Sequence

#: The figures of the report, in order, with what they show.
FIGURES = {
    "comparison": "Accuracy and proved discrepancy of every network",
    "discrepancy": "Discrepancy on every input set, before and after repair",
    "witness": "The worst witness before repair, and the outputs there",
    "history": "Repair, round by round",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned so that it reads well on a terminal too.

    >>> print(table(["net", "size"], [["f", "2,778"]]))
    | net | size  |
    |-----|------:|
    | f   | 2,778 |
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([cells[0].ljust(widths[0]), *rest]) + " |"

    title = "| " + " | ".join(cell.ljust(width) for cell, width in zip(header, widths, strict=True)) + " |"
    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([title, rule, *map(line, rows)])


def summary_table(record: dict) -> str:
    """Every network in a row: accuracy, size, discrepancy on the input sets and on the held-out ones, agreement."""
    header = ["network", "accuracy", "nonzeros", "bits", "δ sets", "δ held-out", "agree sets", "agree held-out"]

    def row(name: str, right: float, size: dict, *shares: str) -> list[str]:
        return [name, _percent(right), f"{size['nonzeros']:,}", f"{size['bits']:,}", *shares, *[""] * (4 - len(shares))]

    rows = [row("f, original", record["accuracy"]["original"], record["size"]["original"])]
    for name, stage, when in (("g, compressed", "compressed", "before"), ("g, repaired", "repaired", "after")):
        shares = [f"{record[key][when]['upper']:.3f}" for key in ("discrepancy", "heldout")]
        shares += [_percent(record[key][when]) for key in ("agreement", "heldout_agreement")]
        rows.append(row(name, record["accuracy"][stage], record["size"][stage], *shares))
    for name, entry in record["controls"].items():
        shares = [f"{entry[key]['upper']:.3f}" for key in ("discrepancy", "heldout")]
        rows.append(row(f"control: {name}", entry["accuracy"], entry["size"], *shares))
    return table(header, rows)


def markdown(record: dict) -> str:
    """``report.md``."""
    return "\n\n".join(
        [
            f"# Compression and repair of a network for the {record['data']} images",
            _verdict(record),
            _story(record),
            summary_table(record),
            _legend(record),
            *(f"![{caption}]({name}.png)" for name, caption in FIGURES.items()),
            "## How to read it",
            _explanation(record),
            f"Seed {record['seed']}, {record['seconds']:.0f} seconds, nnequiv {record['version']}. The networks lie\n"
            "beside this file: `nnequiv discrepancy original.npz repaired.npz --box BOX` looks at any other box.\n",
        ]
    )


def _certified(record: dict) -> str:
    if not record["proved"]:
        return ""
    return """
- **Certificate.** `proof.json.gz` holds the proof for every input set, before and after. The checker, which shares no
  code with the engines, accepted it in exact arithmetic; `nnequiv check proof.json.gz` does so again."""


def _verdict(record: dict) -> str:
    if record["proved"]:
        return (
            f"**Proved**: on all {record['sets']} input sets, every output of the repaired g is within "
            f"{record['target']:g} of f's."
        )
    reason = record["reason"]
    return f"**Not proved**: the target {record['target']:g} is missed. {reason[:1].upper()}{reason[1:]}."


def _story(record: dict) -> str:
    right, nets = record["accuracy"], record["networks"]
    before, after = (record["discrepancy"][when]["upper"] for when in ("before", "after"))
    return f"""The original f ({nets["original"]}) is right on {_percent(right["original"])} of the test images.
Compressed by {record["compression"]} to g ({nets["compressed"]}), it is right on
{_percent(right["compressed"])}, and somewhere on the input sets f and g differ by {before:.3f}.
Repaired, at the same size, g is right on {_percent(right["repaired"])}, and the largest difference is {after:.3f}."""


def _legend(record: dict) -> str:
    before, after = (record["discrepancy"][when] for when in ("before", "after"))
    rows = {"repaired": {key: record[key]["after"] for key in ("discrepancy", "heldout")}, **record["controls"]}
    least, kept_out = (min(rows, key=lambda name: rows[name][key]["upper"]) for key in ("discrepancy", "heldout"))
    return f"""- **δ**: the largest |f − g| of any output (logits) anywhere on any of the sets, the upper end of a
  proved interval. On the input sets it is in [{before["lower"]:.6f}, {before["upper"]:.6f}] before repair
  and in [{after["lower"]:.6f}, {after["upper"]:.6f}] after.
  The least on the input sets: {least}. The least on the held-out sets: {kept_out}.
- **agree**: share of the sets on which g provably gives f's class all over.
- **bits**: what storing the values exactly takes. A float64 counts 64; a mask counts 1 a weight."""


def _explanation(record: dict) -> str:
    recipe, training, reached = record["recipe"], record["training_accuracy"], record["round_reached"]
    last = record["last_layer"]
    first = "in no round" if reached is None else f"first after round {reached}"
    return f"""- **Input sets.** {record["sets"]} training images. In each, the {recipe["free"]} pixels where f − g is
  steepest may move by ± {recipe["radius"]:g} within [0, 1]; all others are fixed. **Held-out sets**: as many, made the
  same way around test images, which no training has seen.
- **Strength.** The compression was chosen to cost about {100 * recipe["drop"]:.0f} points of accuracy on *training*
  images ({_percent(training["original"])} to {_percent(training["compressed"])}). Test images chose nothing.
- **Repair.** {recipe["rounds"]} rounds. Each adds the exact worst point of every set to the training points and takes
  {recipe["round_steps"]} SGD steps. The target was reached {first}. The round with the least δ was kept, and then
  proved from scratch with engine {record["engine"]}.{_certified(record)}
- **Best last layer.** Over the repaired hidden layers, linear programs find the last layer with the least δ on the
  input sets: {last["upper"]:.3f}. Proved: no other last layer over them is below {last["lower_bound"]:.3f}.
- **Controls.** The same g, in the same {recipe["rounds"] * recipe["round_steps"]:,} steps, on other training points.
  *labels*: the training labels, trained as f was. *distillation*: f's outputs on the training images, trained as
  repair does. *random corners*: so too, but half of each batch are random corners of the input sets, where repair
  has witnesses.
- The proof speaks of the input sets only. What happens outside is measured on the held-out sets, not promised."""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
