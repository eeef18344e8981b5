"""Fetches the lists that ``peyvand register import`` reads from URLs."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx

from services.core.errors import SettingsError, reason_of
from services.core.network import trusting

_DEADLINE_SECONDS = 30.0
_MAX_BYTES = 64 << 20
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@contextmanager
def local_files(files: Sequence[str], authority: Path | None = None) -> Iterator[list[Path]]:
    """Yield the files as paths; those that are URLs are fetched into a folder that is removed afterwards.

    ``authority`` is a file of certificates that are trusted in place of the system's. Raises SettingsError for a list that
    cannot be fetched within 30 s or is larger than 64 MiB, and for an authority that cannot be used.
    """
    try:
        trust = trusting(authority)
    except OSError as error:  # SSLError is one
        raise SettingsError(
            f"--authority {authority} holds no certificate that can be read: name a PEM file"
        ) from error
    with TemporaryDirectory() as folder:
        yield [_fetch(file, Path(folder), trust) if _URL.match(file) else Path(file) for file in files]


def _fetch(url: str, folder: Path, trust: ssl.SSLContext) -> Path:
    name = url.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2] or "list"
    path = folder / f"{len(list(folder.iterdir()))}-{name[-60:]}"
    try:
        path.write_bytes(_content(url, trust))
    except httpx.HTTPStatusError as error:
        raise _not_fetched(url, f"it answered with HTTP status {error.response.status_code}") from error
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            todo = "name its authority with --authority FILE"
            raise _not_fetched(url, "its certificate is not trusted", todo) from error
        raise _not_fetched(url, "it cannot be connected to") from error
    except httpx.TimeoutException as error:
        raise _not_fetched(url, f"it did not answer within {_DEADLINE_SECONDS:g} s") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _not_fetched(url, "it is no http:// or https:// address") from error
    except (httpx.HTTPError, OSError) as error:
        raise _not_fetched(url, reason_of(error).rstrip(".")) from error
    return path


def _content(url: str, trust: ssl.SSLContext) -> bytes:
    deadline = monotonic() + _DEADLINE_SECONDS
    body = bytearray()
    # No compression, so that the limit applies to the bytes that are kept.
    headers = {"Accept": "text/xml, application/json;q=0.9", "Accept-Encoding": "identity"}
    with (
        httpx.Client(verify=trust, timeout=_DEADLINE_SECONDS, follow_redirects=True) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        response.raise_for_status()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_BYTES or monotonic() > deadline:
                raise _not_fetched(url, f"it is larger than {_MAX_BYTES >> 20} MiB, or too slow")
    return bytes(body)


def _not_fetched(
    url: str, reason: str, todo: str = "check the address, or save the list and name its file"
) -> SettingsError:
    return SettingsError(f"{url} cannot be fetched: {reason}; {todo}")
