"""What the commands share: options, output, and errors in one line."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from difflib import get_close_matches

import nnequiv as nq
from nnequiv.cli.interrupts import answering, begin_worker
from nnequiv.io.files import check_file, made_folder, write_atomically
from nnequiv.reach.choose import ENGINES, check_name
from nnequiv.reach.memory import check_limit

DONE, NOT_EQUIVALENT, BAD_INPUT, UNKNOWN = 0, 1, 2, 3


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and which names the flag that was meant."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs, allow_abbrev=False)

    def error(self, message: str):
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and unknown and unknown[0].startswith("--"):
            near = get_close_matches(unknown[0], self._option_string_actions, n=1)
            message += f"; did you mean {near[0]}?" if near else ""
        self.exit(BAD_INPUT, f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)\n")

    def parse_args(self, args=None, namespace=None):
        """Unknown flags are reported by the subcommand that did not know them, so that the hint is from its flags."""
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            getattr(known, "parser", self).error(f"unrecognized arguments: {' '.join(rest)}")
        return known


def option(read: Callable) -> Callable[[str], object]:
    """The type of an option that is refused in the words of ``read``'s ValueError, before any work is done."""

    def typed(text: str):
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


@option
def writable(name: str) -> str:
    """The name of a file to write."""
    if name == "-":
        raise ValueError("-: this cannot go to standard output, name a file")
    check_file(name)
    return name


def json_output(name: str) -> str:
    """``-`` for standard output, or the name of a file to write."""
    return name if name == "-" else writable(name)


@option
def _memory(text: str) -> float:
    check_limit(float(text))
    return float(text)


def add_command(commands, name: str, run, help: str, example: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help, epilog=f"example: {example}")
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_engine(parser) -> None:
    parser.add_argument("--engine", default="auto", type=_engine, help=f"auto (default), {', '.join(ENGINES)}")


@option
def _engine(name: str) -> str:
    check_name(name)
    return name


def seed_value(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"--seed is {text}: it must be a whole number, at least 0")
    return int(text)


def add_question(parser, box: bool = True) -> None:
    """The options every question shares."""
    if box:
        parser.add_argument(
            "--box", required=True, help=".vnnlib file, JSON or CSV with lower and upper rows, or lo:hi"
        )
    add_engine(parser)
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds; then say what is proved so far")
    json = "write the answer as JSON (- for standard output)"
    parser.add_argument("--json", type=json_output, metavar="FILE|-", help=json)


def add_pair(parser) -> None:
    parser.add_argument("f", metavar="F", help="the original network (.npz, .nnet, .onnx)")
    parser.add_argument("g", metavar="G", help="the compressed network")
    parser.add_argument("--tolerance", type=float, default=1e-6, metavar="T", help="absolute, default 1e-6")
    add_workers(parser)


def add_workers(parser) -> None:
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes, for engines that use them")


def numbers(flag: str, text: str, kind) -> list:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{flag} is {text!r}: it must be {kind.__name__} values, separated by commas") from None


def pair_and_box(arguments):
    f, g = nq.load(arguments.f), nq.load(arguments.g)
    return f, g, nq.load_box(arguments.box, dimension=f.n_inputs)


def add_long_run(parser) -> None:
    """Options of questions that may take hours."""
    add_checkpoint(parser, every=True)
    limit = "soft limit for the whole process; needs more time"
    parser.add_argument("--memory-limit", type=_memory, metavar="MB", help=limit)


def add_report(parser) -> None:
    help = "write report.html, one page for a reader, and report.json into this folder"
    parser.add_argument("--report", type=_folder, metavar="DIR", help=help)


@option
def _folder(name: str) -> str:
    """Made if it is missing."""
    try:
        made_folder(name)
    except ValueError as error:
        raise ValueError(f"no report can be written there: {error}") from None
    return name


def report_lines(arguments, write: Callable[[str], None]) -> list[str]:
    """Where a report is asked for: let ``write`` write it into its folder; the line that says so."""
    if arguments.report is None:
        return []
    with answering():
        write(arguments.report)
    return [f"report: {arguments.report}/report.html"]


def add_checkpoint(parser, every: bool = False) -> None:
    help = "keep the state here; the same command goes on from it after a kill, to the same answer"
    parser.add_argument("--checkpoint", type=writable, metavar="FILE", help=help)
    if every:
        often = "with --checkpoint: seconds between two writes, default 60"
        parser.add_argument("--checkpoint-every", type=float, default=60.0, metavar="S", help=often)


def long_run_options(arguments) -> dict:
    return {name: getattr(arguments, name) for name in ("checkpoint", "checkpoint_every", "memory_limit")}


def progress_bar():
    """A bar only where somebody sees it."""
    return True if sys.stderr.isatty() else None


@contextmanager
def question_options(arguments):
    """Keyword arguments of a question; opens and closes the pool of workers.

    When the question is answered, nothing that a worker still does is wanted: it is ended, not waited for.
    """
    if arguments.workers < 1:
        raise ValueError(f"--workers is {arguments.workers}: it must be at least 1")
    options = dict(progress=progress_bar(), time_limit=arguments.time_limit)
    if arguments.workers == 1:
        yield options
        return
    executor = ProcessPoolExecutor(arguments.workers, initializer=begin_worker)
    try:
        yield dict(options, executor=executor)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


def evidence_lines(answer) -> list[str]:
    lines = []
    if answer.witness is not None:
        lines.append(f"at output {answer.output}, x = {list(answer.witness)}")
    counts = [f"{getattr(answer, name)} {name}" for name in ("pieces", "nodes", "lps") if getattr(answer, name)]
    lines.append(", ".join([f"engine {answer.engine}", *counts, f"{answer.seconds:.2f} s"]))
    lines.append(f"upper bound by {answer.proof}")
    return lines + ([f"stopped: {answer.reason}"] if answer.reason else [])


def say(arguments, lines: list[str], answer) -> None:
    """The answer for a reader, or as JSON; a file is complete or absent."""
    with answering():
        if arguments.json == "-":
            print(answer.to_json(indent=2), flush=True)
            return
        if arguments.json:
            text = answer.to_json(indent=2) + "\n"
            write_atomically(arguments.json, lambda file: file.write(text.encode()))
        print("\n".join(lines), flush=True)
