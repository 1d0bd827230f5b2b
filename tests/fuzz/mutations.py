"""Ways to damage a file."""

from __future__ import annotations

import gzip
import io
import re
import zipfile

import numpy as np

#: Numbers no file should hold, and some it may.
NUMBERS = [b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"-0.0", b"1e-320", b"9" * 400, b"0x10", b"1_0", b"", b"--1"]
#: Nesting as deep as this must not overflow a stack.
DEEP = 20_000


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes, one after the other; of what is packed, as often inside as outside."""
    if rng.integers(2) and data[:2] in PACKED:
        return PACKED[data[:2]](data, rng)
    for _ in range(rng.integers(1, 4)):
        if data:
            data = WAYS[rng.integers(len(WAYS))](data, rng)
    return data


def _gzip(data: bytes, rng) -> bytes:
    """Damage that the checksum does not give away."""
    return gzip.compress(mutate(gzip.decompress(data), rng), mtime=0)


def _zip(data: bytes, rng) -> bytes:
    """One member damaged, and all packed anew."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        chosen = names[rng.integers(len(names))]
        for name in names:
            new.writestr(name, mutate(old.read(name), rng) if name == chosen else old.read(name))
    return packed.getvalue()


def _bytes(data: bytes, rng) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(data))] = rng.integers(256)
    return bytes(changed)


def _letters(data: bytes, rng) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        changed[rng.integers(len(data))] = rng.integers(32, 127)
    return bytes(changed)


def _bit(data: bytes, rng) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(changed)


def _cut(data: bytes, rng) -> bytes:
    return data[: rng.integers(len(data))]


def _moved(data: bytes, rng) -> bytes:
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 30))
    return data[:at] + data[at + length :] + data[at : at + length]


def _line(data: bytes, rng) -> bytes:
    """A line dropped or repeated."""
    lines = data.split(b"\n")
    chosen = int(rng.integers(len(lines)))
    return b"\n".join(lines[:chosen] + [lines[chosen]] * (2 * int(rng.integers(2))) + lines[chosen + 1 :])


def _number(data: bytes, rng) -> bytes:
    """A number replaced by one that it should not be."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", data))
    if not found:
        return _bytes(data, rng)
    chosen = found[rng.integers(len(found))]
    return data[: chosen.start()] + NUMBERS[rng.integers(len(NUMBERS))] + data[chosen.end() :]


def _size(data: bytes, rng) -> bytes:
    """Four bytes that may be a size, made huge."""
    at = int(rng.integers(len(data)))
    return data[:at] + bytes([255, 255, 255, int(rng.choice([127, 255]))]) + data[at + 4 :]


def _nested(data: bytes, rng) -> bytes:
    """Brackets without an end."""
    at, bracket = int(rng.integers(len(data))), [b"(", b"[", b'{"a":'][rng.integers(3)]
    return data[:at] + bracket * DEEP + data[at:]


def _long(data: bytes, rng) -> bytes:
    """A piece a thousand times over."""
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 20))
    return data[:at] + data[at : at + length] * 1000 + data[at:]


WAYS = [_bytes, _letters, _bit, _cut, _moved, _line, _number, _number, _size, _nested, _long]
PACKED = {b"\x1f\x8b": _gzip, b"PK": _zip}
