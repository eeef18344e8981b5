"""Spellings and redirects that would bypass the egress rules, tried for real (docs/probing.md §5, behaviour 37)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.core.model.outcome import Reason
from tests.support.servers.egress_trap import Trap, leading, trapping, way_out
from tests.support.servers.http_server import Request, answer, ask, serving

HOSTS = {
    "as it is": "127.0.0.66",
    "decimal": "2130706498",
    "octal": "0177.0.0.0102",
    "octal in one": "017700000102",
    "leading zero": "127.0.0.066",
    "hexadecimal": "0x7f.0.0.0x42",
    "hexadecimal in one": "0x7f000042",
    "two parts": "127.66",
    "three parts": "127.0.66",
    "trailing dot": "127.0.0.66.",
    "mapped": "[::ffff:127.0.0.66]",
    "mapped in hexadecimal": "[::ffff:7f00:42]",
    "mapped in full": "[0:0:0:0:0:ffff:7f00:0042]",
    "compatible": "[::127.0.0.66]",
    "translated by NAT64": "[64:ff9b::7f00:42]",
    "translated by a local NAT64": "[64:ff9b:1::7f00:42]",
    "translated by SIIT": "[::ffff:0:127.0.0.66]",
    "6to4": "[2002:7f00:42::1]",
    "Teredo server": "[2001:0:7f00:42::]",
    "Teredo client": "[2001:0:c000:201::80ff:ffbd]",
    "loopback of IPv6": "[::1]",
    "link-local with a zone": "[fe80::1%25lo]",
    "mapped with a zone": "[::ffff:127.0.0.66%25lo]",
    "loopback with a zone": "[::1%lo]",
    "unspecified": "0.0.0.0",
    "unspecified in short": "0",
    "unspecified of IPv6": "[::]",
    "user in front": "allowed.test@127.0.0.66",
    "user and password in front": "127.0.0.1:80@127.0.0.66",
    "fullwidth digits": "１２７.０.０.６６",
    "circled digits": "①②⑦.⓪.⓪.⑥⑥",
    "ideographic full stops": "127。0。0。66",
    "encoded dots": "127%2e0%2e0%2e66",
    "encoded digits": "%31%32%37.0.0.66",
    "encoded end": "127.0.0.66%00",
    "encoded end before a suffix": "127.0.0.66%00.allowed.test",
    "a name": "inside.test",
    "a name in capitals": "INSIDE.TEST",
    "a name with a trailing dot": "inside.test.",
    "a name in fullwidth": "ｉｎｓｉｄｅ.test",
    "a name of a mapped address": "mapped.test",
    "a name of a translated address": "translated.test",
    "a name of the loopback of IPv6": "six.test",
    "a name of nothing": "unspecified.test",
    "an alias": "alias.test",
    "an alias of an alias": "alias-of-alias.test",
}
LOCATIONS = {
    "scheme in capitals": "HTTP://127.0.0.66:{port}/",
    "another scheme of ours": "https://127.0.0.66:{port}/",
    "no scheme": "//127.0.0.66:{port}/",
    "no scheme, with a user": "//127.0.0.1@127.0.0.66:{port}/",
    "no scheme, a name": "//alias.test:{port}/",
    "scheme and backslashes": "http:\\\\127.0.0.66:{port}/",
    "no slash": "http:127.0.0.66:{port}/",
    "leading space": " http://127.0.0.66:{port}/",
    "leading tab": "\thttp://127.0.0.66:{port}/",
    "backslash before the user": "http://127.0.0.1:1\\@127.0.0.66:{port}/",
    "fragment after the host": "http://127.0.0.66:{port}#@127.0.0.1/",
    "query after the host": "http://127.0.0.66:{port}?@127.0.0.1/",
    "space in the host": "http://127.0.0.66 :{port}/",
    "websocket": "ws://127.0.0.66:{port}/",
    "ftp": "ftp://127.0.0.66:{port}/",
    "gopher": "gopher://127.0.0.66:{port}/_",
    "file": "file:///etc/passwd",
    "data": "data:text/plain,x",
    "script": "jAvAscript:fetch('//127.0.0.66:{port}/')",
    "no such port": "http://127.0.0.1:99999/",
    "port zero": "http://127.0.0.66:0/",
    "no name at all": "http://xn--/",
}
HOMEWARD = {
    "slash and backslash": "/\\127.0.0.66:{port}/",
    "two backslashes": "\\\\127.0.0.66:{port}/",
    "one slash": "http:/127.0.0.66:{port}/",
    "three slashes": "http:///127.0.0.66:{port}/",
}
"""Redirects that some browsers read as another host, and we as a path of the same host."""


@pytest.fixture
async def trap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    """The trap, at an address that the rules refuse whatever the policy allows."""
    async with trapping(monkeypatch) as trap:
        yield trap


@pytest.mark.parametrize("address", ["127.0.0.66", "::ffff:127.0.0.66", "::1", "0.0.0.0", "::"])
async def test_the_trap_catches(trap: Trap, address: str) -> None:
    """A connection to the trap, by any address that reaches it, is counted: the tests below can fail."""
    reader, writer = await asyncio.open_connection(address, trap.port)
    await reader.read()
    writer.close()
    assert len(trap.caught) == 1


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
async def test_37_no_spelling_of_a_target_gets_there(trap: Trap, host: str) -> None:
    """A target that spells the forbidden address in any way is never connected to."""
    async with way_out() as (_, environment):
        result = await ask(f"http://{host}:{trap.port}/", environment=environment)
    assert trap.caught == []
    assert result.judgement.reason in {Reason.EGRESS_DENIED, Reason.RESOLVE_FAILED, Reason.PROBER_ERROR}
    assert result.observation.addresses == ()


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
async def test_37_no_redirect_gets_there(trap: Trap, host: str, status: int) -> None:
    """A redirect to any spelling of the forbidden address fails, as the answer's own fault, and is not followed."""
    async with way_out() as (_, environment), serving(leading(f"http://{host}:{trap.port}/", status)) as server:
        result = await ask(server.url(), environment=environment, method="POST", body="x")
    assert trap.caught == []
    assert result.judgement.reason in {Reason.REDIRECT_REFUSED, Reason.RESOLVE_FAILED}
    assert result.observation.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS.keys())
