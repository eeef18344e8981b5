"""Parses measurements from JSON lines, fast enough for the millions of lines of an audit."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from math import floor
from typing import Any, Final

import orjson

from peyvand.v1 import measurement_pb2
from services.core.codec.units import from_duration, from_timestamp, message_from_json
from services.core.model import PHASES, Measurement, Outcome, Phases, Reason, Target

_OUTCOMES: Final = {f"OUTCOME_{outcome.name}": outcome for outcome in Outcome}
_REASONS: Final = {f"REASON_{reason.name}": reason for reason in Reason}
_TEXTS: Final = ("vantage", "detail", "register_version", "probe_version", "prober")
_FIELDS: Final = frozenset(measurement_pb2.Measurement.DESCRIPTOR.fields_by_name)
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_SECONDS: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{3}|\.[0-9]{6})?s")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3}|\.[0-9]{6})?Z")


def measurement_from_json(text: str) -> Measurement:
    """Parse a line written by measurement_to_json. Raises ValueError saying which field is wrong and how."""
    try:
        return _parse_own_form(text)
    except (AttributeError, KeyError, TypeError, ValueError):
        # protobuf's JSON parser reads any other form, but is twenty times slower.
        return _parse_any_form(text)


def _parse_own_form(text: str) -> Measurement:
    """Read a line in the exact form of measurement_to_json. Raises one of several errors for any other line."""
    fields = orjson.loads(text)
    phases = fields.get("phases", {})
    # A repeated name would vanish in a dict, so count names by the separator that follows each. A text that contains
    # the separator fails the count too.
    if (
        text.count('": ') != len(fields) + len(phases)
        or not _FIELDS.issuperset(fields)
        or not phases.keys() <= set(PHASES)
    ):
        raise ValueError
    kind = "endpoint" if "endpoint" in fields else "link"
    if ("link" in fields and kind == "endpoint") or not fields["vantage"]:
        raise ValueError
    name, texts = fields[kind], {key: fields.get(key, "") for key in _TEXTS}
    if not all(isinstance(value, str) for value in (name, *texts.values())):
        raise TypeError
    return Measurement(
        target=Target(name, endpoint=kind == "endpoint"),
        slot_start=floor(_slot(fields["slot_start"])),
        time=_moment(fields["time"]) if "time" in fields else None,
        outcome=_OUTCOMES[fields["outcome"]],
        reason=_REASONS[fields["reason"]],
        latency=_duration(fields, "latency"),
        data_age=_duration(fields, "data_age"),
        phases=Phases(**{key: _duration(phases, key) for key in phases}),
        certificate_expiry=floor(_moment(fields["certificate_expiry"])) if "certificate_expiry" in fields else None,
        stored=_moment(fields["stored"]) if "stored" in fields else None,
        sequence=_whole(fields["sequence"]) if "sequence" in fields else 0,
        **texts,
    )


def _moment(text: str) -> float:
    if not _TIME.fullmatch(text):
        raise ValueError
    return datetime.fromisoformat(text).timestamp()


_slot = lru_cache(maxsize=4096)(_moment)
"""Cached, since all targets share the same slot starts."""


def _whole(text: str) -> int:
    """Read a 64-bit integer, which is a string in protobuf's JSON."""
    if not _DIGITS.fullmatch(text):
        raise ValueError
    return int(text)


def _duration(fields: dict[str, Any], name: str) -> float | None:
    if name not in fields:
        return None
    text: str = fields[name]
    if not _SECONDS.fullmatch(text):
        raise ValueError
    return float(text[:-1])


def _parse_any_form(text: str) -> Measurement:
    """Read a Measurement in any JSON form that protobuf accepts. Raises ValueError saying which field is wrong and how."""
    message = message_from_json(measurement_pb2.Measurement, text)
    kind = message.WhichOneof("target")
    present = {
        "link or endpoint": kind is not None,
        "vantage": bool(message.vantage),
        "slot_start": message.HasField("slot_start"),
        "outcome": bool(message.outcome),
        "reason": bool(message.reason),
    }
    if missing := [name for name, is_there in present.items() if not is_there]:
        raise ValueError(", ".join(missing) + (" is missing" if len(missing) == 1 else " are missing"))
    phases = message.phases
    return Measurement(
        target=Target(getattr(message, str(kind)), endpoint=kind == "endpoint"),
        vantage=message.vantage,
        slot_start=message.slot_start.seconds,
        time=from_timestamp(message.time) if message.HasField("time") else None,
        outcome=Outcome(message.outcome),
        reason=Reason(message.reason),
        latency=from_duration(message.latency) if message.HasField("latency") else None,
        data_age=from_duration(message.data_age) if message.HasField("data_age") else None,
        phases=Phases(**{field.name: from_duration(value) for field, value in phases.ListFields()}),
        certificate_expiry=message.certificate_expiry.seconds if message.HasField("certificate_expiry") else None,
        detail=message.detail,
        register_version=message.register_version,
        probe_version=message.probe_version,
        prober=message.prober,
        stored=from_timestamp(message.stored) if message.HasField("stored") else None,
        sequence=message.sequence,
    )
