"""What repair has measured, kept in a checkpoint: a run that was killed trains again, and asks no engine twice.

Training takes the same steps from the same generator, so it meets the same networks again; the engine's answers about
them are the long part, and are looked up by a hash of the weights. What the checkpoint does not know is measured. The
proof at the end is never taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nnequiv.checkpoint import hash_of, open_checkpoint
from nnequiv.network import Network
from nnequiv.repair.result import Violation
from nnequiv.repair.target import Distance, Target
from nnequiv.results import Answer, Asked, Discrepancy


def kept_looks(look: Callable, path, target: Target, input_sets: Sequence, **depends) -> Callable:
    """``look``, a function from g to an answer for each input set, that remembers its answers in a file.

    Parameters
    ----------
    depends : by name
        All else that the answers and the training depend on, as :func:`nnequiv.checkpoint.hash_of` takes it.

    Raises
    ------
    ValueError
        If the file is damaged or belongs to another repair.
    """
    wanted = [*target.partners, type(target).__name__, target.given, getattr(target, "labels", ())]
    identity = {"the target": hash_of(wanted), "the input sets": hash_of(list(input_sets))}
    identity |= {name.replace("_", " "): hash_of(value) for name, value in depends.items()}
    checkpoint = open_checkpoint(path, identity)
    known = {} if checkpoint.saved is None else dict(checkpoint.saved[0]["looks"])
    kind = Discrepancy if isinstance(target, Distance) else Violation

    def looked(g: Network) -> list[Answer]:
        key = hash_of(g)
        if key not in known:
            answers = look(g)
            known[key] = [answer.to_json() for answer in answers]
            checkpoint.write({"looks": known}, {})
            return answers
        partner = target.partners[0] if target.partners else g
        question = None if isinstance(target, Distance) else target
        asked = [Asked(partner, g, input_set, question) for input_set in input_sets]
        return [replace(kind.from_json(text), asked=a) for text, a in zip(known[key], asked, strict=True)]

    return looked
