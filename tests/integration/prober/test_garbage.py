"""A probe leaves nothing for the garbage collector, whose full rounds stall every other probe."""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path

import pytest
import uvloop

from services.core.model.outcome import Reason
from services.core.model.probe import Tls
from services.prober.http.http1 import Http1Connection
from services.prober.tls.handshake import Handshake
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import ask, says, serving, silent


async def _probe(url: str, reason: Reason, **definition: object) -> None:
    """Probe while the collector is off; fail if the connection or its handshake still exists in the end."""
    gc.collect()
    gc.disable()
    try:
        assert (await ask(url, **definition)).judgement.reason is reason  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            while left := [thing for thing in gc.get_objects() if isinstance(thing, Http1Connection | Handshake)]:
                left.clear()
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail("what a probe was made of is left to the collector")
    finally:
        gc.enable()


def _assert_nothing_is_left(url: str, reason: Reason, **definition: object) -> None:
    """Probe ``url``, or a server that answers if it is empty, on uvloop, which the prober runs on."""

    async def scenario() -> None:
        async with serving(says(200, b"fine"), tls=definition.pop("context", None)) as server:  # type: ignore[arg-type]
            await _probe(url or server.url(), reason, **definition)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_a_plain_probe_leaves_nothing() -> None:
    """A probe over plain HTTP frees its connection by itself."""
    _assert_nothing_is_left("", Reason.OK)


def test_a_probe_over_tls_leaves_nothing(tmp_path: Path) -> None:
    """A probe over TLS frees its connection and the handshake's state, which is tens of kilobytes."""
    authority = Authority.make(tmp_path)
    _assert_nothing_is_left("", Reason.OK, context=authority.context("127.0.0.1"), tls=Tls(ca=authority.reference))


@pytest.mark.parametrize(("scheme", "reason"), [("http", Reason.ANSWER_TIMEOUT), ("https", Reason.TLS_TIMEOUT)])
def test_a_probe_that_is_cut_off_leaves_nothing(scheme: str, reason: Reason) -> None:
    """A probe that its deadline ends frees its connection as well."""
    with silent() as port:
        _assert_nothing_is_left(f"{scheme}://127.0.0.1:{port}/", reason, timeout=0.1)


def test_a_probe_with_a_missed_deadline_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that is connected when a busy loop misses its deadline is dropped by uvloop silently, and freed too."""
    ready = Http1Connection.ready

    def busy(connection: Http1Connection) -> None:
        ready(connection)
        time.sleep(0.2)

    monkeypatch.setattr(Http1Connection, "ready", busy)
    _assert_nothing_is_left("", Reason.ANSWER_TIMEOUT, timeout=0.1)
