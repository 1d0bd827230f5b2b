"""The certificate of a repair: how far g was before, and that it is within the target after, on every input set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnequiv.certificate.write import Certificate, certify, statement_of
from nnequiv.control import Control
from nnequiv.results import Discrepancy

#: What is proved of the discrepancy before the repair: this much above its exact value. Only the target must be met
#: to the last digit, and a proof with room to spare is far shorter.
ROOM = 1.1


def certify_repair(
    before: Sequence[Discrepancy],
    after: Sequence[Discrepancy],
    target: float,
    control: Control | None = None,
) -> Certificate:
    """One certificate with a claim, and a tree, for each input set before and after.

    Parameters
    ----------
    before, after : sequences of Discrepancy
        Of the same f against g as it came, and against the repaired g; as :func:`nnequiv.max_discrepancies` returns.
    target : float
        What is proved of every discrepancy after the repair: ``max |f_i − g_i| ≤ target``.

    Raises
    ------
    ValueError
        If an answer does not hold what was asked.
    nnequiv.certificate.NotProved
        If the target is not met.

    Examples
    --------
    >>> import nnequiv as nq
    >>> f, boxes = nq.Network([([[1.0]], [0.0])]), [nq.Box([0.0], [1.0]), nq.Box([2.0], [3.0])]
    >>> before, after = (nq.max_discrepancies(f, nq.Network([([[1.0]], [b])]), boxes) for b in (1.0, 0.125))
    >>> nq.check_certificate(certify_repair(before, after, 0.25)).accepted
    True
    """
    if any(answer.asked is None for answer in (*before, *after)):
        raise ValueError("an answer does not hold what was asked: it was read from JSON")
    networks: dict[str, Any] = {}
    statements = []
    for name, answers in (("before", before), ("after", after)):
        for answer in answers:
            asked: Any = answer.asked
            networks |= {"f": asked.f, name: asked.g}
            statement = statement_of(answer, asked.f, asked.g, asked.input_set, asked.question, ("f", name))
            upper = target if name == "after" else None if statement.upper is None else ROOM * statement.upper
            statements.append(replace(statement, upper=upper))
    return certify(networks, statements, control)
