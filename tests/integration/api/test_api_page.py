"""docs/api.md: its Python examples run unchanged, and its tables match the contract."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509

from peyvand.v1 import indicator_pb2, indicator_service_pb2, indicator_service_pb2_grpc, register_service_pb2
from services.api.access.callers import read_clients
from services.core.bus.names import INDICATOR_BUCKET
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from tests.support.cases.api.answers import api
from tests.support.cases.api.blocks import AS_OF, blocks_of
from tests.support.paths import ROOT
from tests.support.registers import write_register
from tests.support.servers.authority import Authority
from tests.support.values.block_columns import encoded
from tests.support.waiting import DEADLINE, EAGER

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


FIRST, GENERATED, OVER_TLS = _blocks("python")
GENERATE = _blocks("bash")[0]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client that the page's own command generates from the contract."""
    folder = tmp_path_factory.mktemp("client")
    text = re.sub(r"\bclient\b", shlex.quote(str(folder)), GENERATE).replace(
        "python ", f"{shlex.quote(sys.executable)} ", 1
    )
    subprocess.run(["bash", "-euc", text], cwd=ROOT, check=True, timeout=DEADLINE)
    return folder


@asynccontextmanager
async def _published(nats, folder: Path) -> AsyncIterator[Path]:
    """Put a register and a first set of indicators on the bus."""
    register = load_register(write_register(folder / "register"))
    async with nats.connect("register") as bus:
        await publish_register(bus, register, now=AS_OF)
    await _refresh(nats, folder)
    yield folder


async def _refresh(nats, folder: Path, **options: object) -> None:
    register = load_register(folder / "register")
    async with nats.connect("scorer") as bus:
        for key, block in blocks_of(register, **options).items():
            await bus.kv_put(INDICATOR_BUCKET, key, encoded(block))


async def _until_answers(channel: grpc.aio.Channel) -> None:
    stub = indicator_service_pb2_grpc.IndicatorServiceStub(channel)
    request = indicator_service_pb2.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT)
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await stub.GetIndicator(request, timeout=5)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
            else:
                return


@contextmanager
def _example(text: str, client: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the text as a program in a folder, with a generated client or the repository's, and kill it at the end."""
    (folder / "example.py").write_text(text, "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "example.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{client}{os.pathsep}{client / 'proto'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def _lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        return [(await asyncio.to_thread(process.stdout.readline)).rstrip() for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "refused"),
    [(FIRST, "AGENCY_UNKNOWN - api at {}: "), (GENERATED, "NOT_FOUND AGENCY_UNKNOWN ")],
    ids=["client", "generated"],
)
async def test_the_first_examples_run(nats, client: Path, tmp_path: Path, text: str, refused: str) -> None:
    """Both print the government, every provider page by page, an error with its reason, and changes as they come."""
    text = text.replace("127.0.0.1:7410", "{}").replace("page_size=500", "page_size=2")
    own = client if text.startswith("import random") else ROOT
    async with _published(nats, tmp_path):
        with api(nats, tmp_path / "api.log") as address:
            async with grpc.aio.insecure_channel(address, EAGER) as channel:
                await _until_answers(channel)
            with _example(text.replace("{}", address, 1), own, tmp_path) as process:
                government, *providers, refusal, watched = await _lines(process, 7)
                assert re.fullmatch(r"country: [\d.]+%, bounds [\d.]+% to [\d.]+%, as of 2026-.*Z", government)
                assert [one.partition(":")[0] for one in providers] == [
                    "civil-registry",
                    "customs",
                    "land-registry",
                    "tax-office",
                ]
                assert refusal.startswith(f"{refused.format(address)}the register in force knows no agency `nobody`")
                assert watched == government
                await _refresh(nats, tmp_path, as_of=AS_OF + 300, ok={"deed-tax": 0})
                (changed,) = await _lines(process, 1)
                assert changed.startswith("country: ")
                assert changed != government


async def test_the_example_over_tls_runs(nats, tmp_path: Path) -> None:
    """With the page's own clients.yaml an agency's certificate lists that agency's links and no others."""
    authority = Authority.make(tmp_path)
    trusted = Path(authority.reference.removeprefix("file:"))
    (tmp_path / "ca.pem").write_bytes(trusted.read_bytes())
    key, line, certificate = authority.server("127.0.0.1").read_text().partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "server.key").write_text(key)
    (tmp_path / "server.pem").write_text(line + certificate)
    own, own_key = authority.client(alternatives=[x509.DNSName("monitoring.tax.example")])
    own.rename(tmp_path / "client.pem")
    own_key.rename(tmp_path / "client.key")
    (tmp_path / "clients.yaml").write_text(_blocks("yaml")[0])
    (tmp_path / "revoked.pem").write_bytes(authority.revoking())
    command = PAGE.replace("\\\n", "")
    flags = re.findall(r"peyvand api --listen \S+ (.*)", command)[0].replace("clients-ca.pem", "ca.pem")
    async with _published(nats, tmp_path):
        more = [word if word.startswith("--") else str(tmp_path / word) for word in flags.split()]
        with api(nats, tmp_path / "api.log", *more) as address:
            credentials = grpc.ssl_channel_credentials(
                trusted.read_bytes(), (tmp_path / "client.key").read_bytes(), (tmp_path / "client.pem").read_bytes()
            )
            async with grpc.aio.secure_channel(address, credentials, EAGER) as channel:
                await _until_answers(channel)
            with _example(OVER_TLS.replace("api.example:7410", address), ROOT, tmp_path) as process:
                said = (await asyncio.to_thread(process.communicate, None, DEADLINE))[0]
    assert process.returncode == 0, said
    assert {line.split()[0] for line in said.splitlines()} == {
        "birth-tax",
        "clearance-customs",
        "clearance-land",
        "deed-tax",
        "permit-tax",
    }


def test_the_list_of_clients_is_one(tmp_path: Path) -> None:
    """The api's own reader accepts the page's clients.yaml."""
    (tmp_path / "clients.yaml").write_text(_blocks("yaml")[0])
    assert len(read_clients(tmp_path / "clients.yaml")) == 3


def test_every_method_is_named() -> None:
    """The table of methods equals that of the contract."""
    for name, file in (("IndicatorService", indicator_service_pb2), ("RegisterService", register_service_pb2)):
        [row] = re.findall(rf"^\| `{name}` \| (.*) \|$", PAGE, re.MULTILINE)
        methods = file.DESCRIPTOR.services_by_name[name].methods
        assert re.findall(r"`(\w+)`", row) == [method.name for method in methods]
