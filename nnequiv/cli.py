"""The command ``nnequiv``: the only place that prints. Every command is a few lines over the public functions.

Exit codes: 0 equivalent or done, 1 not equivalent, 2 bad input (one line on standard error), 3 unknown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import numpy as np

import nnequiv as nq
from nnequiv.constraints import constraint_of
from nnequiv.io.files import check_folder, write_atomically
from nnequiv.lp import LPError
from nnequiv.merge import check_pair
from nnequiv.pipeline import sensitive_boxes
from nnequiv.reach.choose import ENGINES, check_name

DONE, NOT_EQUIVALENT, BAD_INPUT, UNKNOWN = 0, 1, 2, 3
EXIT = {nq.Verdict.EQUIVALENT: DONE, nq.Verdict.NOT_EQUIVALENT: NOT_EQUIVALENT, nq.Verdict.UNKNOWN: UNKNOWN}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and which names the flag that was meant."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, allow_abbrev=False)

    def error(self, message: str):
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown[0].startswith("--"):
            near = get_close_matches(unknown[0], self._option_string_actions, n=1)
            message += f"; did you mean {near[0]}?" if near else ""
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def parse_args(self, args=None, namespace=None):
        """Unknown flags are reported by the subcommand that did not know them, so that the hint is from its flags."""
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            getattr(known, "parser", self).error(f"unrecognized arguments: {' '.join(rest)}")
        return known


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        return arguments.run(arguments)
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        print(f"nnequiv {arguments.command}: error: {message}", file=sys.stderr)
        return BAD_INPUT
    except (nq.Stopped, LPError) as stop:
        print(f"nnequiv {arguments.command}: {stop}", file=sys.stderr)
        return UNKNOWN
    except KeyboardInterrupt:
        print(f"nnequiv {arguments.command}: interrupted", file=sys.stderr)
        return UNKNOWN


def _joined(argv: Sequence[str]) -> list[str]:
    """``--box -1:1`` as ``--box=-1:1``: argparse would take the value for a flag."""
    result: list[str] = []
    for word in argv:
        if result and result[-1] == "--box" and word[:1] == "-" and word[1:2] in ".0123456789":
            result[-1] = f"--box={word}"
        else:
            result.append(word)
    return result


def _parser() -> argparse.ArgumentParser:
    from nnequiv.cli_audit import add_audit, add_supports, add_verify  # which needs what the commands share

    parser = _Parser(prog="nnequiv", description=nq.__doc__)
    parser.add_argument("--version", action="version", version=nq.__version__)
    parser.add_argument("--name", action="version", version="nnequiv", help="show the solver's name and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for build in (
        _add_demo,
        _add_discrepancy,
        _add_equivalent,
        _add_regions,
        _add_repair,
        _add_convert,
        add_verify,
        add_audit,
        add_supports,
    ):
        build(commands)
    return parser


def _command(commands, name: str, run, help: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help, epilog=f"example: {example}")
    parser.set_defaults(run=run, parser=parser)
    return parser


def _add_engine(parser) -> None:
    parser.add_argument("--engine", default="auto", type=_engine, help=f"auto (default), {', '.join(ENGINES)}")


def _engine(name: str) -> str:
    """Refused before any work is done."""
    try:
        check_name(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"--seed is {text}: it must be a whole number, at least 0")
    return int(text)


def _add_question(parser, box: bool = True) -> None:
    """The options every question shares."""
    if box:
        parser.add_argument(
            "--box", required=True, help=".vnnlib file, JSON or CSV with lower and upper rows, or lo:hi"
        )
    _add_engine(parser)
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds; then say what is proved so far")
    parser.add_argument("--json", metavar="FILE|-", help="write the answer as JSON (- for standard output)")


def _add_pair(parser) -> None:
    parser.add_argument("f", metavar="F", help="the original network (.npz, .nnet, .onnx)")
    parser.add_argument("g", metavar="G", help="the compressed network")
    parser.add_argument("--tolerance", type=float, default=1e-6, metavar="T", help="absolute, default 1e-6")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, for engines that use them")


# discrepancy, equivalent, regions: the three questions


def _add_discrepancy(commands) -> None:
    example = "nnequiv discrepancy f.npz g.npz --box 0:1"
    help = "the largest |f_i(x) - g_i(x)| over a box, as a proved interval with its witness"
    parser = _command(commands, "discrepancy", _run_discrepancy, help, example)
    _add_pair(parser)
    _add_question(parser)


def _run_discrepancy(arguments) -> int:
    f, g, box = _pair_and_box(arguments)
    with _options(arguments) as options:
        answer = nq.max_discrepancy(f, g, box, arguments.engine, arguments.tolerance, **options)
    lines = [
        f"discrepancy in [{answer.lower!r}, {answer.upper!r}]" + ("" if answer.exact else " (not to the tolerance)")
    ]
    _say(arguments, lines + _evidence(answer), answer)
    return DONE if answer.exact else UNKNOWN


def _add_equivalent(commands) -> None:
    example = "nnequiv equivalent f.npz g.npz --box 0:1 --epsilon 0.05"
    help = "whether g agrees with f everywhere on a box"
    parser = _command(commands, "equivalent", _run_equivalent, help, example)
    _add_pair(parser)
    relation = parser.add_mutually_exclusive_group(required=True)
    relation.add_argument("--epsilon", metavar="E", help="|f_i - g_i| <= E; one number, or one an output: 0.1,0.2")
    relation.add_argument("--top1", action="store_true", help="f's winner is g's winner")
    relation.add_argument("--topk", type=int, metavar="K", help="f's winner is among g's K largest")
    relation.add_argument("--order", metavar="I,J", help="f and g agree on the order of outputs I and J")
    parser.add_argument("--margin", type=float, default=0.0, metavar="M", help="with --top1: where f leads by M")
    _add_question(parser)


def _relation(arguments) -> nq.Epsilon | nq.Top1 | nq.TopK | nq.Order:
    if arguments.epsilon is not None:
        values = _numbers("--epsilon", arguments.epsilon, float)
        return nq.Epsilon(values[0] if len(values) == 1 else tuple(values))
    if arguments.topk is not None:
        return nq.TopK(arguments.topk)
    if arguments.order is not None:
        pair = _numbers("--order", arguments.order, int)
        if len(pair) != 2:
            raise ValueError(f"--order is {arguments.order!r}: it must be two outputs, such as 0,3")
        return nq.Order(*pair)
    return nq.Top1(arguments.margin)


def _run_equivalent(arguments) -> int:
    f, g, box = _pair_and_box(arguments)
    if arguments.margin and not arguments.top1:
        raise ValueError("--margin goes with --top1")
    with _options(arguments) as options:
        answer = nq.check_equivalence(f, g, box, _relation(arguments), arguments.engine, arguments.tolerance, **options)
    lines = [
        f"{answer.verdict.value}: {answer.relation}",
        f"largest violation in [{answer.lower:.9g}, {answer.upper:.9g}] (the relation holds iff it is <= 0)",
    ]
    _say(arguments, lines + _evidence(answer), answer)
    return EXIT[answer.verdict]


def _add_regions(commands) -> None:
    example = "nnequiv regions f.npz --box -1:1"
    help = "count the affine pieces of f, or of f - g, and bound its outputs"
    parser = _command(commands, "regions", _run_regions, help, example)
    parser.add_argument("f", metavar="F")
    parser.add_argument("g", metavar="G", nargs="?")
    parser.add_argument("--list", action="store_true", help="also print every piece: pattern, matrix, offset")
    _add_question(parser)


def _run_regions(arguments) -> int:
    f = nq.load(arguments.f)
    box = nq.load_box(arguments.box, dimension=f.n_inputs)
    network = f if arguments.g is None else (f, nq.load(arguments.g))
    known = dict(progress=_progress(), time_limit=arguments.time_limit)
    if arguments.list:
        if arguments.json == "-":
            raise ValueError("--list and --json - both want standard output")
        for piece in nq.enumerate_pieces(network, box, arguments.engine, time_limit=arguments.time_limit):
            pattern = "".join("01"[int(bit)] for bit in piece.pattern)
            print(f"{pattern or '-'}  C = {piece.matrix.tolist()}  d = {piece.offset.tolist()}")
    answer = nq.survey(network, box, arguments.engine, **known)
    what = "f" if arguments.g is None else "f - g"
    lines = [f"{answer.pieces} pieces of {what}"]
    lines += [
        f"output {i} in [{low!r}, {high!r}]"
        for i, (low, high) in enumerate(zip(answer.lower, answer.upper, strict=True))
    ]
    _say(arguments, [*lines, f"engine {answer.engine}, {answer.seconds:.2f} s"], answer)
    return DONE


# demo and repair


def _add_demo(commands) -> None:
    example = "nnequiv demo --compress prune --out report"
    help = "the whole pipeline on real handwritten digits: train, compress, measure, repair, prove; report and figures"
    parser = _command(commands, "demo", _run_demo, help, example)
    parser.add_argument("--compress", choices=("narrow", "prune", "quantize"), default="narrow")
    parser.add_argument("--target", type=float, default=2.0, metavar="E", help="repaired means |f - g| <= E, default 2")
    parser.add_argument("--out", default="nnequiv-demo", metavar="DIR", help="default nnequiv-demo")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="decides everything random, default 0")
    _add_engine(parser)


def _run_demo(arguments) -> int:
    from nnequiv.demo import run_demo

    choice = dict(compression=arguments.compress, target=arguments.target, seed=arguments.seed, engine=arguments.engine)
    demo = run_demo(arguments.out, **choice, say=lambda line: print(line, flush=True))
    print(f"Report: {arguments.out}/report.md, {demo.record['seconds']:.0f} s")
    return DONE if demo.proved else UNKNOWN


def _add_repair(commands) -> None:
    example = "nnequiv repair f.npz g.npz --data digits --target 2 --out repaired.npz"
    help = "retrain g, at its size, until it is proved to be within E of f on boxes around training images"
    parser = _command(commands, "repair", _run_repair, help, example)
    parser.add_argument("f", metavar="F", help="the original network (.npz, .nnet, .onnx)")
    parser.add_argument("g", metavar="G", help="the compressed network")
    parser.add_argument("--data", required=True, choices=("digits",), help="images to put boxes around and to train on")
    parser.add_argument("--target", type=float, required=True, metavar="E", help="|f_i - g_i| <= E on every box")
    parser.add_argument("--out", required=True, metavar="G2", help="where the repaired network goes")
    parser.add_argument(
        "--keep",
        choices=("shape", "zeros", "grid"),
        default="zeros",
        help="what of G stays: its shape, its zero weights too (default), or the grid its weights are on",
    )
    parser.add_argument("--sets", type=int, default=150, metavar="N", help="boxes, default 150")
    parser.add_argument("--free", type=int, default=4, metavar="K", help="free pixels of a box, default 4")
    parser.add_argument("--radius", type=float, default=0.2, metavar="R", help="of a free pixel, default 0.2")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="at most, default 10")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="default 0")
    _add_engine(parser)
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds; then keep the best so far, not proved")
    parser.add_argument("--json", metavar="FILE|-", help="write the history and the proof as JSON")


def _run_repair(arguments) -> int:
    check_folder(Path(arguments.out).parent)
    f, g = nq.load(arguments.f), nq.load(arguments.g)
    g = nq.Compressed(g.layers, constraint_of(g, arguments.keep))
    rng = np.random.default_rng(arguments.seed)
    data = nq.digits(rng)
    check_pair(f, g)
    if f.n_inputs != data.train_points.shape[1]:
        raise ValueError(f"f has {f.n_inputs} inputs, but {arguments.data} have {data.train_points.shape[1]} pixels")
    images = data.train_points[rng.permutation(len(data.train_points))[: arguments.sets]]
    boxes = sensitive_boxes(f, g, images, arguments.free, arguments.radius)
    answer = nq.repair(
        f,
        g,
        boxes,
        data,
        arguments.target,
        rng=rng,
        rounds=arguments.rounds,
        engine=arguments.engine,
        progress=_progress(),
        time_limit=arguments.time_limit,
    )
    nq.save(answer.network, arguments.out)
    after = answer.discrepancies
    lines = [f"{arguments.out}: {answer.network!r}"]
    if answer.history:
        before = answer.history[0].worst
        lines.append(f"before: largest |f - g| in [{before[0]:.6g}, {before[1]:.6g}]")
    if after:
        interval = max(d.lower for d in after), max(d.upper for d in after)
        lines.append(f"after:  largest |f - g| in [{interval[0]:.6g}, {interval[1]:.6g}] over {len(after)} boxes")
    lines.append(f"proved: within {arguments.target:g}" if answer.proved else f"NOT proved: {answer.reason}")
    _say(arguments, lines, answer)
    return DONE if answer.proved else UNKNOWN


# convert


def _add_convert(commands) -> None:
    example = "nnequiv convert f.onnx f.npz"
    help = "read a network file and write it in another format, by suffix"
    parser = _command(commands, "convert", _run_convert, help, example)
    parser.add_argument("source", metavar="IN")
    parser.add_argument("target", metavar="OUT")


def _run_convert(arguments) -> int:
    network = nq.load(arguments.source)
    nq.save(network, arguments.target)
    print(f"{arguments.target}: {network!r}")
    return DONE


# what the commands share


def _numbers(flag: str, text: str, kind) -> list:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{flag} is {text!r}: it must be {kind.__name__} values, separated by commas") from None


def _pair_and_box(arguments):
    f, g = nq.load(arguments.f), nq.load(arguments.g)
    return f, g, nq.load_box(arguments.box, dimension=f.n_inputs)


def _progress():
    """A bar only where somebody sees it."""
    return True if sys.stderr.isatty() else None


@contextmanager
def _options(arguments):
    """Keyword arguments of a question; opens and closes the pool of workers."""
    if arguments.workers < 1:
        raise ValueError(f"--workers is {arguments.workers}: it must be at least 1")
    options = dict(progress=_progress(), time_limit=arguments.time_limit)
    if arguments.workers == 1:
        yield options
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(arguments.workers) as executor:
        yield dict(options, executor=executor)


def _evidence(answer) -> list[str]:
    lines = []
    if answer.witness is not None:
        lines.append(f"at output {answer.output}, x = {list(answer.witness)}")
    counts = [f"{getattr(answer, name)} {name}" for name in ("pieces", "nodes", "lps") if getattr(answer, name)]
    lines.append(", ".join([f"engine {answer.engine}", *counts, f"{answer.seconds:.2f} s"]))
    lines.append(f"upper bound by {answer.proof}")
    return lines + ([f"stopped: {answer.reason}"] if answer.reason else [])


def _say(arguments, lines: list[str], answer) -> None:
    """The answer for a reader, or as JSON; a file is complete or absent."""
    if arguments.json == "-":
        print(answer.to_json(indent=2))
        return
    if arguments.json:
        text = answer.to_json(indent=2) + "\n"
        write_atomically(arguments.json, lambda file: file.write(text.encode()))
    print("\n".join(lines))
