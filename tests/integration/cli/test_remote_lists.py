"""Lists that an import fetches from servers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from services.cli.remote_lists import local_files
from services.core.errors import SettingsError
from tests.support.servers.authority import Authority
from tests.support.servers.http_server import Request, answer, serving


def _fetched(url: str, authority: Path | None = None) -> bytes:
    with local_files([url], authority) as (path,):
        return path.read_bytes()


async def _reply(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(200, b"<list/>"))


async def test_a_server_of_an_authority_of_ones_own_is_trusted_by_name(tmp_path: Path) -> None:
    """A list behind a certificate of a private authority needs --authority; without it the error says so."""
    authority = Authority.make(tmp_path)
    trusted = Path(authority.reference.removeprefix("file:"))
    async with serving(_reply, tls=authority.context("127.0.0.1")) as server:
        url = server.url()
        assert await asyncio.to_thread(_fetched, url, trusted) == b"<list/>"
        with pytest.raises(SettingsError) as refused:
            await asyncio.to_thread(_fetched, url)
    assert str(refused.value) == (
        f"{url} cannot be fetched: its certificate is not trusted; name its authority with --authority FILE"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/list.csv", "it cannot be connected to"),
        ("HTTP://127.0.0.1:1/list.csv", "it cannot be connected to"),
        ("http://[::1/list.csv", "it is no http:// or https:// address"),
        ("ftp://127.0.0.1/list.csv", "it is no http:// or https:// address"),
    ],
)
def test_a_list_that_cannot_be_fetched_is_one_sentence(url: str, reason: str) -> None:
    """The sentence says what failed, at which address, why, and what to do. No address is taken for the name of a file."""
    with pytest.raises(SettingsError) as refused:
        _fetched(url)
    assert str(refused.value) == (
        f"{url} cannot be fetched: {reason}; check the address, or save the list and name its file"
    )


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    """A missing file, or one without a certificate, is refused before anything is fetched."""
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    sentence = f"--authority {path} holds no certificate that can be read: name a PEM file"
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        _fetched("https://127.0.0.1:1/", path)
