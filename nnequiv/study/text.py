"""A study in words: a table, and sentences that are made by comparing its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from nnequiv.pipeline import Recipe
from nnequiv.report.markdown import table
from nnequiv.study.cells import Row
from nnequiv.study.settings import METHODS, STUDIES
from nnequiv.study.statistics import Paired, Spread, groups, paired, places, spread

#: Columns of the table: title, column of a row, factor, decimals.
COLUMNS = (
    ("f (%)", "original_accuracy", 100, 1),
    ("accuracy (%)", "accuracy", 100, 1),
    ("δ sets", "delta_upper", 1, 2),
    ("δ held-out", "heldout_upper", 1, 2),
    ("agree sets (%)", "agreement", 100, 0),
    ("agree held-out (%)", "heldout_agreement", 100, 0),
)

#: Who is held against whom, where both are.
RIVALS = (
    ("witnesses", "random corners"),
    ("witnesses", "distillation"),
    ("witnesses", "labels"),
    ("witnesses + last layer", "witnesses"),
)


def study_page(study: str, rows: Sequence[Row], recipe: Recipe, data: str, seconds: float, command: str) -> str:
    """The whole of ``<study>.md``."""
    seeds = sorted({row.seed for row in rows})
    return "\n\n".join(
        [
            f"# {study}: {STUDIES[study]}",
            f"Data: {data}. Mean [least, largest] over {len(seeds)} seeds ({seeds[0]} to {seeds[-1]}). δ: the largest "
            "|f − g| of any output anywhere on any set, the upper end of a proved interval. Held-out: boxes around "
            "test images. Agree: share of the sets on which the class is proved to be f's all over. What an axis does "
            "not vary is as in the recipe, and every method takes as many training steps.",
            paragraph(rows),
            "δ in short, on the input sets, and on the held-out ones of the last two columns:",
            short_table(rows),
            "All numbers:",
            study_table(rows),
            f"![{study}]({study}.png)",
            f"Recipe: `{recipe}`. {seconds:.0f} seconds. `{command}` makes this again; every run is a row of "
            f"`{study}.csv`.\n",
        ]
    )


def short_table(rows: Sequence[Row]) -> str:
    """A line a setting: δ of every method on the input sets, and of two on the held-out ones."""
    columns = [(method, "delta_upper") for method in METHODS]
    columns += [(method, "heldout_upper") for method in ("distillation", "witnesses")]
    lines = []
    for group in groups(rows):
        for value in places(rows, group):
            cells = [spread(rows, group, value, method, column) for method, column in columns]
            lines.append([f"{group} {value:g}", *("" if cell is None else _text(cell, 1, 2) for cell in cells)])
    names = [method if column == "delta_upper" else f"held-out: {method}" for method, column in columns]
    return table(["setting", *names], lines)


def study_table(rows: Sequence[Row]) -> str:
    """Every setting and method in a line."""
    lines = []
    for group in groups(rows):
        for value in places(rows, group):
            for method in METHODS:
                cells = [spread(rows, group, value, method, column) for _, column, _, _ in COLUMNS]
                if cells[0] is None:
                    continue
                size = [spread(rows, group, value, method, column).mean for column in ("nonzeros", "bits")]
                texts = [_text(cell, *column[2:]) for cell, column in zip(cells, COLUMNS, strict=True)]
                lines.append([f"{group} {value:g}", method, *texts, *(f"{number:,.0f}" for number in size)])
    return table(["setting", "method", *(column[0] for column in COLUMNS), "nonzeros", "bits"], lines)


def _text(cell: Spread, factor: float, decimals: int) -> str:
    mean, least, most = (f"{factor * number:.{decimals}f}" for number in (cell.mean, cell.least, cell.most))
    return f"{mean} [{least}, {most}]"


def paragraph(rows: Sequence[Row]) -> str:
    """What the numbers say: who is lowest how often, one method against another, and what the axis does."""
    sentences = [_lowest(rows, column, name) for column, name in _WHERE]
    for first, second in RIVALS:
        sentences += [_against(rows, first, second)] if paired(rows, first, second, "delta_upper").runs else []
    for group in groups(rows):
        sentences += [_along(rows, group, method) for method in ("compressed", "witnesses")]
    return " ".join(sentence for sentence in sentences if sentence)


_WHERE = (("delta_upper", "the input sets"), ("heldout_upper", "the held-out sets"))


def _lowest(rows: Sequence[Row], column: str, name: str) -> str:
    """Which method has the least mean, in how many of the settings that have all methods."""
    wins, count = dict.fromkeys(METHODS, 0), 0
    for group in groups(rows):
        for value in places(rows, group):
            cells = {method: spread(rows, group, value, method, column) for method in METHODS}
            if None in cells.values():
                continue
            count += 1
            least = min(cell.mean for cell in cells.values())
            for method, cell in cells.items():
                wins[method] += cell.mean == least
    order = sorted((method for method in METHODS if wins[method]), key=lambda method: -wins[method])
    best = ", ".join(f"{method} in {wins[method]}" for method in order)
    if count < 2:
        return f"Of all methods, {best.split(' in ')[0]} has the least mean δ on {name}." if count else ""
    return f"Of {count} settings with every method, the least mean δ on {name} is that of {best}."


def _against(rows: Sequence[Row], first: str, second: str) -> str:
    parts = [f"{_verdict(paired(rows, first, second, column))} on {name}" for column, name in _WHERE]
    return f"Against {second}, {first} has {' and '.join(parts)}."


def _verdict(found: Paired) -> str:
    word = "" if found.clear else ", no clear difference,"
    return f"the lower δ in {found.lower} of {found.runs} runs ({found.ratio:.2f} times it in the geometric mean){word}"


def _along(rows: Sequence[Row], group: str, method: str) -> str:
    """From the first to the last place of an axis: means, whether all steps go one way and the ranges are apart."""
    cells = [spread(rows, group, value, method, "delta_upper") for value in places(rows, group)]
    if len(cells) < 2 or None in cells or len({cell.mean for cell in cells}) == 1:
        return ""
    first, last = cells[0], cells[-1]
    steps = [b.mean - a.mean for a, b in zip(cells[:-1], cells[1:], strict=True)]
    word = "rises" if last.mean > first.mean else "falls"
    way = " at every step" if _one_way(steps) else ", not at every step"
    apart = last.least > first.most or last.most < first.least
    note = "the ranges over seeds are apart" if apart else "the ranges over seeds overlap"
    ends = f"{places(rows, group)[0]:g} to {places(rows, group)[-1]:g}"
    change = f"{word} from {first.mean:.2f} to {last.mean:.2f}{way}"
    return f"From {group} {ends}, mean δ on the input sets ({method}) {change}; {note}."


def _one_way(steps: Sequence[float]) -> bool:
    return all(step > 0 for step in steps) or all(step < 0 for step in steps)
