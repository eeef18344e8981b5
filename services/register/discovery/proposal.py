"""Writes proposed register directories, and records what was left out of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable
from dataclasses import dataclass, fields
from datetime import date
from itertools import chain, count
from pathlib import Path

import yaml

from services.core.errors import Fault, InputError
from services.core.model import Link
from services.core.spreadsheets import csv_text

_LINK_COLUMNS = tuple(field.name for field in fields(Link))

ANSWERS = {"kind": "http", "timeout": "10s", "expect": {"status": [200, 204, *range(400, 407), 415]}}
"""A probe without credentials: a working server refuses it at worst; only silence or a server error means an outage."""


@dataclass(frozen=True, slots=True)
class RegisterProposal:
    """The files of a register directory by name, and what was left out of them."""

    files: dict[str, str]
    left_out: tuple[Fault, ...]


def register_files(
    *,
    agencies: Iterable[tuple[str, ...]],
    services: Iterable[tuple[str, ...]] = (),
    endpoints: Iterable[tuple[str, ...]],
    probes: object,
    policy: object,
) -> dict[str, str]:
    """Return the files that every register has, by name. No list states the law, so links.csv has only its header."""
    return {
        "agencies.csv": csv_text([("id", "name_en", "name_fa", "sector"), *agencies]),
        "services.csv": csv_text([("id", "agency", "name_en", "name_fa"), *services]),
        "links.csv": csv_text([_LINK_COLUMNS]),
        "endpoints.csv": csv_text([("id", "agency", "service", "probe", "target"), *endpoints]),
        "probes.yaml": to_yaml(probes),
        "policy.yaml": to_yaml(policy),
    }


def proposed_policy(government: object, epoch: date, controls: list[str], timezone: str = "UTC") -> dict[str, object]:
    """Return a policy with one vantage, which has these control targets."""
    return {
        "government": government,
        "timezone": timezone,
        "epoch": epoch.isoformat(),
        "slot_seconds": 300,
        "vantages": [{"id": "main", "control_targets": controls}],
        "default_latency_ms": 2000,
    }


def omission(file: str, line: int, name: str, reason: str) -> Fault:
    """Return the place of a list's entry that has no counterpart in the proposal (line 0: the file), and the reason."""
    return Fault(file, line, 0, f"{name}: {reason}")


def write_files(files: dict[str, str], out: Path) -> None:
    """Write the files of a new register directory. Raises InputError when ``out`` is not empty or cannot be written."""
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"directory {out}", [Fault(str(out), 0, 0, "it is not empty: name a new directory")])
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_text(content, encoding="utf-8", newline="")
    except OSError as error:
        reason = f"it cannot be written: {error.strerror}"
        raise InputError(f"directory {out}", [Fault(str(error.filename or out), 0, 0, reason)]) from error


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
