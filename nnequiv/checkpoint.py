"""A checkpoint as a file: a call that was killed at any moment goes on from the last one that was written.

The file is an uncompressed NumPy archive of arrays, and of one JSON text with all else; nothing in it is executed. It
names the question it belongs to by hashes, so that nothing else goes on from it, and a digest refuses a damaged file.
It is written beside its place, flushed to the disk and renamed. A checkpoint is the memory of a search, not evidence:
an answer rests on it as it would rest on that memory. For evidence that anyone can check there are certificates.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np

from nnequiv.control import Checkpoint, Stopped
from nnequiv.network import Network
from nnequiv.sets import Box, Polytope
from nnequiv.version import VERSION

#: The member that holds the JSON text, and the version of the layout.
FACTS, LAYOUT = "facts", 1


def open_checkpoint(path, identity: dict[str, str], every: float = 60.0) -> Checkpoint:
    """A checkpoint in a file: what is in it if it exists, and how to write it.

    Parameters
    ----------
    path : str or path
    identity : dict
        By name, all that the state depends on, as text or hash.
    every : float
        Seconds between two writes.

    Raises
    ------
    ValueError
        In one line: if the file is damaged, or belongs to something else, and what differs.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     open_checkpoint(folder + "/run", {"tolerance": "1e-6"}).write({"k": 1}, {"x": np.arange(3)})
    ...     open_checkpoint(folder + "/run", {"tolerance": "1e-6"}).saved
    ({'k': 1}, {'x': array([0, 1, 2])})
    """
    path = Path(path)
    identity = {"version of nnequiv": VERSION, **identity}
    saved = None
    if path.exists():
        kept, *saved = _read(path)
        differing = [name for name in {**identity, **kept} if identity.get(name) != kept.get(name)]
        if differing:
            raise ValueError(f"{path}: it is the checkpoint of another run: {', '.join(differing)} differ")

    def write(facts: dict, arrays: dict[str, np.ndarray]) -> None:
        try:
            _write(path, identity, facts, arrays)
        except OSError as error:
            raise Stopped(f"the checkpoint {path} cannot be written ({error.strerror})") from None

    return Checkpoint(write, None if saved is None else tuple(saved), every)


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data.cast("B") if values.size else b"")
    return digest.hexdigest()


def _write(path: Path, identity: dict, facts: dict, arrays: dict[str, np.ndarray]) -> None:
    """Always under the same temporary name: however often a run is killed, one is left over at most."""
    text = json.dumps({"layout": LAYOUT, "identity": identity, "facts": facts})
    content = json.dumps({"digest": _digest(text, arrays), "text": text})
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **{FACTS: np.frombuffer(content.encode(), dtype=np.uint8)}, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:  # a full disk: what is left would only fill it further
        temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[dict, dict, dict]:
    """Identity, facts and arrays."""
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        if any(m.compress_type != zipfile.ZIP_STORED for m in members) or sum(m.file_size for m in members) > size:
            raise ValueError("it is compressed, which no checkpoint is")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        content = json.loads(arrays.pop(FACTS).tobytes())
        if content["digest"] != _digest(content["text"], arrays):
            raise ValueError("its digest is another one")
        record = json.loads(content["text"])
        if record["layout"] != LAYOUT:
            raise ValueError(f"layout {record['layout']} is not known")
        if not isinstance(record["identity"], dict):
            raise ValueError("it does not say whose it is")
        return record["identity"], record["facts"], arrays
    except Exception as error:  # zipfile, NumPy and json raise a dozen kinds on damaged files
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: damaged, or no checkpoint ({why})") from None


def hash_of(*values) -> str:
    """One hash of networks, input sets, objectives, arrays and whatever has a faithful ``repr``.

    >>> hash_of(Box([0.0], [1.0])) == hash_of(Box([0.0], [1.0])), hash_of(1.0) == hash_of(2.0)
    (True, False)
    """
    digest = hashlib.sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest, value) -> None:
    """Every value with its kind and length, so that no two lists of values give the same bytes."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape} ".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Network):
        _feed(digest, [part for layer in value.layers for part in (layer.weight, layer.bias)])
    elif isinstance(value, Box):
        _feed(digest, ["box", value.lower, value.upper])
    elif isinstance(value, Polytope):
        _feed(digest, ["polytope", value.matrix, value.bound, value.within])
    elif isinstance(value, Sequence) and not isinstance(value, str):
        digest.update(f"list {len(value)} ".encode())
        for entry in value:
            _feed(digest, entry)
    else:
        text = repr(value).encode()
        digest.update(f"{type(value).__name__} {len(text)} ".encode() + text)


def checkpoint_of(
    path, every: float, networks, input_set, objectives, engine, tolerance: float, threshold: float | None
) -> Checkpoint | None:
    """The checkpoint of a search, by all that it depends on; None without a path."""
    if path is None:
        return None
    names = ("f", "g") if len(networks) == 2 else tuple(map(str, range(len(networks))))
    identity = {
        **{f"network {name}": hash_of(network) for name, network in zip(names, networks, strict=True)},
        "the input set": hash_of(input_set),
        "the relation or outputs": hash_of([astuple(objective) for objective in objectives]),
        "the threshold": repr(threshold),
        "the tolerance": repr(float(tolerance)),
        "the engine": repr(engine),
    }
    return open_checkpoint(path, identity, every)
