"""``report.html`` of an audit: one claim, or the table of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnequiv.audit import Audit
from nnequiv.audit.folder import Table
from nnequiv.report.page import banner, bullets, code, facts, heading, number, page, paragraph, table
from nnequiv.report.record import write_files
from nnequiv.report.sections import shown_command
from nnequiv.results import plain
from nnequiv.version import VERSION

KINDS = {"CONFIRMED": "good", "REFUTED": "bad", "UNDECIDED": "open"}
MEANINGS = {
    "CONFIRMED": "The claim is true: proved anew, without the tool that made it.",
    "REFUTED": "The claim is false: the evidence can be evaluated by anybody.",
    "UNDECIDED": "Neither is proved.",
}
#: Rows of a table that the page shows: what disagrees comes first; report.json has all.
ROWS = 500


def write_audit(folder, found: Audit | Table, words: Sequence[str]) -> None:
    """``report.html`` and ``report.json`` of an audit into a folder."""
    record = plain({"version": VERSION, "command": shown_command(words), "audit": found._record()})
    write_files(Path(folder), record, [("report.html", audit_page(record).encode())])


def audit_page(record: Mapping) -> str:
    """The page, from the record alone."""
    found = record["audit"]
    parts = _table(found) if "rows" in found else _claim(found)
    again = [heading("How to make it again"), code(record["command"]), facts({"nnequiv": record["version"]})]
    return page("Is the claim true?" if "rows" not in found else "Are these claims true?", [*parts, *again])


def _claim(found: Mapping) -> list:
    word = found["judgement"]
    known = {"the claim": found["claim"], "seconds": number(found["seconds"], 3)}
    return [
        banner(KINDS[word], word, MEANINGS[word]),
        heading("The claim"),
        facts(known),
        heading("The evidence"),
        bullets(found["evidence"]),
    ]


def _table(found: Mapping) -> list:
    counts = {word: number(count) for word, count in found["counts"].items() if count}
    header = ["judgement", "networks", "query", "claimed", "ours", "seconds", "evidence"]
    rows = [[row[name] if name != "seconds" else number(row[name], 3) for name in header] for row in found["rows"]]
    kind = "bad" if found["counts"]["REFUTED"] else "open" if set(counts) - {"CONFIRMED"} else "good"
    words = ", ".join(f"{count} {word}" for word, count in counts.items()) or "no instances"
    more = [paragraph(f"{len(rows) - ROWS} more rows are in report.json.", "note")] if len(rows) > ROWS else []
    return [banner(kind, words, "What disagrees comes first."), table(header, rows[:ROWS], kind="prose"), *more]
