"""The commands ``discrepancy``, ``equivalent``, ``regions``, and ``convert``."""

from __future__ import annotations

import sys
from contextlib import contextmanager

import nnequiv as nq
from nnequiv.cli.certificate import add_certificate, write_certificate
from nnequiv.cli.shared import (
    DONE,
    NOT_EQUIVALENT,
    UNKNOWN,
    add_command,
    add_long_run,
    add_pair,
    add_question,
    add_report,
    add_workers,
    evidence_lines,
    long_run_options,
    numbers,
    pair_and_box,
    question_options,
    report_lines,
    say,
)
from nnequiv.reach.intervals import interval_bound
from nnequiv.relations import output_objectives

EXIT = {nq.Verdict.EQUIVALENT: DONE, nq.Verdict.NOT_EQUIVALENT: NOT_EQUIVALENT, nq.Verdict.UNKNOWN: UNKNOWN}


def add_discrepancy(commands) -> None:
    example = "nnequiv discrepancy f.npz g.npz --box 0:1"
    help = "the largest |f_i(x) - g_i(x)| over a box, as a proved interval with its witness"
    parser = add_command(commands, "discrepancy", _run_discrepancy, help, example)
    add_pair(parser)
    add_question(parser)
    add_long_run(parser)
    add_certificate(parser)
    add_report(parser)


def _run_discrepancy(arguments) -> int:
    f, g, box = pair_and_box(arguments)
    with question_options(arguments) as options, traced(arguments, options) as trace:
        answer = nq.max_discrepancy(
            f, g, box, arguments.engine, arguments.tolerance, **long_run_options(arguments), **options
        )
    lines = [
        f"discrepancy in [{answer.lower!r}, {answer.upper!r}]" + ("" if answer.exact else " (not to the tolerance)")
    ]
    lines += evidence_lines(answer) + write_certificate(arguments, answer)
    lines += _report(arguments, answer, (f, g), box, trace)
    say(arguments, lines, answer)
    return DONE if answer.exact else UNKNOWN


@contextmanager
def traced(arguments, options: dict):
    """Where a report is asked for, bounds over time are written down."""
    if arguments.report is None:
        yield None
        return
    from nnequiv.plot import Trace

    options["progress"] = Trace(shown=bool(options["progress"]))
    yield options["progress"]


def _report(arguments, answer, pair, box, trace) -> list[str]:
    def write(folder: str) -> None:
        from nnequiv.report.answer_page import write_answer

        write_answer(folder, answer, pair, (arguments.f, arguments.g), box, arguments.words, trace)

    return report_lines(arguments, write)


def add_equivalent(commands) -> None:
    example = "nnequiv equivalent f.npz g.npz --box 0:1 --epsilon 0.05"
    help = "whether g agrees with f everywhere on a box"
    parser = add_command(commands, "equivalent", _run_equivalent, help, example)
    add_pair(parser)
    relation = parser.add_mutually_exclusive_group(required=True)
    relation.add_argument("--epsilon", metavar="E", help="|f_i - g_i| <= E; one number, or one an output: 0.1,0.2")
    relation.add_argument("--top1", action="store_true", help="f's winner is g's winner")
    relation.add_argument("--topk", type=int, metavar="K", help="f's winner is among g's K largest")
    relation.add_argument("--order", metavar="I,J", help="f and g agree on the order of outputs I and J")
    parser.add_argument("--margin", type=float, default=0.0, metavar="M", help="with --top1: where f leads by M")
    add_question(parser)
    add_long_run(parser)
    add_certificate(parser)
    add_report(parser)


def _relation(arguments) -> nq.Epsilon | nq.Top1 | nq.TopK | nq.Order:
    if arguments.epsilon is not None:
        values = numbers("--epsilon", arguments.epsilon, float)
        return nq.Epsilon(values[0] if len(values) == 1 else tuple(values))
    if arguments.topk is not None:
        return nq.TopK(arguments.topk)
    if arguments.order is not None:
        pair = numbers("--order", arguments.order, int)
        if len(pair) != 2:
            raise ValueError(f"--order is {arguments.order!r}: it must be two outputs, such as 0,3")
        return nq.Order(*pair)
    return nq.Top1(arguments.margin)


