"""The commands about queries: ``verify`` and ``supports`` (VNN-LIB 2.0's solver interface), and ``audit``.

Exit codes of ``verify``: 0 sat or unsat, 2 bad input, 3 unknown or timed-out. Of ``audit``: 0 confirmed, 1 refuted,
2 bad input, 3 undecided; of a folder the worst of its rows, in the order refuted, error, undecided.

Source of the interface: the VNN-LIB 2.0 standard, chapter "Solver Command-line Interface".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import nnequiv as nq
from nnequiv.audit.claims import Bound
from nnequiv.audit.folder import audit_instances
from nnequiv.audit.judge import Audit, Judgement, audit, audit_bound
from nnequiv.audit.verify import verify
from nnequiv.cli.shared import (
    BAD_INPUT,
    DONE,
    NOT_EQUIVALENT,
    UNKNOWN,
    add_command,
    add_engine,
    add_long_run,
    add_report,
    add_workers,
    json_output,
    long_run_options,
    question_options,
    report_lines,
    say,
)
from nnequiv.io import format_answer, load_answer, load_query
from nnequiv.io.onnx import OPERATORS, OPSETS
from nnequiv.io.query import Query
from nnequiv.io.vnncomp import VERDICTS, Answer

EXIT = {Judgement.CONFIRMED: DONE, Judgement.REFUTED: NOT_EQUIVALENT, Judgement.UNDECIDED: UNKNOWN}

#: What ``supports`` answers, by flag; the theories' names are the standard's.
CAPABILITIES = {
    "onnx-opset-versions": OPSETS,
    "onnx-element-types": ("real",),
    "onnx-operators": tuple(OPERATORS),
    "onnx-operators-unsat-proofs": (),
    "vnnlib-versions": ("1.0", "2.0"),
    "hidden-node-theories": ("NH",),
    "multiple-input-output-theories": ("SIO",),
    "multiple-network-theories": ("SNET", "MENET", "MINET", "MNET"),
    "multiple-node-comparison-theories": ("SNC",),
    "arithmetic-complexity-theories": ("BND", "COUT", "LIN"),
    "optimised-disjunctive-reasoning": ("true",),
    "serialise-assignments": ("false",),
    "unsat-proofs": ("false",),
}


# verify


def add_verify(commands) -> None:
    example = "nnequiv verify prop_1.vnnlib --network N=f.onnx --timeout 60"
    help = "decide a VNN-LIB query about one network or two: sat, unsat, unknown or timed-out"
    parser = add_command(commands, "verify", _run_verify, help, example)
    parser.add_argument("query", metavar="QUERY", help=".vnnlib file, version 1.0 or 2.0, gzipped or not")
    _add_networks(parser, required=True)
    parser.add_argument("--timeout", type=float, dest="time_limit", metavar="S", help="seconds")
    _add_options(parser)
    add_workers(parser)
    add_long_run(parser)


def _run_verify(arguments) -> int:
    query = load_query(arguments.query)
    networks = _networks(query, arguments.network)
    for text in _warnings(query):
        _complain(f"nnequiv verify: warning: {text}")
    with question_options(arguments) as options:
        answer = verify(query, networks, arguments.engine, **long_run_options(arguments), **options)
    text = format_answer(query, answer.verdict, answer.inputs, answer.outputs)
    say(arguments, [text.rstrip("\n")], answer)
    if answer.reason:
        _complain(f"nnequiv verify: {answer.reason}")
    return DONE if answer.verdict in ("sat", "unsat") else UNKNOWN


def _warnings(query: Query) -> list[str]:
    """The query's notes, and a word on element types, which are read as real numbers."""
    kinds = {kind for d in query.declarations for kind in (d.input_type, d.output_type)} - {"real"}
    if not kinds:
        return list(query.notes)
    return [*query.notes, f"declared as {', '.join(sorted(kinds))}, answered for real arithmetic"]


# audit


def add_audit(commands) -> None:
    example = "nnequiv audit prop_1.vnnlib --network N=f.onnx --result answer.txt"
    help = "whether another tool's claim is true: CONFIRMED, REFUTED with the evidence, or UNDECIDED"
    parser = add_command(commands, "audit", _run_audit, help, example)
    parser.add_argument("files", metavar="QUERY | F G", nargs="*", help="a .vnnlib query, or two networks and --box")
    _add_networks(parser, required=False)
    parser.add_argument("--box", help="with F G: .vnnlib file, JSON or CSV with lower and upper rows, or lo:hi")
    claim = parser.add_mutually_exclusive_group()
    claim.add_argument("--result", metavar="FILE", help="the tool's result or counterexample file")
    claim.add_argument("--claim", help='"max<=0.05" (also < >= >) of |f_i - g_i|; or sat, unsat, equivalent')
    parser.add_argument("--instances", metavar="CSV", help="many at once: rows network,query,timeout")
    parser.add_argument("--results", metavar="DIR", help="with --instances: the folder of the tool's results")
    parser.add_argument("--out", metavar="CSV", help="with --instances: the table; rows already in it are skipped")
    parser.add_argument("--time-limit", "--timeout", type=float, metavar="S", help="seconds, for each instance")
    _add_options(parser)
    add_workers(parser)
    add_long_run(parser)
    add_report(parser)


