"""The command ``nnequiv``: the only place that prints. Every command is a few lines over the public functions.

Exit codes: 0 equivalent or done, 1 not equivalent, 2 bad input (one line on standard error), 3 unknown. SIGINT (Ctrl-C)
and SIGTERM end a command with what is proved so far (:mod:`nnequiv.cli.interrupts`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import nnequiv as nq
from nnequiv.cli.audit import add_audit, add_supports, add_verify
from nnequiv.cli.certificate import add_check
from nnequiv.cli.interrupts import Interrupted, interruptible
from nnequiv.cli.questions import add_convert, add_discrepancy, add_equivalent, add_regions
from nnequiv.cli.repair import add_demo, add_repair
from nnequiv.cli.shared import BAD_INPUT, UNKNOWN, Parser
from nnequiv.cli.study import add_study
from nnequiv.lp import LPError

COMMANDS = (
    add_demo,
    add_discrepancy,
    add_equivalent,
    add_regions,
    add_repair,
    add_verify,
    add_audit,
    add_supports,
    add_check,
    add_convert,
    add_study,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(_joined(words))
    arguments.words = ["nnequiv", *words]
    with interruptible(arguments.command):
        return _run(arguments)


def _run(arguments) -> int:
    try:
        return arguments.run(arguments)
    except BrokenPipeError:  # who read the answer has left, as "head" does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNKNOWN
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        print(f"nnequiv {arguments.command}: error: {message}", file=sys.stderr)
        return BAD_INPUT
    except (nq.Stopped, LPError) as stop:
        print(f"nnequiv {arguments.command}: {stop}", file=sys.stderr)
        return UNKNOWN
    except (KeyboardInterrupt, Interrupted):
        print(f"nnequiv {arguments.command}: interrupted, nothing is proved", file=sys.stderr)
        return UNKNOWN


def _joined(argv: Sequence[str]) -> list[str]:
    """``--box -1:1`` as ``--box=-1:1``: argparse would take the value for a flag."""
    result: list[str] = []
    for word in argv:
        if result and result[-1] in ("--box", "--target") and word[:1] == "-" and word[1:2] in ".0123456789":
            result[-1] += f"={word}"
        else:
            result.append(word)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="nnequiv", description=nq.__doc__)
    parser.add_argument("--version", action="version", version=nq.__version__)
    parser.add_argument("--name", action="version", version="nnequiv", help="show the solver's name and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for add in COMMANDS:
        add(commands)
    return parser