def _run_equivalent(arguments) -> int:
    f, g, box = pair_and_box(arguments)
    if arguments.margin and not arguments.top1:
        raise ValueError("--margin goes with --top1")
    with question_options(arguments) as options, traced(arguments, options) as trace:
        answer = nq.check_equivalence(
            f,
            g,
            box,
            _relation(arguments),
            arguments.engine,
            arguments.tolerance,
            **long_run_options(arguments),
            **options,
        )
    lines = [
        f"{answer.verdict.value}: {answer.relation}",
        f"largest violation in [{answer.lower:.9g}, {answer.upper:.9g}] (the relation holds iff it is <= 0)",
    ]
    lines += evidence_lines(answer) + write_certificate(arguments, answer)
    lines += _report(arguments, answer, (f, g), box, trace)
    say(arguments, lines, answer)
    return EXIT[answer.verdict]


def add_regions(commands) -> None:
    example = "nnequiv regions f.npz --box -1:1"
    help = "count the affine pieces of f, or of f - g, and bound its outputs"
    parser = add_command(commands, "regions", _run_regions, help, example)
    parser.add_argument("f", metavar="F")
    parser.add_argument("g", metavar="G", nargs="?")
    parser.add_argument("--list", action="store_true", help="also print every piece: pattern, matrix, offset")
    parser.add_argument("--explain", action="store_true", help="print what the star engine does, step by step")
    add_question(parser)
    add_workers(parser)
    add_long_run(parser)


def _run_regions(arguments) -> int:
    f = nq.load(arguments.f)
    box = nq.load_box(arguments.box, dimension=f.n_inputs)
    network = f if arguments.g is None else (f, nq.load(arguments.g))
    wanted = [flag for flag in ("list", "explain") if getattr(arguments, flag)]
    if wanted and arguments.json == "-":
        raise ValueError(f"--{wanted[0]} and --json - both want standard output")
    if arguments.explain:
        engine = "star" if arguments.engine == "auto" else arguments.engine
        for event in nq.steps(network, box, engine, time_limit=arguments.time_limit):
            print(event.text)
    if arguments.list:
        for piece in nq.enumerate_pieces(network, box, arguments.engine, time_limit=arguments.time_limit):
            pattern = "".join("01"[int(bit)] for bit in piece.pattern)
            print(f"{pattern or '-'}  C = {piece.matrix.tolist()}  d = {piece.offset.tolist()}")
    try:
        with question_options(arguments) as options:
            answer = nq.survey(network, box, arguments.engine, **long_run_options(arguments), **options)
    except (nq.Stopped, KeyboardInterrupt) as stop:
        return _unknown_regions(arguments, network, box, str(stop) or "interrupted")
    what = "f" if arguments.g is None else "f - g"
    lines = [f"{answer.pieces} pieces of {what}"]
    lines += [
        f"output {i} in [{low!r}, {high!r}]"
        for i, (low, high) in enumerate(zip(answer.lower, answer.upper, strict=True))
    ]
    say(arguments, [*lines, f"engine {answer.engine}, {answer.seconds:.2f} s"], answer)
    return DONE


def _unknown_regions(arguments, network, box, reason: str) -> int:
    """A count of some pieces is no answer; intervals of the outputs are proved without any."""
    print(f"nnequiv regions: {reason}", file=sys.stderr)
    if arguments.json != "-":
        networks = network if isinstance(network, tuple) else (network,)
        objectives = output_objectives(networks[0].n_outputs, pair=len(networks) == 2)
        most = [interval_bound(networks, box, [objective]) for objective in objectives]
        lines = [
            f"output {i} in [{-low!r}, {high!r}]"
            for i, (high, low) in enumerate(zip(most[::2], most[1::2], strict=True))
        ]
        print("\n".join(["UNKNOWN: the pieces are not counted", *lines, "by interval arithmetic alone"]), flush=True)
    return UNKNOWN


def add_convert(commands) -> None:
    example = "nnequiv convert f.onnx f.npz"
    help = "read a network file and write it in another format, by suffix"
    parser = add_command(commands, "convert", _run_convert, help, example)
    parser.add_argument("source", metavar="IN")
    parser.add_argument("target", metavar="OUT")


def _run_convert(arguments) -> int:
    network = nq.load(arguments.source)
    nq.save(network, arguments.target)
    print(f"{arguments.target}: {network!r}")
    return DONE
