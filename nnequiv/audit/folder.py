"""Many claims at once: a list of instances, a folder of another tool's results, one table. It can be interrupted."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

from nnequiv.audit.judge import Audit, audit
from nnequiv.audit.search import INTERRUPTED
from nnequiv.io.files import read_text, write_atomically
from nnequiv.io.instances import Instance, load_instances
from nnequiv.io.networks import load
from nnequiv.io.query import Query
from nnequiv.io.results_folder import csv_rows, find_answer, load_verdicts
from nnequiv.io.vnnlib import load_query
from nnequiv.lp import LPError
from nnequiv.network import Network
from nnequiv.reach.engine import Engine
from nnequiv.results import Json

#: What a row can say, in the order of the table: what disagrees comes first.
JUDGEMENTS = ("REFUTED", "ERROR", "MISSING", "UNDECIDED", "CONFIRMED")

#: Characters of the evidence that go into the line after each instance; the table holds all.
SHOWN = 150

#: Networks kept in memory: lists go through the properties of one network, or the networks of one property.
NETWORKS_KEPT = 8


@dataclass(frozen=True)
class Row:
    """One instance of the table.

    Attributes
    ----------
    judgement : str
        One of :data:`JUDGEMENTS`; ``ERROR`` if a file could not be read, ``MISSING`` if there is no result.
    networks, query : str
        As the list of instances gives them.
    timeout : float
        Seconds, of the list.
    claimed : str
        The tool's verdict.
    ours : str
        What we found: ``sat`` or ``unsat``, or how our search ended; empty if none was needed.
    seconds : float
    evidence : str
    """

    judgement: str
    networks: str
    query: str
    timeout: float
    claimed: str
    ours: str
    seconds: float
    evidence: str

    @property
    def instance(self) -> tuple[str, str, float]:
        """What identifies it in the list of instances."""
        return self.networks, self.query, self.timeout


@dataclass(frozen=True)
class Table(Json):
    """All rows, those that disagree first."""

    rows: tuple[Row, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows say what."""
        found = Counter(row.judgement for row in self.rows)
        return {judgement: found[judgement] for judgement in JUDGEMENTS}

    @property
    def summary(self) -> str:
        """One line for a reader."""
        parts = [f"{count} {judgement}" for judgement, count in self.counts.items() if count]
        return f"{len(self.rows)} instances: {', '.join(parts) or 'none'}"

    def _record(self) -> dict:
        return {"counts": self.counts, "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, text: str) -> Table:
        """The table that :meth:`to_json` wrote: equal to it."""
        return cls(tuple(Row(**record) for record in json.loads(text)["rows"]))


def audit_instances(
    instances,
    results,
    table,
    engine: str | Engine = "auto",
    *,
    time_limit: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Table:
    """Audit every instance of a list, and keep the table on disk complete after each.

    Parameters
    ----------
    instances : path
        VNN-COMP's ``instances.csv``; networks and queries are relative to its folder.
    results : path
        Folder with a ``results.csv`` (a row names network, query and verdict), a file ``NETWORK_QUERY`` for each
        instance (with ``.txt``, ``.result``, ``.out`` or ``.counterexample``, gzipped or not), or both.
    table : path
        CSV to write. Rows that are already there are kept and their instances skipped.
    engine : str or engine
    time_limit : float, optional
        Seconds an instance, if that is less than the list's.
    say : callable, optional
        Gets a line after each instance.

    Raises
    ------
    ValueError
        If the list, the folder or an existing table cannot be read. What is wrong with one instance becomes its row.
    KeyboardInterrupt
        After Ctrl-C; the table then holds all finished instances.
    """
    listed, folder = load_instances(instances), Path(instances).parent
    if not Path(results).is_dir():
        raise ValueError(f"{results}: it must be a folder of results")
    verdicts = load_verdicts(Path(results) / "results.csv")
    done = {row.instance: row for row in read_table(table)} if Path(table).exists() else {}
    kept = lru_cache(NETWORKS_KEPT)(load)
    order = {_key(instance): number for number, instance in enumerate(listed)}
    _write(table, _table(done, order))  # refuses a path that cannot be written before the work starts
    for number, instance in enumerate(listed, start=1):
        if _key(instance) in done:
            continue
        row = _row(instance, folder, Path(results), verdicts, kept, engine, time_limit)
        done[row.instance] = row
        _write(table, _table(done, order))
        say(f"{number}/{len(listed)} {row.judgement} {row.networks} {row.query}: {row.evidence[:SHOWN]}")
    return _table(done, order)


def _table(done: dict, order: dict) -> Table:
    """What disagrees first; then as in the list, and rows of an earlier list last."""
    ranks = {row: (JUDGEMENTS.index(row.judgement), order.get(key, len(order))) for key, row in done.items()}
    return Table(tuple(sorted(done.values(), key=ranks.get)))


def _key(instance: Instance) -> tuple[str, str, float]:
    names = " ".join(file if name is None else f"{name}={file}" for name, file in instance.networks)
    return names, instance.query, instance.timeout


def _row(instance: Instance, folder: Path, results: Path, verdicts, load_network, engine, time_limit) -> Row:
    """One instance, whatever happens to it."""
    claimed = ""
    try:
        answer = find_answer(instance, results, verdicts)
        if answer is None:
            return Row("MISSING", *_key(instance), "", "", 0.0, "no result is in the folder")
        claimed = answer.verdict
        query = load_query(_or_zipped(folder / instance.query))
        networks = _networks(instance, query, lambda file: load_network(folder / file))
        limit = instance.timeout if time_limit is None else min(instance.timeout, time_limit)
        found = audit(query, networks, answer, engine, time_limit=limit)
    except (ValueError, OSError, MemoryError, LPError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        return Row("ERROR", *_key(instance), claimed, "", 0.0, message)
    if found.verification is not None and INTERRUPTED in found.verification.reason:
        raise KeyboardInterrupt
    evidence = "; ".join(found.evidence)
    return Row(found.judgement.value, *_key(instance), claimed, _ours(found), round(found.seconds, 3), evidence)


def _ours(found: Audit) -> str:
    if found.verification is not None:
        return "sat" if found.verification.rational else found.verification.verdict
    return "sat" if found.judgement.value == "CONFIRMED" else ""


def _networks(instance: Instance, query: Query, load_network: Callable[[str], Network]) -> dict[str, Network]:
    if len(instance.networks) == 1 and instance.networks[0][0] is None:
        if len(query.names) > 1:
            raise ValueError(f"the query declares {', '.join(query.names)}, but the list gives one file without a name")
        return {query.names[0]: load_network(instance.networks[0][1])}
    return {name: load_network(file) for name, file in instance.networks}


def _or_zipped(path: Path) -> Path:
    """VNN-COMP's lists name ``prop.vnnlib`` where the folder holds ``prop.vnnlib.gz``."""
    zipped = path.with_name(f"{path.name}.gz")
    return zipped if zipped.exists() and not path.exists() else path


# The table


def read_table(path) -> list[Row]:
    """The rows that :func:`audit_instances` wrote.

    Raises
    ------
    ValueError
        If it is no such table: it is not overwritten then.
    """
    if not read_text(path).endswith("\n"):
        raise ValueError(f"{path}: it ends in the middle of a row")
    header, *lines = csv_rows(Path(path)) or [[]]
    names = [field.name for field in fields(Row)]
    rows = []
    for number, cells in enumerate(lines, start=2):
        values = dict(zip(names, cells, strict=False))
        try:
            if len(cells) != len(names) or values["judgement"] not in JUDGEMENTS:
                raise ValueError
            rows.append(Row(**{**values, "timeout": float(values["timeout"]), "seconds": float(values["seconds"])}))
        except ValueError:
            raise ValueError(f"{path}, row {number}: this is no row of an audit's table") from None
    if header != names:
        raise ValueError(f"{path}: the first row must be {','.join(names)}: this is no table of an audit")
    return rows


def _write(path, table: Table) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in table.rows:
        record = asdict(row)
        record["evidence"] = record["evidence"].encode("ascii", "backslashreplace").decode()
        writer.writerow(record.values())
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))
