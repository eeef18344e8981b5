"""Writes proposed register directories, and records what was left out of them."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass, fields
from itertools import chain, count
from pathlib import Path

import yaml

from services.core.errors import Fault, InputError
from services.core.model import Link

LINK_COLUMNS = tuple(field.name for field in fields(Link))
"""The columns of links.csv."""

ANSWERS = {
    "kind": "http",
    "timeout": "10s",
    "expect": {"status": [200, 204, *range(400, 407), 415]},
}
"""A probe without credentials: a working server refuses it at worst; only silence or a server error means an outage."""


@dataclass(frozen=True, slots=True)
class RegisterProposal:
    """The files of a register directory by name, and what was left out of them."""

    files: dict[str, str]
    left_out: tuple[Fault, ...]


def omission(file: str, line: int, name: str, reason: str) -> Fault:
    """Return the place of a list's entry that has no counterpart in the proposal (line 0: the file), and the reason."""
    return Fault(file, line, 0, f"{name}: {reason}")


def write_files(files: dict[str, str], out: Path) -> None:
    """Write the files of a new register directory. Raises InputError when ``out`` is not empty or cannot be written."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"directory {out}", [Fault(str(out), 0, 0, "it is not empty: name a new directory")])
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8", newline="")
    except OSError as error:
        reason = f"it cannot be written: {error.strerror}"
        raise InputError(f"directory {out}", [Fault(str(error.filename), 0, 0, reason)]) from error


def slug(text: str) -> str:
    """Turn a name into an id; empty when no character of it is allowed in one."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].rstrip("-")


def unused_id(taken: Container[str], *names: str) -> str:
    """Return an id that is not ``taken``: of the first of these names that makes one, else of the first with a number.

    At least one of them must make an id.
    """
    ids = [made for name in names if (made := slug(name))]
    numbered = (f"{ids[0][:57]}-{number}" for number in count(2))
    return next(candidate for candidate in chain(ids, numbered) if candidate not in taken)


def to_yaml(value: object) -> str:
    """Return a value as YAML, with its keys in their own order."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def to_csv(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return the rows as CSV, under their header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
