"""The headers of a definition as metadata of gRPC calls (grpc/doc/PROTOCOL-HTTP2.md, Custom-Metadata). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from services.prober.unusable import UnusableError

__all__ = ["metadata_of"]

_USER_AGENT = "peyvand-prober/1"
_NAME = re.compile(r"[0-9a-z_.-]+")
# What every call says by itself, and what HTTP/2 does not have.
_TAKEN = frozenset(
    {"te", "content-type", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
)


def metadata_of(
    headers: Mapping[str, str], credential: tuple[str, str]
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Return the authority (empty unless a header Host gives it) and the metadata, with the credential.

    Values of names that end in ``-bin`` stand in base64, as they are sent. Raises UnusableError.
    """
    given = {"user-agent": _USER_AGENT} | {
        name.lower(): value for name, value in (*headers.items(), credential) if value
    }
    authority = given.pop("host", "")
    for name, value in given.items():
        if not _NAME.fullmatch(name) or name.startswith("grpc-") or name in _TAKEN:
            raise UnusableError(f"the header {name} cannot go with a gRPC call")
        if not all(" " <= character <= "~" for character in value):
            raise UnusableError(f"the header {name} holds what gRPC cannot send: only printable ASCII can go")
    return authority.encode(), tuple((name.encode(), value.strip().encode()) for name, value in given.items())
