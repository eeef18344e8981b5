from __future__ import annotations

import pytest

from services.collector.config import FileSource, XroadSource, read_sources
from services.core.errors import InputError


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a list of sources, written beside three certificate files."""
    for name in ("own.pem", "own.key", "trust.pem"):
        (tmp_path / name).write_text("")

    def read(text):
        (tmp_path / "sources.yaml").write_text(text)
        return read_sources(tmp_path / "sources.yaml")

    return read


WHOLE = """\
xroad:
  url: https://ss.example.org/
  client: IR/GOV/1/monitor
  certificate: own.pem
  key: own.key
  every: 30s
sources:
  - {id: tax, kind: xroad, server: IR/GOV/100/ss1}
  - {id: land, kind: xroad, server: IR/GOV/200/ss1, url: "http://10.0.0.9/", every: 5m, authority: trust.pem, history: 24h,
     server_name: ss.land.example.org, timeout: 20s, provider: IR/GOV/200/cadastre, health: true}
  - {id: logs, kind: files, path: "logs/*.ndjson"}
  - {id: rows, kind: files, path: "rows.tsv", columns: [securityservertype, requestInTs, total]}
"""


def test_every_source_is_read(read, tmp_path):
    """Defaults of servers are given once, a source's own value takes precedence, and paths are relative to the file."""
    own = {"certificate": tmp_path / "own.pem", "key": tmp_path / "own.key", "client": "IR/GOV/1/monitor"}
    assert read(WHOLE) == (
        XroadSource("tax", "IR/GOV/100/ss1", "https://ss.example.org/", every=30, **own),
        XroadSource(
            "land",
            "IR/GOV/200/ss1",
            "http://10.0.0.9/",
            authority=tmp_path / "trust.pem",
            every=300,
            timeout=20,
            history=86_400,
            provider="IR/GOV/200/cadastre",
            health=True,
            server_name="ss.land.example.org",
            **own,
        ),
        FileSource("logs", tmp_path / "logs" / "*.ndjson"),
        FileSource("rows", tmp_path / "rows.tsv", columns=("securityServerType", "requestInTs", "total")),
    )


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [":1:1: sources: needs at least one: a collector reads something"]),
        (
            "servers: []",
            [
                ":1:1: key `servers` is unknown; known are xroad, sources",
                ":1:1: sources: needs at least one: a collector reads something",
            ],
        ),
        (
            "sources: [{id: a, kind: files, path: x, columns: [succeeded, SUCCEEDED]}]",
            [":1:50: columns: a column is there twice"],
        ),
        ("sources: [{id: a}]", [":1:11: key `kind` is missing"]),
        ("sources: [{id: a, kind: ftp}]", [":1:25: kind: `ftp` is not one of xroad, files"]),
        ("sources: [{id: a, kind: files, path: x, server: y}]", [":1:41: key `server` does not go with kind files"]),
        (
            "sources: [{id: a, kind: files, path: '*/x'}]",
            [
                ":1:38: path: `*/x` has a `*`, `?` or `[` before its last part",
            ],
        ),
        (
            "sources:\n  - {id: a, kind: files, path: x}\n  - {id: a, kind: files, path: y, every: soon}",
            [
                ":3:10: id: `a` is already the id of line 2",
                ":3:42: every: `soon` is not a duration: write a number and ms, s, m, h or d, such as 5s",
            ],
        ),
        (
            "sources: [{id: a, kind: xroad, server: IR/GOV/1}]",
            [
                ":1:11: key `client` is missing, here and under `xroad`",
                ":1:11: key `url` is missing, here and under `xroad`",
                ":1:40: server: `IR/GOV/1` is not INSTANCE/CLASS/CODE/SERVER",
            ],
        ),
        (
            r"""xroad: {url: 'http://x', client: "I/C/M\x01"}
sources: [{id: a, kind: xroad, server: I/C/M%00/s, provider: "I/C/\uFFFE"}]""",
            [
                r":1:34: client: 'I/C/M\x01' has a part with a character that no identifier has",
                ":2:40: server: 'I/C/M%00/s' has a part with a character that no identifier has",
                r":2:62: provider: 'I/C/\ufffe' has a part with a character that no identifier has",
            ],
        ),
        (
            f"sources: [{{id: a, kind: xroad, server: I/G/1/s, url: 'http://x', client: I/G/1, authority: {'a' * 300}}}]",
            [f":1:92: authority: {{folder}}/{'a' * 300} cannot be read: File name too long"],
        ),
        (
            """xroad: {url: 'ftp://x', client: IR, certificate: none.pem}
sources: [{id: a, kind: xroad, server: I/G/1/s}]""",
            [
                ":1:14: url: `ftp://x` does not begin with http:// or https://",
                ":1:33: client: `IR` is not INSTANCE/CLASS/CODE or INSTANCE/CLASS/CODE/SUBSYSTEM",
                ":1:50: certificate: {folder}/none.pem cannot be read: No such file or directory",
                ":2:11: certificate and key go together: name both or none",
            ],
        ),
    ],
)
def test_every_fault_is_listed(read, tmp_path, text, faults):
    """A wrong list is refused with each fault at its line and column."""
    with pytest.raises(InputError) as caught:
        read(text)
    file = str(tmp_path / "sources.yaml")
    assert [str(fault) for fault in caught.value.faults] == [
        file + fault.replace("{folder}", str(tmp_path)) for fault in faults
    ]


def test_a_missing_list_is_refused(tmp_path):
    """A missing list is a fault of its own."""
    with pytest.raises(InputError, match="1 fault"):
        read_sources(tmp_path / "sources.yaml")


def test_a_fault_of_all_servers_is_listed_once(read, tmp_path):
    """A wrong value given once for all servers is one fault, however many servers there are."""
    sources = ", ".join(
        f"{{id: x{n}, kind: xroad, server: A/B/C/D, url: 'http://a/', client: A/B/C}}" for n in range(7)
    )
    with pytest.raises(InputError) as refused:
        read(f"xroad: {{authority: none.pem}}\nsources: [{sources}]\n")
    [fault] = refused.value.faults
    assert (fault.line, fault.reason) == (
        1,
        f"authority: {tmp_path / 'none.pem'} cannot be read: No such file or directory",
    )
