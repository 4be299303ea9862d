"""Files and folders that get their name only when they are complete."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from app.errors import ReceiverError

#: Exports contain telephone numbers.
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class NotWritable(ReceiverError):
    """A file or folder cannot be written; the message says which, and why."""


@contextmanager
def complete_file(path: Path) -> Iterator[BinaryIO]:
    """
    Write *path*, under another name until the block has succeeded.

    An existing file is replaced; a symbolic link stays, and its target is replaced.

    Raises:
        NotWritable: the file or its disk does not allow that.
    """
    with _oserror_as_not_writable(path):
        path = _to_replace(path)
    partial = _partial(path)
    with _oserror_as_not_writable(path):
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """
    Fill the new folder *path*, under another name until the block has succeeded.

    Raises:
        NotWritable: the folder exists, or its disk does not allow that.
    """
    if path.exists():
        raise NotWritable(f"{path} exists already. Give the name of a folder that does not.")
    partial = _partial(path)
    with _oserror_as_not_writable(path):
        partial.mkdir(mode=_FOLDER_MODE)
        try:
            yield partial
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """
    Write standard output, which stays open.

    Raises:
        NotWritable: its disk does not allow that.
        BrokenPipeError: its other end is closed.
    """
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NotWritable(
            f"Standard output cannot be written: {error.strerror or error}."
        ) from error


def _to_replace(path: Path) -> Path:
    """The file that *path* names; it need not exist yet."""
    if path.is_dir():
        raise NotWritable(f"{path} is a folder. Give the name of a file.")
    # Renamed over a device, the file would replace it: as root, /dev/null for all programs.
    if path.exists() and not path.is_file():
        raise NotWritable(f"{path} is not a file. Give the name of one, or - for standard output.")
    return path.resolve() if path.is_symlink() else path


def _partial(path: Path) -> Path:
    if not path.name:
        raise NotWritable(f"{str(path)!r} is not the name of a file.")
    return path.with_name(f"{path.name}.partial")


@contextmanager
def _oserror_as_not_writable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise NotWritable(
            f"{_partial(path)} exists: another export is writing it, or one was killed. Remove the "
            "file if no export is running."
        ) from error
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror or error}.") from error
