"""Fetches a list that is named by its URL (``peyvand register import xroad URL``)."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import httpx

from services.core.errors import Fault, InputError

__all__ = ["fetch"]

_DEADLINE_SECONDS = 30.0
_LARGEST = 64 << 20


def fetch(url: str, folder: Path) -> Path:
    """Fetch a URL into a file of its own in ``folder``. Raises InputError; nothing beyond 64 MiB or 30 s is waited for."""
    name = url.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2] or "list"
    path = folder / f"{len(list(folder.iterdir()))}-{name[-60:]}"
    try:
        path.write_bytes(_content(url))
    except httpx.HTTPStatusError as error:
        raise _refused(url, f"it answered with HTTP status {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _refused(url, f"it cannot be fetched: {type(error).__name__}") from error
    return path


def _content(url: str) -> bytes:
    end = monotonic() + _DEADLINE_SECONDS
    body = bytearray()
    # What comes packed is not unpacked: the limit holds for what is kept.
    headers = {"Accept": "text/xml, application/json;q=0.9", "Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=_DEADLINE_SECONDS, follow_redirects=True) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > _LARGEST or monotonic() > end:
                raise _refused(url, f"it is larger than {_LARGEST >> 20} MiB, or too slow")
    return bytes(body)


def _refused(url: str, reason: str) -> InputError:
    return InputError("what was to be fetched", [Fault(url, 0, 0, reason)])
