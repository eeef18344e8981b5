"""Converts a register to JSON rows and back, and computes its two hashes (docs/register.md). Pure.

Rows are grouped in sections: agencies, services, links, endpoints, probes, members, routes, maintenance, evaluation
(at most one row), announcements, objections, holidays, reviews and policy (one row). The rows of all sections together,
in any order, are the register.

``register_version`` covers the denominator: agencies, services, and the identity, dates and weights of links.
``probe_version`` covers the rest: how it is probed and shown. Official rounds, announcements, objections, holidays,
reviews and legal bases are in neither, because they change neither what is required nor how it is probed. References to
files are hashed as written, so the directory can move. The hashed JSON is canonical and in id order, so neither the
order of rows and columns nor white space changes a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass, replace
from operator import attrgetter
from types import GenericAlias
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from services.core.canonical_json import canonical_json
from services.core.model import Agency, Endpoint, FindingPolicy, Link, Register, Service
from services.register.references import with_written_references

E = TypeVar("E", Agency, Service, Link, Endpoint)

Rows = dict[str, list[dict[str, Any]]]
"""Section name → its rows."""

_DENOMINATOR = ("id", "service", "provider", "data_item", "required_from", "required_until", "live_from", "weight")

_NOT_PROBING = (*_DENOMINATOR[1:], "legal_basis")

_IN_NEITHER = ("evaluation", "announcements", "objections", "holidays", "reviews")
"""Sections that are in no version: they change neither what is required nor how it is probed."""

_USUAL_FINDINGS = asdict(FindingPolicy())

_STRICT = ConfigDict(extra="forbid")  # a key of a later version must not be ignored


def _adapter(part: Any) -> TypeAdapter[Any]:
    """Return what reads and writes the rows of a part of a register: a mapping by id, a tuple, or at most one value."""
    rows: Any = GenericAlias(list, next(filter(is_dataclass, (*get_args(part), part))))
    return TypeAdapter(rows, config=_STRICT)


_PARTS = {name: part for name, part in get_type_hints(Register).items() if not name.endswith("_version")}
_PARTS["policy"] = _PARTS.pop("policy")  # last, as in registers that are published

_SECTIONS: Mapping[str, TypeAdapter[Any]] = {name: _adapter(part) for name, part in _PARTS.items()}
"""The sections, named as the fields of Register."""


def to_rows(register: Register, *, portable: bool = False, whole: bool = False) -> Rows:
    """Return every row of a register, without its versions, in id order within each section.

    ``portable`` returns references to files as written, not as paths of this machine. Unless ``whole``, unset keys are
    left out: all those of probes, the latency of endpoints, the control names of vantages, and the policy's open data
    and budget of findings. A key added later therefore changes no hash.
    """
    rows: Rows = {}
    for section, adapter in _SECTIONS.items():
        values = _values(getattr(register, section))
        if portable and section == "probes":
            values = [with_written_references(probe) for probe in values]
        sparse = section == "probes" and not whole
        rows[section] = adapter.dump_python(values, mode="json", exclude_defaults=sparse)
    if not whole:
        _drop_unset(rows)
    return rows


def _values(part: Any) -> list[Any]:
    """Return the values in a part of a register: a mapping by id, a tuple, or at most one value."""
    if isinstance(part, Mapping):
        return [part[name] for name in sorted(part)]
    if isinstance(part, tuple):
        return list(part)
    return [] if part is None else [part]


def _drop_unset(rows: Rows) -> None:
    for endpoint in rows["endpoints"]:
        if endpoint["latency_ms"] is None:
            del endpoint["latency_ms"]
    (policy,) = rows["policy"]
    for vantage in policy["vantages"]:
        if not vantage["control_names"]:
            del vantage["control_names"]
    if policy["open_data"] is None:
        del policy["open_data"]
    if policy["findings"] == _USUAL_FINDINGS:
        del policy["findings"]


def from_rows(pieces: Iterable[Mapping[str, list[dict[str, Any]]]]) -> Register:
    """Return the register with the rows of these pieces, in id order, without versions.

    Raises ValueError when they are not the rows of one register, or hold something unknown to this version of Peyvand.
    No step takes longer than one piece does.
    """
    values: dict[str, list[Any]] = {section: [] for section in _SECTIONS}
    try:
        for piece in pieces:
            if not isinstance(piece, Mapping):
                raise ValueError("it holds something else than rows by section")  # noqa: TRY004  # of a document, not of a call
            for section, rows in piece.items():
                if section not in _SECTIONS:
                    raise ValueError(f"it holds an unknown section, {section}")
                values[section] += _SECTIONS[section].validate_python(rows)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    if len(values["policy"]) != 1:
        raise ValueError(f"it holds {len(values['policy'])} policies")
    if len(values["evaluation"]) > 1:
        raise ValueError(f"it holds {len(values['evaluation'])} official evaluations")
    return Register(**{section: _part(section, read) for section, read in values.items()})


def _part(section: str, values: list[Any]) -> Any:
    """Return the part of a register that ``_values`` would take apart into these values."""
    kind = get_origin(_PARTS[section])
    if kind is Mapping:
        name = attrgetter("name" if section == "probes" else "id")
        return {name(value): value for value in sorted(values, key=name)}
    return tuple(values) if kind is tuple else next(iter(values), None)


def by_id(values: Iterable[E]) -> dict[str, E]:
    """Return entities by their ids, in order."""
    return {value.id: value for value in sorted(values, key=lambda value: value.id)}


def with_versions(register: Register) -> Register:
    """Return the register with both versions: SHA-256 in hexadecimal digits."""
    rows = to_rows(register, portable=True)
    links = rows.pop("links")
    for section in _IN_NEITHER:
        del rows[section]
    denominator = {
        "agencies": rows.pop("agencies"),
        "services": rows.pop("services"),
        "links": [{key: link[key] for key in _DENOMINATOR} for link in links],
    }
    probing = {
        **rows,
        "links": [{key: value for key, value in link.items() if key not in _NOT_PROBING} for link in links],
    }
    return replace(register, register_version=_hash(denominator), probe_version=_hash(probing))


def _hash(value: object) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()
