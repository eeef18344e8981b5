"""Nobody joins the bus as a server by a certificate of the authority: a server must have a name that the others know.

A server of a cluster is trusted with every account: a rogue one publishes and listens as anybody.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nats
import nats.errors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.core.bus.names import MEASUREMENTS, measurement_subject
from services.core.bus.server import find_server
from services.core.bus.server_accounts import JETSTREAM_ACCOUNT
from tests.support.ports import free_port
from tests.support.servers.authority import Authority, Key
from tests.support.servers.deployed_nats import Deployed, initialised
from tests.support.waiting import DEADLINE, eventually, until

_KNOWN_URLS = "verify_cert_and_check_known_urls: true"


@dataclass
class Rogue:
    """A server with a certificate of the authority, which dials the servers of a cluster."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def refusals(self) -> int:
        """Return how often a server of the cluster ended a connection."""
        return self.log.read_text("utf-8", "replace").count("Router connection closed")


def _authority(servers: Deployed, folder: Path) -> Authority:
    made = servers.secrets / "authority"
    certificate = x509.load_pem_x509_certificate((made / "ca.pem").read_bytes())
    key = load_pem_private_key((made / "ca.key").read_bytes(), None)
    assert isinstance(key, Key)
    return Authority(certificate, key, folder)


@contextmanager
def _rogue(servers: Deployed, folder: Path, *names: str) -> Iterator[Rogue]:
    """Run a rogue server, whose certificate has these names and whose clients need no seed."""
    folder.mkdir()
    pem = str(_authority(servers, folder).server(*names))
    tls = {"cert_file": pem, "key_file": pem, "ca_file": str(servers.secrets / "ca.pem"), "timeout": 5}
    port = free_port()
    config = {
        "server_name": "rogue",
        "listen": f"127.0.0.1:{port}",
        "accounts": {JETSTREAM_ACCOUNT: {"users": [{"user": "rogue", "password": "rogue"}]}},
        "cluster": {
            "name": "peyvand",
            "listen": f"127.0.0.1:{free_port()}",
            "routes": [f"nats-route://localhost:{route}" for route in servers.routes],
            "tls": tls,
        },
    }
    (folder / "rogue.conf").write_text(json.dumps(config))
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([find_server(), "-D", "-c", str(folder / "rogue.conf")], stdout=file, stderr=file)
    try:
        yield Rogue(process, port, log)
    finally:
        process.kill()
        process.wait()


async def _forge(rogue: Rogue) -> bytes | None:
    """Publish a measurement of a vantage through the rogue server; return the acknowledgement, None when there is none."""
    client = await nats.connect(f"nats://rogue:rogue@127.0.0.1:{rogue.port}")
    try:
        return (await client.request(measurement_subject("south", 0), b"forged", timeout=DEADLINE)).data
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
        return None
    finally:
        await client.close()


@contextmanager
def _cluster(folder: Path, *, known_urls: bool) -> Iterator[Deployed]:
    folder.mkdir()
    servers = Deployed(folder, "cluster.conf", 3)
    for node in range(3):
        path = folder / f"node-{node}" / "cluster.conf"
        text = path.read_text()
        assert _KNOWN_URLS in text
        path.write_text(text if known_urls else text.replace(_KNOWN_URLS, ""))
        servers.start(node)
    try:
        yield servers
    finally:
        for node in tuple(servers.running):
            servers.kill(node)


@pytest.mark.parametrize("names", [("agency.test",), ("127.0.0.1",), ("nats-4", "*.test")], ids=" ".join)
async def test_a_certificate_of_the_authority_is_no_server(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A server whose certificate has none of the cluster's names is turned away, and its requests reach nobody."""
    with _cluster(tmp_path / "cluster", known_urls=True) as servers:
        async with servers.connect("admin") as admin:
            await initialised(admin)
            with _rogue(servers, tmp_path / "rogue", *names) as rogue:
                until(lambda: rogue.refusals() > len(servers.routes), "the rogue server is turned away")
                assert await _forge(rogue) is None
                assert rogue.process.poll() is None
            assert await admin.read(MEASUREMENTS, 1) == []


async def test_the_rogue_server_joins_where_names_are_not_checked(tmp_path: Path) -> None:
    """The attack above is real: where any certificate of the authority will do, the rogue server stores measurements of any vantage."""
    with _cluster(tmp_path / "cluster", known_urls=False) as servers:
        async with servers.connect("admin") as admin:
            await initialised(admin)
            with _rogue(servers, tmp_path / "rogue", "agency.test") as rogue:
                answer = await eventually(lambda: _forge(rogue), "the rogue server reaches JetStream")
                assert json.loads(answer)["stream"] == MEASUREMENTS
            assert [message.data for message in await admin.read(MEASUREMENTS, 1)] == [b"forged"]
