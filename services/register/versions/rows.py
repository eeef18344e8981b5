"""A register as JSON rows and back, and the two hashes of these (docs/register.md). Pure.

Rows are grouped in sections: agencies, services, links, endpoints, probes, members, routes, maintenance, evaluation
(at most one row) and policy (one row). The rows of all sections together, in any order, are the register.

``register_version`` covers the denominator: agencies, services, links' identity, dates and weights. ``probe_version``
covers everything else: how it is probed and shown. Official rounds are in neither: what others announce changes neither
what is required nor how it is probed. References to files count as written, so that the directory may
move. Canonical JSON of values in id order: neither the order of rows and columns nor white space changes a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.core.model import (
    Agency,
    Endpoint,
    Evaluation,
    ExchangeRoute,
    Link,
    Maintenance,
    Member,
    Policy,
    Probe,
    Register,
    Service,
)
from services.register.probes import with_written_references

__all__ = ["Rows", "canonical_json", "from_rows", "to_rows", "with_versions"]

Rows = dict[str, list[dict[str, Any]]]
"""Section name → its rows."""

_DENOMINATOR = (
    "id",
    "service",
    "provider",
    "data_item",
    "required_from",
    "required_until",
    "live_from",
    "weight",
)

_AGENCIES = TypeAdapter(list[Agency])
_SERVICES = TypeAdapter(list[Service])
_LINKS = TypeAdapter(list[Link])
_ENDPOINTS = TypeAdapter(list[Endpoint])
_PROBES = TypeAdapter(list[Probe])
_MEMBERS = TypeAdapter(list[Member])
_ROUTES = TypeAdapter(list[ExchangeRoute])
_MAINTENANCE = TypeAdapter(list[Maintenance])
_EVALUATION = TypeAdapter(list[Evaluation])
_POLICY = TypeAdapter(list[Policy])


def canonical_json(value: object) -> bytes:
    """Return the one JSON text of a value: keys sorted, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def to_rows(register: Register, *, portable: bool = False, whole: bool = False) -> Rows:
    """Every row of a register, without its versions, in id order within each section.

    ``portable`` gives references to files as written, not as this machine's paths. Probes lack the keys that say what
    they mean without being written, so that a key of a later version changes no hash; ``whole`` gives those too.
    """

    def rows(adapter: TypeAdapter[Any], values: Iterable[object], *, sparse: bool = False) -> list[dict[str, Any]]:
        dumped: list[dict[str, Any]] = adapter.dump_python(list(values), mode="json", exclude_defaults=sparse)
        return dumped

    def by_id(values: Mapping[str, object]) -> list[object]:
        return [values[name] for name in sorted(values)]

    probes = [register.probes[name] for name in sorted(register.probes)]
    return {
        "agencies": rows(_AGENCIES, by_id(register.agencies)),
        "services": rows(_SERVICES, by_id(register.services)),
        "links": list(map(_packed, rows(_LINKS, by_id(register.links)))),
        "endpoints": list(map(_packed, rows(_ENDPOINTS, by_id(register.endpoints)))),
        "probes": rows(_PROBES, map(with_written_references, probes) if portable else probes, sparse=not whole),
        "members": rows(_MEMBERS, register.members),
        "routes": rows(_ROUTES, register.routes),
        "maintenance": rows(_MAINTENANCE, register.maintenance),
        "evaluation": rows(_EVALUATION, [] if register.evaluation is None else [register.evaluation]),
        "policy": rows(_POLICY, [register.policy]),
    }


def from_rows(rows: Mapping[str, list[dict[str, Any]]]) -> Register:
    """Return the register with these rows, in id order, without versions. ValueError when they are not those of one register."""

    def read(adapter: TypeAdapter[Any], section: str) -> Any:
        return adapter.validate_python(list(map(_unpacked, rows.get(section, []))))

    try:
        policies = read(_POLICY, "policy")
        if len(policies) != 1:
            raise ValueError(f"it holds {len(policies)} policies")
        evaluations = read(_EVALUATION, "evaluation")
        if len(evaluations) > 1:
            raise ValueError(f"it holds {len(evaluations)} official evaluations")
        return Register(
            agencies=_by_id(read(_AGENCIES, "agencies")),
            services=_by_id(read(_SERVICES, "services")),
            links=_by_id(read(_LINKS, "links")),
            endpoints=_by_id(read(_ENDPOINTS, "endpoints")),
            probes={probe.name: probe for probe in sorted(read(_PROBES, "probes"), key=lambda probe: probe.name)},
            policy=policies[0],
            members=tuple(read(_MEMBERS, "members")),
            routes=tuple(read(_ROUTES, "routes")),
            maintenance=tuple(read(_MAINTENANCE, "maintenance")),
            evaluation=evaluations[0] if evaluations else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error


def _packed(row: dict[str, Any]) -> dict[str, Any]:
    """Write the only params of a link or endpoint without a list around them, as before there could be several."""
    return row if len(row["params"]) > 1 else {**row, "params": row["params"][0]}


def _unpacked(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "params": [row["params"]]} if isinstance(row.get("params"), dict) else row


def _by_id(values: list[Any]) -> dict[str, Any]:
    return {value.id: value for value in sorted(values, key=lambda value: value.id)}


def with_versions(register: Register) -> Register:
    """Return the same register with both versions computed: SHA-256, hex."""
    rows = to_rows(register, portable=True)
    links = rows.pop("links")
    del rows["evaluation"]
    denominator = {
        "agencies": rows.pop("agencies"),
        "services": rows.pop("services"),
        "links": [{key: link[key] for key in _DENOMINATOR} for link in links],
    }
    probing = {
        **rows,
        "links": [{key: value for key, value in link.items() if key not in _DENOMINATOR[1:]} for link in links],
    }
    return replace(register, register_version=_hash(denominator), probe_version=_hash(probing))


def _hash(value: object) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()
