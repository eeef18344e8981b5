"""The proxy of a probe is read, and each fault has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.probe import Probe, Proxy
from services.register.directory.load import load_register
from services.register.versions import from_rows, to_rows
from tests.support.registers import PROBES, write_register


def _read(folder: Path, proxy: str, kind: str = "http") -> Probe:
    directory = write_register(folder, probes_yaml=f"{PROBES}over:\n  kind: {kind}\n  proxy: {proxy}\n")
    return load_register(directory).probes["over"]


def test_a_proxy_is_read(tmp_path: Path) -> None:
    """A proxy has a URL with a port and, by reference, a password. In rows a file keeps its path as written."""
    given = '{url: "http://[2001:db8::1]:3128/", username: monitor, password: "file:proxy-password"}'
    read = _read(tmp_path, given)
    password = f"file:{tmp_path}/./proxy-password"
    assert read.proxy == Proxy("http://[2001:db8::1]:3128/", "monitor", password)
    assert _read(tmp_path, "{url: 'http://proxy.example:80'}", "tls").proxy == Proxy("http://proxy.example:80")
    register = load_register(write_register(tmp_path, probes_yaml=f"{PROBES}over:\n  kind: http\n  proxy: {given}\n"))
    (rows,) = [row for row in to_rows(register, portable=True)["probes"] if row["name"] == "over"]
    assert rows["proxy"]["password"] == "file:proxy-password"
    assert from_rows([to_rows(register)]).probes["over"].proxy == read.proxy


@pytest.mark.parametrize(
    ("proxy", "kind", "fault"),
    [
        ("http://proxy.example:80", "http", "proxy: is not a mapping"),
        ("{}", "http", "key `url` is missing"),
        ("{url: 'https://proxy.example:80'}", "http", "does not begin with http://"),
        ("{url: 'http://proxy.example'}", "http", "names no port"),
        ("{url: 'http://proxy.example:80/path'}", "http", "has more than a scheme, a host and a port"),
        ("{url: 'http://a:b@proxy.example:80'}", "http", "the URL holds credentials"),
        ("{url: 'http://proxy.example:80', username: a}", "http", "needs both `username` and `password`, or neither"),
        (
            "{url: 'http://proxy.example:80', username: a, password: s3cr3t}",
            "http",
            "a secret stands only by reference",
        ),
        ("{url: 'http://proxy.example:80', port: 80}", "http", "key `port` is unknown"),
        ("{url: 'http://proxy.example:80'}", "tcp", "key `proxy` is unknown with kind tcp"),
        ("{url: 'http://proxy.example:80'}", "grpc", "key `proxy` is unknown with kind grpc"),
    ],
)
def test_what_is_wrong_with_a_proxy(tmp_path: Path, proxy: str, kind: str, fault: str) -> None:
    """Each fault is found at its place, and no secret or credential is repeated."""
    with pytest.raises(InputError) as refused:
        _read(tmp_path, proxy, kind)
    (found,) = refused.value.faults
    line = f"{PROBES}over:\n  kind:".count("\n") + 2
    assert (fault in found.reason, found.line) == (True, line), str(found)
    assert "s3cr3t" not in str(found)
    assert "a:b@" not in str(found)
