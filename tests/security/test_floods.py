"""No target delays another by sending without end, or turns its own failure into UNKNOWN."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from services.core.model.outcome import Reason
from services.core.model.probe import LineStep, Probe, Tls
from tests.support.cases.hostile_targets import Outcome, probed
from tests.support.servers.authority import Authority
from tests.support.servers.flooding_server import flooding
from tests.support.servers.frames import SETTINGS, frame

HTTP = Probe("", "http", timeout=0.9, body_limit=1 << 16)
HTTP2 = replace(HTTP, version="2")
TLS = replace(HTTP, tls=Tls(verify=False))
GRPC = replace(HTTP, kind="grpc")
LINES = Probe("", "tcp", timeout=0.9, lines=(LineStep(send="HELLO"), LineStep(expect="^never$")))

PROMPT = replace(LINES, lines=(LineStep(send="HELLO"), LineStep(expect="^(never|ever)> $", prompt=True)))
FRAMES = "too many frames"
HEADERS = "headers"
INTERIM = "interim answers"
BYTES = "KiB"


@dataclass(frozen=True)
class Flood:
    """What a server sends first and then without end to probes by this definition, and a word of the detail. On a slow
    machine the deadline of some may pass before the bound is reached.
    """

    definition: Probe
    opening: bytes
    endless: bytes
    word: str
    reason: Reason = field(default=Reason.PROTOCOL_ERROR, kw_only=True)
    may_time_out: bool = False


_ANSWER = SETTINGS + frame(1, 4, 1, b"\x88")  # and HEADERS with status 200
_OPEN_HEADERS = SETTINGS + frame(1, 0, 1, b"\x88")
_OTHER_SETTINGS = b"".join(struct.pack(">HI", number, 1) for number in range(100, 2000))
_FOUR_BYTE_HEADERS = b"\x00\x01a\x00" * 4000
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

FLOODS = {
    "settings": Flood(HTTP2, SETTINGS, SETTINGS, FRAMES),
    "settings-acknowledged": Flood(HTTP2, SETTINGS, frame(4, 1, 0), FRAMES),
    "settings-unknown": Flood(HTTP2, SETTINGS, frame(4, 0, 0, _OTHER_SETTINGS), FRAMES),
    "ping": Flood(HTTP2, SETTINGS, frame(6, 0, 0, bytes(8)), FRAMES),
    "ping-answered": Flood(HTTP2, SETTINGS, frame(6, 1, 0, bytes(8)), FRAMES),
    "data-empty": Flood(HTTP2, _ANSWER, frame(0, 0, 1), FRAMES),
    "data-padded": Flood(HTTP2, _ANSWER, frame(0, 8, 1, b"\xff" + bytes(255)), FRAMES),
    "data-of-a-byte": Flood(HTTP2, _ANSWER, frame(0, 0, 1, b"x"), FRAMES),
    "priority": Flood(HTTP2, SETTINGS, frame(2, 0, 3, bytes(4) + b"\x10"), FRAMES),
    "window": Flood(HTTP2, SETTINGS, frame(8, 0, 0, struct.pack(">I", 1)), FRAMES),
    "window-of-the-stream": Flood(HTTP2, SETTINGS, frame(8, 0, 1, struct.pack(">I", 1)), FRAMES),
    "goaway": Flood(HTTP2, SETTINGS, frame(7, 0, 0, struct.pack(">II", 1, 0)), FRAMES),
    "reset-of-others": Flood(HTTP2, SETTINGS, frame(3, 0, 3, bytes(4)), FRAMES),
    "unknown": Flood(HTTP2, SETTINGS, frame(0xBB, 0, 0), FRAMES),
    "unknown-large": Flood(HTTP2, SETTINGS, frame(0xBB, 0, 0, bytes(16_384)), BYTES),
    "continuation": Flood(HTTP2, _OPEN_HEADERS, frame(9, 0, 1), "rules of HTTP/2"),
    "continuation-large": Flood(HTTP2, _OPEN_HEADERS, frame(9, 0, 1, _FOUR_BYTE_HEADERS), HEADERS),
    "headers-of-four-bytes": Flood(HTTP2, SETTINGS, frame(1, 4, 1, b"\x88" + _FOUR_BYTE_HEADERS), HEADERS),
    "table-changes": Flood(HTTP2, SETTINGS, frame(1, 4, 1, b"\x20" * 16_384), "rules of HTTP/2"),
    "interim-2": Flood(HTTP2, SETTINGS, frame(1, 4, 1, b"\x08\x03103"), INTERIM),
    "grpc-settings": Flood(GRPC, SETTINGS, SETTINGS, FRAMES),
    "grpc-ping": Flood(GRPC, SETTINGS, frame(6, 0, 0, bytes(8)), FRAMES),
    "grpc-data-empty": Flood(GRPC, _ANSWER, frame(0, 0, 1), FRAMES),
    "interim": Flood(HTTP, b"", b"HTTP/1.1 103 \r\n\r\n", INTERIM),
    "header-line": Flood(HTTP, b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x", HEADERS),
    "reason": Flood(HTTP, b"HTTP/1.1 200 ", b"x", HEADERS),
    "headers": Flood(HTTP, b"HTTP/1.1 200 OK\r\n", b"a:\r\n", HEADERS),
    "headers-folded": Flood(HTTP, b"HTTP/1.1 200 OK\r\nX-Endless: x\r\n", b" x\r\n", HEADERS),
    "two-lengths": Flood(HTTP, b"HTTP/1.1 200 OK\r\n" + b"Content-Length: 1\r\n" * 2, b"a:\r\n", HEADERS),
    "trailers": Flood(HTTP, _CHUNKED + b"0\r\n", b"a:\r\n", HEADERS),
    "chunk-extension": Flood(HTTP, _CHUNKED + b"1;", b"x", BYTES),
    "chunks-of-a-byte": Flood(HTTP, _CHUNKED, b"1\r\nx\r\n", "body", reason=Reason.BODY_LIMIT),
    "body": Flood(HTTP, b"HTTP/1.1 200 OK\r\n\r\n", b"x", "body", reason=Reason.BODY_LIMIT),
    "records-of-a-byte": Flood(TLS, b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x", BYTES, may_time_out=True),
    "line": Flood(LINES, b"", b"x", "line"),
    "empty-lines-for-a-prompt": Flood(PROMPT, b"", b"\n", "lines"),
    "empty-lines": Flood(LINES, b"", b"\n", "lines"),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A prober to which every server sends at once."""
    folder = tmp_path_factory.mktemp("floods")
    tls = Authority.make(folder).context("127.0.0.1")
    targets: dict[str, tuple[Probe, str]] = {}
    with ExitStack() as servers:
        for name, flood in FLOODS.items():
            secure = tls if flood.definition is TLS else None
            port = servers.enter_context(flooding(flood.opening, flood.endless, tls=secure))
            url = f"{flood.definition.kind}{'s' if secure else ''}://127.0.0.1:{port}"
            targets[name] = flood.definition, url
        return probed(folder, targets)


@pytest.mark.parametrize("name", FLOODS)
def test_an_endless_answer(outcome: Outcome, name: str) -> None:
    """The target has a reason of its own in each slot in which it is probed; a busy machine may shed a probe."""
    flood = FLOODS[name]
    rows = [row for row in outcome.of(name) if row.reason is not Reason.SHED]
    assert rows
    for row in rows:
        if not (flood.may_time_out and row.reason is Reason.ANSWER_TIMEOUT):
            assert row.reason is flood.reason, row.detail
            assert flood.word in row.detail


def test_another_target_beside_floods(outcome: Outcome) -> None:
    """A healthy target of the same prober is OK in each slot."""
    outcome.assert_healthy()
