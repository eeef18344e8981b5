"""Estimates how large an answer may be for the event loop to turn it into JSON in some 20 ms. Pure."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message

_ANY: Final = "google.protobuf.Any"
# A message in a message takes at least two bytes. Each of its fields takes 1 µs, since unset ones are written out too.
_BYTES_PER_MESSAGE: Final = 2
_FIELDS_AT_ONCE: Final = 20_000
# Each repeated number takes a byte and 1 µs.
_REPEATED_AT_ONCE: Final = 4 * 1024
_SINGLE_AT_ONCE: Final = 1 << 20
# The search ends when all types together have more fields than this.
_MAX_FIELDS: Final = 5000


def decoded_at_once(answer: type[Message]) -> int:
    """Return how many bytes an answer of this type may have to be decoded in the loop, by the types it may contain."""
    types, waiting = {answer.DESCRIPTOR.full_name}, [answer.DESCRIPTOR]
    fields = widest = 0
    repeats = False
    while waiting:
        own = waiting.pop().fields
        fields, widest = fields + len(own), max(widest, len(own))
        if fields > _MAX_FIELDS:
            return 0
        for field in own:
            inner = field.message_type
            repeats = repeats or field.is_repeated or inner is not None
            if inner is not None and inner.full_name not in types:
                types.add(inner.full_name)
                waiting.append(inner)
    if _ANY in types:  # may hold any type
        return 0
    return min(_REPEATED_AT_ONCE, _BYTES_PER_MESSAGE * _FIELDS_AT_ONCE // widest) if repeats else _SINGLE_AT_ONCE