def _run_audit(arguments) -> int:
    if arguments.instances is not None:
        return _run_folder(arguments)
    if arguments.results or arguments.out:
        raise ValueError("--results and --out go with --instances")
    if (arguments.result is None) == (arguments.claim is None):
        raise ValueError("give the claim: --result FILE or --claim TEXT (or --instances CSV)")
    with question_options(arguments) as options:
        options |= long_run_options(arguments)
        answer = _audit_pair(arguments, options) if arguments.box is not None else _audit_query(arguments, options)
    lines = [f"{answer.judgement.value}: {answer.claim}", *answer.evidence, *_report(arguments, answer)]
    say(arguments, lines, answer)
    return EXIT[answer.judgement]


def _report(arguments, found) -> list[str]:
    def write(folder: str) -> None:
        from nnequiv.report.audit_page import write_audit

        write_audit(folder, found, arguments.words)

    return report_lines(arguments, write)


def _audit_pair(arguments, options: dict) -> Audit:
    if len(arguments.files) != 2 or arguments.claim is None:
        raise ValueError('with --box: two networks, F G, and --claim, such as --claim "max<=0.05"')
    bound = Bound.parse(arguments.claim)
    f, g = (nq.load(file) for file in arguments.files)
    return audit_bound(f, g, [nq.load_box(arguments.box, dimension=f.n_inputs)], bound, arguments.engine, **options)


def _audit_query(arguments, options: dict) -> Audit:
    if len(arguments.files) != 1:
        raise ValueError(f"{len(arguments.files)} files are given: it must be one QUERY, or F G with --box")
    query = load_query(arguments.files[0])
    networks = _networks(query, arguments.network or ())
    if arguments.result is not None:
        return audit(query, networks, load_answer(arguments.result), arguments.engine, **options)
    word = arguments.claim.strip().lower()
    if word in VERDICTS:
        return audit(query, networks, Answer(VERDICTS[word], {}), arguments.engine, **options)
    bound = Bound.parse(arguments.claim)
    joined = query.bind(networks)
    if len(joined) != 2:
        raise ValueError(f"--claim {bound} compares two networks, but the query declares {len(joined)}")
    return audit_bound(*joined, query.input_sets, bound, arguments.engine, **options)


def _run_folder(arguments) -> int:
    if arguments.results is None or arguments.out is None:
        raise ValueError("--instances goes with --results DIR and --out CSV")
    if arguments.files or arguments.network or arguments.box or arguments.result or arguments.claim:
        raise ValueError("--instances goes with --results and --out only")
    if arguments.checkpoint or arguments.memory_limit or arguments.workers != 1:
        raise ValueError("--checkpoint, --memory-limit and --workers are for one query; --instances keeps its table")
    table = audit_instances(
        arguments.instances,
        arguments.results,
        arguments.out,
        arguments.engine,
        time_limit=arguments.time_limit,
        say=_complain,
    )
    differing = [row for row in table.rows if row.judgement == "REFUTED"]
    lines = [f"REFUTED {row.networks} {row.query}: {row.claimed}, {row.evidence}" for row in differing]
    say(arguments, [table.summary, *lines, *_report(arguments, table)], table)
    counts = table.counts
    if counts["REFUTED"]:
        return NOT_EQUIVALENT
    if counts["ERROR"]:
        return BAD_INPUT
    return UNKNOWN if counts["MISSING"] or counts["UNDECIDED"] else DONE


# supports


def add_supports(commands) -> None:
    example = "nnequiv supports --vnnlib-versions"
    help = "what queries and networks verify can read, for other tools to ask"
    parser = add_command(commands, "supports", _run_supports, help, example)
    choice = parser.add_mutually_exclusive_group(required=True)
    for name in CAPABILITIES:
        choice.add_argument(f"--{name}", dest="capability", action="store_const", const=name)


def _run_supports(arguments) -> int:
    for line in CAPABILITIES[arguments.capability]:
        print(line)
    return DONE


# what the three share


def _add_networks(parser: argparse.ArgumentParser, required: bool) -> None:
    help = (
        "a network of the query; once for each. NAME= may be left out where the query declares one (N in VNN-LIB 1.0)"
    )
    parser.add_argument("--network", action="append", required=required, metavar="NAME=FILE", help=help)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_engine(parser)
    help = "write the answer as JSON (- for standard output)"
    parser.add_argument("--json", type=json_output, metavar="FILE|-", help=help)


def _networks(query: Query, given: Sequence[str]) -> Mapping[str, nq.Network]:
    """``NAME=FILE`` as networks by name. VNN-LIB 1.0 declares no name, so any will do there."""
    networks: dict[str, nq.Network] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals and len(query.names) > 1:
            raise ValueError(f"--network {text}: it must be NAME=FILE; declared are {', '.join(query.names)}")
        if not equals or query.version == "1.0":
            name, file = query.names[0], file or text
        if name in networks:
            raise ValueError(f"--network {name} is given twice")
        networks[name] = nq.load(file)
    return networks


def _complain(line: str) -> None:
    """Standard output holds the answer only."""
    print(line, file=sys.stderr)
