"""References to files and secrets: ``file:PATH`` and ``env:NAME``.

A relative path is relative to the register directory. Loading turns it into ``<directory>/./<path as written>``: an
absolute path that any process on the host can open, whose part after ``/./`` is still what was written. The content
hash and the diff use that part, so that moving the directory changes no version.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from services.core.model import Auth, Probe, Tls

__all__ = ["as_written", "read_file_reference", "read_secret_reference"]

_FILE = "file:"
_MARK = "/./"
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


def read_file_reference(text: str, directory: Path) -> str:
    """``file:PATH`` with an absolute path. ValueError when the text is none."""
    path = text.strip().removeprefix(_FILE)
    if not text.strip().startswith(_FILE) or not path:
        raise ValueError(f"`{text}` is not a reference: write file:PATH")
    if Path(path).is_absolute():
        return _FILE + path
    return f"{_FILE}{directory.absolute()}{_MARK}{path.removeprefix('./')}"


def read_secret_reference(text: str, directory: Path) -> str:
    """``env:NAME``, or ``file:PATH`` with an absolute path. The text of a bad one may be a secret, so it is not repeated."""
    text = text.strip()
    if _VARIABLE.fullmatch(text):
        return text
    if text.startswith(_FILE):
        return read_file_reference(text, directory)
    raise ValueError("a secret stands only by reference: write env:NAME or file:PATH")


def as_written(probe: Probe) -> Probe:
    """Return the probe with its references as they are written in probes.yaml."""
    auth = probe.auth
    return replace(
        probe,
        auth=Auth(
            kind=auth.kind,
            username=auth.username,
            password=_written(auth.password),
            token=_written(auth.token),
            header=auth.header,
            key=_written(auth.key),
        ),
        tls=Tls(ca=_written(probe.tls.ca), server_name=probe.tls.server_name, verify=probe.tls.verify),
    )


def _written(reference: str) -> str:
    path = reference.removeprefix(_FILE)
    if not reference.startswith(_FILE) or _MARK not in path:
        return reference
    return _FILE + path.split(_MARK, 1)[1]
