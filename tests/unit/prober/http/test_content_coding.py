"""Compressed bodies may have many members and two codings, within limits."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest

from services.prober.http.content_coding import DecodeError, decode_body
from services.prober.observation import Cause

LIMIT = 1 << 20


def _decoded(body: bytes, codings: str = "gzip") -> bytes:
    return decode_body(body, [("content-encoding", codings)], frozenset({"gzip", "deflate"}), LIMIT)


def test_members_of_any_size_are_joined() -> None:
    """A body of several members, larger and smaller than a piece, is their content joined."""
    noise = random.Random(1)
    parts = [noise.randbytes(size) for size in (0, 1, 40_000, 16_384, 100, 70_000, 0)]
    assert _decoded(b"".join(map(gzip.compress, parts))) == b"".join(parts)


def test_a_member_that_breaks_off() -> None:
    """A body that ends within a member, or continues with other bytes, is not gzip."""
    whole = gzip.compress(b"a" * 100)
    for body in (whole[:-1], whole + whole[:10], whole + b"x"):
        with pytest.raises(DecodeError) as failed:
            _decoded(body)
        assert failed.value.cause is Cause.ENCODING


@pytest.mark.parametrize(("members", "held"), [(1000, True), (1001, False), (100_000, False)])
def test_members_are_bounded(members: int, held: bool) -> None:
    """A thousand members are decoded. One more is ENCODING."""
    body = gzip.compress(b"a") * members
    if held:
        assert _decoded(body) == b"a" * members
        return
    with pytest.raises(DecodeError, match="1000 gzip members") as failed:
        _decoded(body)
    assert failed.value.cause is Cause.ENCODING


def test_codings_are_bounded() -> None:
    """Two codings are undone in reverse order. A third is ENCODING."""
    twice = gzip.compress(zlib.compress(b"clear"))
    assert _decoded(twice, "deflate, gzip") == b"clear"
    with pytest.raises(DecodeError, match="2 content codings"):
        _decoded(gzip.compress(twice), "deflate, gzip, gzip")


def test_the_limit_is_of_all_members_together() -> None:
    """The limit is on all members together. A body of exactly the limit is within it."""
    half = gzip.compress(bytes(LIMIT // 2))
    assert len(_decoded(half * 2)) == LIMIT
    with pytest.raises(DecodeError) as failed:
        _decoded(half * 2 + gzip.compress(b"x"))
    assert failed.value.cause is Cause.BODY_LIMIT
