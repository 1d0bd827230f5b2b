"""Reading and writing files so that a refusal is one line, and an interrupted write leaves no half file."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

#: No file that this library reads is larger; a larger one is refused before it is read.
MAX_FILE_BYTES = 2**31


class MissingPackage(ImportError, ValueError):
    """An optional package is not installed; the message names the extra. Bad input like any other to a caller."""


def optional_package(name: str, purpose: str):
    """Import the package of the extra of the same name.

    >>> optional_package("json", "anything").__name__
    'json'
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingPackage(f"{purpose} needs the {name} package: pip install 'nnequiv[{name}]'") from None


def read_bytes(path) -> bytes:
    """The file's content; ValueError naming the file if it cannot be read or is over 2 GiB."""
    path = Path(path)
    try:
        if _is_device(path):
            raise ValueError(f"{path}: cannot be read (a device or pipe, which may have no end)")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path}: {path.stat().st_size} bytes, the limit is {MAX_FILE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None


def decode_text(data: bytes, path) -> str:
    """ASCII text with any line ends; ValueError naming the file and line of the first other byte.

    >>> decode_text(b"one\\r\\ntwo", "a.csv")
    'one\\ntwo'
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: byte 0x{data[error.start]:02x} is not ASCII text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path) -> str:
    """:func:`read_bytes` and :func:`decode_text`."""
    return decode_text(read_bytes(path), path)


def check_folder(folder) -> None:
    """ValueError if no file can be written there: to be asked before the work whose result goes there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror})") from None


def made_folder(folder) -> Path:
    """The folder, made if it is missing, and tried: a minute of work should not end in a folder that takes no files."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder}: cannot be made ({error.strerror})") from None
    check_folder(folder)
    return folder


def check_file(path) -> None:
    """ValueError if no file of this name can be written: to be asked before the work whose result goes there."""
    if Path(path).is_dir():
        raise ValueError(f"{path}: cannot be written (it is a folder)")
    if _is_device(path):
        return
    try:
        check_folder(Path(path).parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _is_device(path) -> bool:
    """A device or pipe: there is nothing to keep, and a file renamed to its name would take its place."""
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def write_atomically(path, write: Callable) -> None:
    """Call ``write(file)`` on a temporary file beside ``path``, then rename it: the whole file or none.

    A device or pipe is written to as it is, and a symbolic link stays one.

    Parameters
    ----------
    path : str or path
    write : callable
        Takes a binary file object.
    """
    path = Path(path)
    temporary = None
    try:
        if _is_device(path):
            with open(path, "wb") as file:
                write(file)
            return
        path = path.resolve()
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            write(file)
        # Temporary files are private to their owner; a written network gets the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise ValueError(f"{path}: cannot be written ({error.strerror})") from None
        raise
