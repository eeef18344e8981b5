"""The proxy's reader of the NATS protocol."""

from __future__ import annotations

import pytest

from tests.chaos.wire import Operation, Reader

SPOKEN = (
    b'CONNECT {"verbose":false}\r\nPING\r\nSUB _INBOX.a.* 1\r\n'
    b"PUB peyvand.v1.x 3\r\na\r\n\r\n"
    b"HPUB peyvand.v1.y _INBOX.a.1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
    b"MSG _INBOX.a.1 1 2\r\n{}\r\n"
    b"HMSG _INBOX.a.2 1 reply 12 12\r\nNATS/1.0\r\n\r\n\r\n"
)
READ = [
    Operation("PUB", "peyvand.v1.x", "", b"", b"a\r\n"),
    Operation("HPUB", "peyvand.v1.y", "_INBOX.a.1", b"NATS/1.0\r\n\r\n", b"hi"),
    Operation("MSG", "_INBOX.a.1", "", b"", b"{}"),
    Operation("HMSG", "_INBOX.a.2", "reply", b"NATS/1.0\r\n\r\n", b""),
]


@pytest.mark.parametrize("size", [1, 2, 7, len(SPOKEN)])
def test_operations_are_read_however_they_are_cut(size: int) -> None:
    """Every operation with a payload is read once, however the bytes are split."""
    reader = Reader()
    found = [one for start in range(0, len(SPOKEN), size) for one in reader.feed(SPOKEN[start : start + size])]
    assert found == READ
