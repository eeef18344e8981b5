"""Makes the records that inquiries are about: synthetic people, firms and properties. Pure.

Each of three families has its own shape, so that probes meet GET and POST and three ways of dating the data. Nobody in
them exists.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from types import MappingProxyType

import orjson

from services.sandbox.scenario.service_tables import PEOPLE


@dataclass(frozen=True, slots=True)
class RecordFamily:
    """How one kind of subject is inquired about: the HTTP method, the field that identifies it and the other known fields.

    The age of the data is in a JSON field (``fresh_path``: RFC 3339 or epoch seconds) or in a header (``fresh_header``).
    """

    name: str
    method: str
    key: str
    fields: tuple[str, ...]
    fresh_path: str = ""
    fresh_header: str = ""


FAMILIES: Mapping[str, RecordFamily] = MappingProxyType(
    {
        family.name: family
        for family in (
            RecordFamily("person", "GET", "national_id", ("name", "birth_date"), fresh_path="$.updated"),
            RecordFamily("firm", "POST", "firm_id", ("firm_name", "status"), fresh_path="$.updated"),
            RecordFamily("property", "GET", "title_no", ("owner_id", "usage"), fresh_header="last-modified"),
        )
    }
)


def make_subject(family: RecordFamily, rng: random.Random) -> dict[str, str]:
    """Return a synthetic subject: its identifying field and its known fields."""
    if family.name == "person":
        day = f"{rng.randint(1330, 1385)}-{rng.randint(1, 12):02}-{rng.randint(1, 29):02}"
        return {"national_id": _national_id(rng), "name": rng.choice(PEOPLE), "birth_date": day}
    if family.name == "firm":
        name = f"شرکت آزمایشی {rng.randint(100, 999)}"
        return {"firm_id": f"14{rng.randint(0, 10**9 - 1):09}", "firm_name": name, "status": "active"}
    number = f"{rng.randint(1, 9999)}-{rng.randint(1, 99999)}"
    usage = rng.choice(("residential", "commercial", "farming"))
    return {"title_no": number, "owner_id": _national_id(rng), "usage": usage}


def _national_id(rng: random.Random) -> str:
    """Return ten digits, as on an identity card. The last one checks the others."""
    digits = [rng.randint(0, 9) for _ in range(9)]
    rest = sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
    return "".join(map(str, [*digits, rest if rest < 2 else 11 - rest]))


def encode_record(
    family: RecordFamily, item: str, record: Mapping[str, str], updated: float
) -> tuple[bytes, tuple[str, ...]]:
    """Return the JSON body and the extra header lines of ``record`` as it was at ``updated`` (epoch seconds)."""
    content: dict[str, object] = {"item": item, "valid": True, **record}
    if family.fresh_header:
        return orjson.dumps(content), (f"Last-Modified: {formatdate(updated, usegmt=True)}",)
    moment = datetime.fromtimestamp(updated, UTC).replace(microsecond=0)
    content["updated"] = moment.isoformat() if family.name == "person" else int(updated)
    return orjson.dumps(content), ()
