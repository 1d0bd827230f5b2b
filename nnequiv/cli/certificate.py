"""The command ``check``: an independent re-check of a certificate; and what ``--certificate FILE`` does.

Exit codes of ``check``: 0 and the proved claims in one line, 1 and the first thing that is wrong, 2 bad input,
3 stopped by the time limit.
"""

from __future__ import annotations

import sys

from tqdm import tqdm

import nnequiv as nq
from nnequiv.cli.interrupts import answering
from nnequiv.cli.shared import DONE, NOT_EQUIVALENT, UNKNOWN, add_command, writable


def add_check(commands) -> None:
    example = "nnequiv check proof.json.gz --network f=f.npz --network g=g.npz"
    help = "check a certificate in exact arithmetic, trusting nothing in it"
    parser = add_command(commands, "check", _run_check, help, example)
    parser.add_argument("certificate", metavar="CERTIFICATE", help="a file that --certificate wrote")
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="the certificate must be about this network (.npz, .nnet, .onnx), under this name",
    )
    parser.add_argument("--fast", action="store_true", help="rigorous floating-point bounds instead of exact numbers")
    parser.add_argument("--time-limit", type=float, metavar="S", help="seconds; then stop, with nothing proved")


def _run_check(arguments) -> int:
    networks = {}
    for entry in arguments.network:
        name, equals, path = entry.partition("=")
        if not (name and equals and path):
            raise ValueError(f"--network is {entry!r}: it must be NAME=FILE")
        networks[name] = nq.load(path)
    control = nq.Control(time_limit=arguments.time_limit)
    certificate = nq.Certificate.load(arguments.certificate)
    with tqdm(total=_nodes(certificate), unit=" nodes", disable=not sys.stderr.isatty(), delay=1.0, leave=False) as bar:

        def show(*_) -> None:
            bar.update()
            control.check()

        report = nq.check_certificate(certificate, networks, fast=arguments.fast, progress=show)
    if not report.accepted and control.remaining == 0:
        print(f"stopped by the time limit: {report.text}")
        return UNKNOWN
    print(report.text)
    return DONE if report.accepted else NOT_EQUIVALENT


def _nodes(certificate: nq.Certificate) -> int:
    """Of all claims; 0 if the record is too broken to tell: the checker will say so."""
    try:
        return sum(len(claim["proof"]) for claim in certificate.record["claims"])
    except (KeyError, TypeError):
        return 0


def add_certificate(parser) -> None:
    """The option of the questions."""
    help = "write the answer with its proof (.json or .json.gz)"
    parser.add_argument("--certificate", type=writable, metavar="FILE", help=help)


def write_certificate(arguments, answer) -> list[str]:
    """Write what was asked for, within another time limit; the lines that say so.

    An answer does not get lost because its proof is not found: that is said on standard error.
    """
    if not arguments.certificate:
        return []
    try:
        certificate = answer.certificate(nq.Control(time_limit=getattr(arguments, "time_limit", None)))
    except (ValueError, nq.Stopped, KeyboardInterrupt) as error:  # the answer stands all the same
        print(f"nnequiv: no certificate was written: {str(error) or 'interrupted'}", file=sys.stderr)
        return []
    with answering():
        certificate.save(arguments.certificate)
    name, nodes = arguments.certificate, _nodes(certificate)
    return [f"certificate of {nodes} nodes in {name}: nnequiv check {name}"]
