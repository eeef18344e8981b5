"""deploy/nats against real nats-servers: alone and as a cluster, over TLS, each user with its role's permissions."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from services.core.bus import connect
from services.core.bus.encryption import BusEncryption
from services.core.bus.names import measurement_subject
from services.core.bus.roles import inbox_prefix, permissions, read_user
from services.core.bus.topology import initialise_streams
from services.core.errors import BusError, SettingsError
from tests.support.ports import free_port
from tests.support.registers import write_register
from tests.support.servers.deployed_nats import VANTAGES, Deployed, component
from tests.support.waiting import DEADLINE, until


@pytest.mark.parametrize(("config", "nodes"), [("alone.conf", 1), ("cluster.conf", 3)])
def test_nats_server_accepts_each_configuration(tmp_path: Path, config: str, nodes: int) -> None:
    """nats-server finds no fault with the configurations that we deploy, and finds one in a broken configuration."""
    servers = Deployed(tmp_path, config, nodes)
    assert [servers.fault(node) for node in range(nodes)] == [""] * nodes
    servers.users_conf.unlink()
    (tmp_path / "node-0" / "nats" / "users.conf").unlink()
    assert "users.conf" in servers.fault()


def test_every_user_has_an_account_with_what_its_role_may_do(tmp_path: Path) -> None:
    """The list that servers include gives each user what bus/roles.py gives its role, in an account that imports no more."""
    servers = Deployed(tmp_path, "alone.conf")
    accounts = json.loads(servers.users_conf.read_text("utf-8").partition("accounts: ")[2])
    exports = [*accounts["BUS"].pop("exports"), *accounts.pop("$SYS").pop("exports")]
    assert accounts["BUS"].pop("jetstream") == "enabled"
    expected: dict[str, dict[str, Any]] = {}
    for vantage in VANTAGES:
        for role, allowed in permissions(vantage, "xroad").items():
            name = {"prober": f"prober-{vantage}", "collector": "collector-xroad"}.get(role, role)
            key = read_user(servers.secrets / "users" / name / f"{role}.nk", role).public_key
            user = {
                "nkey": key,
                "permissions": {
                    "publish": {"allow": [*allowed.requests, *allowed.peers]},
                    "subscribe": {"allow": [f"{inbox_prefix(key)}.>", *allowed.changes, *allowed.peers]},
                },
            }
            if role == "admin":
                expected["BUS"] = {"users": [user]}
                continue
            imports: list[dict[str, Any]] = [_imported("service", "peyvand.v1.nobody") | {"to": "$JS.API.INFO"}]
            imports += [_imported("service", subject) for subject in allowed.requests]
            imports += [_imported("stream", f"peyvand.v1.stored.{one}") | {"to": one} for one in allowed.changes]
            limits = {"max_connections": 100, "max_subscriptions": 1000}
            expected[name] = {"users": [user], "imports": imports, "limits": limits}
    assert accounts == expected
    assert len(accounts) == 9
    for export in exports:
        ((kind, subject),) = ((kind, export[kind]) for kind in ("service", "stream") if kind in export)
        taken = {name for name in expected if name != "BUS" and _takes(expected[name]["imports"], kind, subject)}
        assert set(export["accounts"]) == taken
        assert taken  # an export without accounts would be open to everybody


def _imported(kind: str, subject: str) -> dict[str, Any]:
    return {kind: {"account": "$SYS" if subject.startswith("$SYS.") else "BUS", "subject": subject}}


def _takes(imports: list[dict[str, Any]], kind: str, subject: str) -> bool:
    return any(entry.get(kind, {}).get("subject") == subject for entry in imports)


async def test_a_prober_publishes_under_its_own_vantage_only(alone: Deployed) -> None:
    """Vantages share a bus but not each other's subjects."""
    async with alone.connect("admin") as bus:
        await initialise_streams(bus)
    async with alone.connect("prober-north", "prober") as bus:
        assert await bus.publish(measurement_subject("north", 0), b"x", message_id="1", timeout=DEADLINE) == 1
        with pytest.raises(BusError, match="not acknowledged"):
            await bus.publish(measurement_subject("south", 0), b"x", message_id="2", timeout=0.5)


async def test_only_the_named_authority_is_trusted(alone: Deployed, tmp_path: Path) -> None:
    """Without the bus's authority, or by a name its certificate does not hold, the connection ends in one sentence."""
    api = alone.secrets / "users" / "api"
    with pytest.raises(BusError, match=r"no certificate of tls://127\.0\.0\.1:\d+ can be trusted: .*verify failed"):
        async with connect(alone.urls, role="api", credentials=api, name="test"):
            pass
    ours = BusEncryption(str(alone.secrets / "ca.pem"))
    other = f"tls://localhost:{alone.ports[0]}"
    with pytest.raises(BusError, match=r"no certificate of tls://localhost:\d+ can be trusted: .*Hostname mismatch"):
        async with asyncio.timeout(DEADLINE), connect(other, role="api", credentials=api, name="t", encryption=ours):
            pass
    (tmp_path / "empty.pem").touch()
    with pytest.raises(SettingsError, match=r"empty\.pem cannot be read as PEM certificates"):
        async with connect(
            alone.urls, role="api", credentials=api, name="t", encryption=BusEncryption(str(tmp_path / "empty.pem"))
        ):
            pass


async def test_nothing_is_said_before_encryption(alone: Deployed) -> None:
    """The server greets nobody in the clear: a man in the middle has nothing to strip."""
    async with alone.connect("admin"):  # it listens by now
        pass
    reader, writer = await asyncio.open_connection("127.0.0.1", alone.ports[0])
    try:
        writer.write(b"CONNECT {}\r\nPING\r\n")
        async with asyncio.timeout(DEADLINE):
            assert b"INFO" not in await reader.read()
    finally:
        writer.close()


def test_a_component_and_commands_work_over_tls(alone: Deployed, tmp_path: Path) -> None:
    """The commands of docs/operating.md set up streams, a register and a prober, all over TLS."""
    directory = write_register(tmp_path / "register", base=f"http://127.0.0.1:{free_port()}")
    limits = alone.peyvand("admin", "bus", "init", "--storage", "40GiB")
    assert limits.startswith("ready: MEASUREMENTS of 22.0 GiB")
    assert alone.peyvand("admin", "bus", "init") == limits  # the limits stay
    assert "is in force" in alone.peyvand("register", "register", "publish", str(directory))
    assert alone.peyvand("dump", "dump", "measurements") == ""
    port = free_port()
    command, environ = component(
        alone, "prober-north", "prober", "--vantage", "north", "--metrics", f"127.0.0.1:{port}",
        "--data", str(tmp_path / "prober"),
    )  # fmt: skip
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: process.poll() is not None or _serving(port), "the prober serves")
            assert process.poll() is None
        finally:
            process.terminate()
            process.wait(DEADLINE)


def _serving(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