async def test_37_no_form_of_redirect_gets_there(trap: Trap, location: str) -> None:
    """However the forbidden address is spelled, it is not reached: it is refused, or does not resolve."""
    async with way_out() as (_, environment), serving(leading(location.format(port=trap.port))) as server:
        result = await ask(server.url(), environment=environment)
    assert trap.caught == []
    assert result.judgement.reason in {Reason.REDIRECT_REFUSED, Reason.RESOLVE_FAILED}
    assert result.observation.addresses == ("127.0.0.1",)


@pytest.mark.parametrize("location", HOMEWARD.values(), ids=HOMEWARD.keys())
async def test_37_what_others_take_for_a_host_stays_at_home(trap: Trap, location: str) -> None:
    """A URL without two slashes names no host: in any case only the host that sent it is connected to."""
    async with way_out() as (_, environment), serving(leading(location.format(port=trap.port))) as server:
        result = await ask(server.url(), environment=environment)
    assert trap.caught == []
    assert set(result.observation.addresses) == {"127.0.0.1"}


async def test_37_the_last_of_many_redirects_does_not_get_there(trap: Trap) -> None:
    """Each redirect is checked, also one that follows allowed ones."""

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        step = int(request.path.strip("/") or 0)
        there = f"/{step + 1}" if step < 5 else f"http://alias.test:{trap.port}/"
        writer.write(answer(302, b"", {"Location": there}))

    async with way_out() as (_, environment), serving(handle) as server:
        result = await ask(server.url(), environment=environment)
    assert trap.caught == []
    assert (result.judgement.reason, server.connections) == (Reason.REDIRECT_REFUSED, 6)
