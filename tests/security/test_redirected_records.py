"""No target has a test record sent to a host that the register does not name."""

from __future__ import annotations

import pytest

from services.core.model.outcome import Outcome, Reason
from tests.support.servers.http2_server import replies, serving_http2
from tests.support.servers.http_server import ask, says, serving

RECORD = '{"national_id": "0000000000"}'
STRANGER = "127.0.0.2"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_with_the_body_to_another_host(status: int, method: str) -> None:
    """The redirect is REDIRECT_REFUSED, with its reason, and the other host gets no request."""
    async with (
        serving(says(), host=STRANGER) as stranger,
        serving(says(status, b"", {"Location": stranger.url(host=STRANGER)})) as server,
    ):
        result = await ask(server.url(), method=method, body=RECORD)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.INVALID, Reason.REDIRECT_REFUSED)
    assert "body" in result.judgement.detail
    assert (len(server.requests), stranger.connections) == (1, 0)


async def test_a_redirect_over_http_2_with_the_body_to_another_host() -> None:
    """The same holds of HTTP/2."""
    async with (
        serving(says(), host=STRANGER) as stranger,
        serving_http2(replies(308, b"", [("location", stranger.url(host=STRANGER))])) as server,
    ):
        result = await ask(server.url(), version="2", method="POST", body=RECORD)
    assert result.judgement.reason is Reason.REDIRECT_REFUSED
    assert (len(server.requests), stranger.connections) == (1, 0)


async def test_a_redirect_home_and_back_to_another_host() -> None:
    """A redirect within the host before it changes nothing."""
    async with serving(says(), host=STRANGER) as stranger:
        away = says(307, b"", {"Location": stranger.url(host=STRANGER)})
        async with serving(away) as second, serving(says(308, b"", {"Location": second.url()})) as first:
            result = await ask(first.url(), method="POST", body=RECORD)
    assert result.judgement.reason is Reason.REDIRECT_REFUSED
    assert [request.body.decode() for request in second.requests] == [RECORD]
    assert stranger.connections == 0


@pytest.mark.parametrize("status", [302, 303])
async def test_a_redirect_that_drops_the_body(status: int) -> None:
    """A status that turns a POST into a GET is followed to another host, which gets no body."""
    async with (
        serving(says(), host=STRANGER) as stranger,
        serving(says(status, b"", {"Location": stranger.url(host=STRANGER)})) as server,
    ):
        result = await ask(server.url(), method="POST", body=RECORD)
    assert (result.judgement.reason, result.observation.redirects) == (Reason.OK, 1)
    assert [(request.line, request.body) for request in stranger.requests] == [("GET / HTTP/1.1", b"")]
