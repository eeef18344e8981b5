"""Damaged files of the evidence: how damage is noticed, and what would repair it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TypeVar

from services.core.errors import StateError
from services.core.files import set_aside, unsealed
from services.core.log import logger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Damage:
    """``what`` was in a damaged or missing file.

    Messages stored since ``since`` (epoch seconds; -inf: all) held it, so reading them again repairs it. For that the
    days from the one of ``first_slot`` on must be open. If the damage is ``detail_only``, no index needs the file.
    """

    path: Path
    what: str
    since: float = -inf
    first_slot: int | None = None
    detail_only: bool = False


class DamagedFileError(Exception):
    """A file whose content is not what was written."""


def read_file(path: Path, parse: Callable[[memoryview], T]) -> T:
    """Return what ``parse`` makes of a file's content. Raises DamagedFileError and OSError."""
    try:
        return parse(unsealed(path.read_bytes()))
    except (ValueError, KeyError, TypeError, EOFError, FileNotFoundError) as error:
        raise DamagedFileError(str(path)) from error
    except OSError as error:
        if error.errno == errno.EIO:  # a part of the disk that can no longer be read
            raise DamagedFileError(str(path)) from error
        raise


def keep_aside(path: Path) -> None:
    """Set a damaged file aside, if it exists."""
    with suppress(FileNotFoundError):
        logger().error("evidence_damaged", file=str(path), kept_as=set_aside(path).name)


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Raise StateError where a file that the running scorer needs is damaged or cannot be read."""
    try:
        yield
    except DamagedFileError as error:
        raise StateError(
            f"the scorer's state file {path} is damaged: start the scorer again, and it reads again what was in it"
        ) from error
    except OSError as error:
        raise StateError(f"the scorer's state file {path} cannot be read: {error.strerror}; see --data") from error
