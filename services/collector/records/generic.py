"""Reads records of a data bus that is not X-Road: one line for one whole exchange (docs/exchange.md §6). Pure.

A line is ``{time, consumer, provider, service, data_item, ok, duration_ms, request_bytes, response_bytes}``, with an
``id`` if the bus has one. Other fields are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from services.collector.records.fields import (
    LATEST_MS,
    LONGEST_MS,
    NAME,
    SIZE,
    TEXT,
    is_name,
    is_size,
    is_stamp,
    is_text,
)
from services.collector.records.xroad import ExchangeResult, RecordError, Side, digest_of_message, message_number
from services.core.days import datetime_of
from services.core.model import Parties, escape_code

_TIME = "RFC 3339 text with an offset, or seconds or milliseconds since 1970, from 2000 to 2100"
_FLAG = "true or false"
_DURATION = "a number of milliseconds, from 0 to a year"

_NAMES = ("consumer", "provider", "service", "data_item")
_SIZES = ("request_bytes", "response_bytes")
_REQUIRED = {"time": _TIME, "consumer": NAME, "provider": NAME, "ok": _FLAG, "duration_ms": _DURATION}


def is_generic(raw: Mapping[str, Any]) -> bool:
    """Return whether a line is a record of a generic bus, not of X-Road."""
    return "consumer" in raw and "securityServerType" not in raw


def _milliseconds(value: Any) -> int | None:
    """Return milliseconds since 1970; None when the value is not a moment."""
    if isinstance(value, str):
        try:
            moment = datetime_of(value)
            value = moment.timestamp() if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None
    if type(value) not in {int, float} or not 0 <= value < LATEST_MS:
        return None
    # From 2000 to 2100 seconds and milliseconds cannot be confused.
    number = round(value if value > 1e11 else value * 1000)
    return number if is_stamp(number) else None


def _is_duration(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value <= LONGEST_MS


def _reasons(raw: Mapping[str, Any], time: int | None) -> list[str]:
    faults = [
        f"{name} must be {NAME}"
        for name in _NAMES
        if raw.get(name) is not None and not (is_name(raw[name]) and raw[name])
    ]
    if raw.get("id") is not None and not (is_text(raw["id"]) and raw["id"]):
        faults.append(f"id must be {TEXT}")
    if raw.get("time") is not None and time is None:
        faults.append(f"time must be {_TIME}")
    if raw.get("ok") is not None and type(raw["ok"]) is not bool:
        faults.append(f"ok must be {_FLAG}")
    if raw.get("duration_ms") is not None and not _is_duration(raw["duration_ms"]):
        faults.append(f"duration_ms must be {_DURATION}")
    faults.extend(f"{name} must be {SIZE}" for name in _SIZES if raw.get(name) is not None and not is_size(raw[name]))
    faults.extend(
        f"{name} is missing, it must be {wanted}" for name, wanted in _REQUIRED.items() if raw.get(name) is None
    )
    return faults


@lru_cache(maxsize=8192)
def _parties(consumer: str, provider: str, service: str, data_item: str) -> Parties:
    client, owner = escape_code(consumer), escape_code(provider)
    return Parties(client, owner, "/".join((owner, escape_code(service), escape_code(data_item))), meta=False)


def read_generic(raw: Mapping[str, Any]) -> Side:
    """Return a line as a whole exchange, seen from the consumer. Raises RecordError with every reason.

    Equal lines are duplicates unless their ids differ. A failure counts as the provider's, who had to answer, because
    the record does not show whose it was.
    """
    get = raw.get
    time = _milliseconds(get("time"))
    reasons = _reasons(raw, time)
    if reasons or time is None:
        raise RecordError(tuple(reasons))
    duration = round(raw["duration_ms"])
    texts = [get(name) or "" for name in (*_NAMES, "id")]
    sizes = [get(name) for name in _SIZES]
    parties = _parties(*texts[:4])
    digest = blake2b(orjson.dumps(["generic", time, duration, texts, sizes, raw["ok"]]), digest_size=16).digest()
    return Side(
        digest=digest,
        request=digest,
        producer=False,
        parties=parties,
        request_in=time,
        request_out=None,
        response_in=None,
        response_out=time + duration,
        result=ExchangeResult.OK if raw["ok"] else ExchangeResult.PROVIDER_FAILURE,
        request_bytes=sizes[0],
        response_bytes=sizes[1],
        whole=True,
        message=message_number(digest_of_message(texts[4], parties)),
    )
