"""Lists that ``peyvand register import`` reads from URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import httpx

from services.core.errors import Fault, InputError

_DEADLINE_SECONDS = 30.0
_MAX_BYTES = 64 << 20
_URL = re.compile(r"https?://")


@contextmanager
def local_files(files: Sequence[str]) -> Iterator[list[Path]]:
    """Yield the files as paths; those that are URLs are fetched into a folder that is removed afterwards.

    Raises InputError for a list that cannot be fetched within 30 s or is larger than 64 MiB.
    """
    with TemporaryDirectory() as folder:
        yield [_fetch(file, Path(folder)) if _URL.match(file) else Path(file) for file in files]


def _fetch(url: str, folder: Path) -> Path:
    name = url.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2] or "list"
    path = folder / f"{len(list(folder.iterdir()))}-{name[-60:]}"
    try:
        path.write_bytes(_content(url))
    except httpx.HTTPStatusError as error:
        raise _fault(url, f"it answered with HTTP status {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _fault(url, f"it cannot be fetched: {type(error).__name__}") from error
    return path


def _content(url: str) -> bytes:
    deadline = monotonic() + _DEADLINE_SECONDS
    body = bytearray()
    # No compression, so that the limit holds for what is kept.
    headers = {"Accept": "text/xml, application/json;q=0.9", "Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, timeout=_DEADLINE_SECONDS, follow_redirects=True) as response:
        response.raise_for_status()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_BYTES or monotonic() > deadline:
                raise _fault(url, f"it is larger than {_MAX_BYTES >> 20} MiB, or too slow")
    return bytes(body)


def _fault(url: str, reason: str) -> InputError:
    return InputError("what was to be fetched", [Fault(url, 0, 0, reason)])
