"""Readers of files that people write: registers, lists, sources, callers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from services.api.access.callers import read_clients
from services.collector.config import read_sources
from services.core.errors import InputError, SettingsError
from services.register.directory import load_register
from services.register.discovery import read_lists
from tests.fuzz.reader import Reader
from tests.support.registers import (
    ANNOUNCEMENTS,
    EVALUATION,
    HOLIDAYS,
    KNOWN_ROUNDS,
    LEGAL_BASES,
    OBJECTIONS,
    register_files,
)

__all__ = ["READERS"]

_MARK = b"\n=== "
"""Begins a file of a folder in one input: the mark, the file's name, a line break, the content."""

_MEMBERS = "member,agency\nA/B/C,customs\n"
_ROUTES = "client,service,link\nIR/GOV/200/A,IR/GOV/100/Sub/status,permit-tax\n"
_MAINTENANCE = "subject,from,to,note\nbus,2026-01-01,2026-01-02,x\n"
_FILES = {
    **register_files(),
    "members.csv": _MEMBERS,
    "exchange.csv": _ROUTES,
    "maintenance.csv": _MAINTENANCE,
    "evaluation_rounds.yaml": EVALUATION,
    "links.csv": LEGAL_BASES,
    "announcements.yaml": ANNOUNCEMENTS,
    "objections.csv": OBJECTIONS,
    "holidays.csv": HOLIDAYS,
    "reviews.csv": "finding,state,note\nc0ef1e7bdd2c040a,dismissed,a holiday\n",
}
_SOURCES = """\
xroad: {url: "https://server.test/", client: IR/GOV/100/desk, every: 30s}
sources:
  - {id: main, kind: xroad, server: IR/GOV/100/ss1, provider: IR/GOV/200}
  - {id: health, kind: xroad, server: IR/GOV/100/ss1, health: true}
  - {id: files, kind: files, path: "logs/*.ndjson", every: 5s}
"""
_CLIENTS = """\
clients:
  - {dns: audit.test, role: auditor}
  - {uri: "urn:tax", role: agency, agency: tax-office}
  - {dns: console.test, role: console, most: "agency:tax-office"}
"""
_SHARED_PARAMETERS = b"""<conf xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><instanceIdentifier>IR</instanceIdentifier>
<member id="m1"><memberClass><code>GOV</code></memberClass><memberCode>100</memberCode><name>Desk</name>
<subsystem id="s1"><subsystemCode>desk</subsystemCode></subsystem></member>
<securityServer><owner>m1</owner><serverCode>ss1</serverCode><address>ss1.test</address><client>s1</client></securityServer></conf>"""
_CLIENT_LIST = (
    b'{"member": [{"id": {"xroad_instance": "IR", "member_class": "GOV", "member_code": "100"}, "name": "Desk"}]}'
)


def _register(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for part in data.split(_MARK):
            name, _, content = part.partition(b"\n")
            if (known := name.decode("latin-1")) in _FILES:
                (Path(folder) / known).write_bytes(content)
        load_register(Path(folder))


def _whole_registers() -> Iterator[bytes]:
    yield b"".join(_MARK + name.encode() + b"\n" + content.encode() for name, content in _FILES.items())


def _in_place_of(name: str) -> Reader:
    """Return the reader of one file of the register, beside valid other files."""

    def load(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for other, content in _FILES.items():
                (Path(folder) / other).write_bytes(data if other == name else content.encode())
            load_register(Path(folder))

    inputs = [_FILES[name].encode()] + ([KNOWN_ROUNDS.encode()] if name == "evaluation_rounds.yaml" else [])
    return Reader(f"register: {name}", load, lambda: inputs, (InputError,))


def _file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Return a function that writes its input to a file and reads that."""

    def written(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            path.write_bytes(data)
            read(path)

    return written


READERS = (
    Reader("register", _register, _whole_registers, (InputError,)),
    *map(
        _in_place_of,
        (
            "links.csv",
            "probes.yaml",
            "policy.yaml",
            "evaluation_rounds.yaml",
            "announcements.yaml",
            "objections.csv",
            "holidays.csv",
            "reviews.csv",
        ),
    ),
    Reader("sources.yaml", _file(read_sources), lambda: [_SOURCES.encode()], (InputError,)),
    Reader("clients.yaml", _file(read_clients), lambda: [_CLIENTS.encode()], (SettingsError,)),
    Reader(
        "X-Road lists",
        _file(lambda path: read_lists([path])),
        lambda: [_SHARED_PARAMETERS, _CLIENT_LIST],
        (InputError,),
    ),
)
