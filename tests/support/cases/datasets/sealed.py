"""A dataset of some days of evidence of a small register, sealed except for the last day."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from services.archive.link_days import link_days
from services.archive.registers import keep_register
from services.core.codec import decode_columns
from services.core.model.register import Register
from services.dataset.days import EvidenceDays, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.positions import ArchivedUpTo, write_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT, measurement_table
from tests.support.cases.scoring import START_OF_STREAM, Stored

__all__ = ["sealed_dataset", "table_of"]

_MESSAGES = 50  # per segment


@lru_cache(1024)
def table_of(message: Stored) -> pa.Table:
    """Return the rows of a message. The same stream is often archived, up to another message or by another archive."""
    return measurement_table(decode_columns(message.payload), stored=message.time, sequence=message.sequence)


def sealed_dataset(folder: Path, register: Register, messages: Sequence[Stored], key: SigningKey) -> LocalStorage:
    """Write a stream's messages to a dataset as the archive does. Seal the days that are over at the last one."""
    storage = LocalStorage(folder)
    policy = register.policy
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    for first in range(0, len(messages), _MESSAGES):
        part = messages[first : first + _MESSAGES]
        write_segments(storage, MEASUREMENT, [table_of(one) for one in part], part[0].sequence, part[-1].sequence, days)
    last = messages[-1]
    position = ArchivedUpTo(START_OF_STREAM.stream, START_OF_STREAM.created, last.sequence, last.time)
    write_position(storage, MEASUREMENT, position)
    sealer = Sealer(storage, key, days)
    for day in sealer.due(last.time):
        sealer.seal(day, SealingContext(count=lambda day, table: link_days(policy, day, table)))
    keep_register(storage, register)
    return storage
