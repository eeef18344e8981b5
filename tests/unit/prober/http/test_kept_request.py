"""A kept request is the request of httpx, in less memory."""

import httpx
import pytest

from services.prober.http import KeptRequest, exchange


@pytest.mark.parametrize(
    "request_",
    [
        httpx.Request("GET", "https://agency.test/a%20b/پرونده?id=1&name=%D8%A7#part"),
        httpx.Request("POST", "http://[::1]:8080/", headers=[(b"Host", b"other.test")], content="نام".encode()),
        httpx.Request("HEAD", "https://user:word@agency.test:443", headers=[(b"X-Name", "نام".encode())]),
        httpx.Request("POST", "http://agency.test/", headers=[(b"A", b"1"), (b"a", b"2")], content=b""),
    ],
    ids=["quoted", "own host", "user", "no body"],
)
def test_a_request_comes_back_as_it_was(request_: httpx.Request) -> None:
    """Method, URL, headers in order and in their case, and body are the same."""
    built = KeptRequest.of(request_).build()
    assert (built.method, built.url, built.headers.raw, built.read()) == (
        request_.method,
        request_.url,
        request_.headers.raw,
        request_.read(),
    )


def test_requests_with_the_same_header_share_it() -> None:
    """Headers that are equal are stored once."""
    first, second = (KeptRequest.of(httpx.Request("GET", f"http://agency.test/{place}")) for place in "ab")
    assert first.headers == second.headers
    assert all(one is other for one, other in zip(first.headers, second.headers, strict=True))


def test_tokens_of_the_past_are_not_kept() -> None:
    """A token is gone with its request, however many came before it."""
    kept = []
    for token in ("first", "second"):
        request = httpx.Request("GET", "http://agency.test/", headers={"Authorization": f"Bearer {token}"})
        assert KeptRequest.of(request).headers == tuple(request.headers.raw)
        kept.append(exchange._shared.cache_info().currsize)
    assert kept[0] == kept[1]
