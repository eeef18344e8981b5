"""The headers of a definition as metadata of gRPC calls (grpc/doc/PROTOCOL-HTTP2.md, Custom-Metadata). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.prober.errors import UnusableError
from services.register.reading import unfit_for_grpc

__all__ = ["metadata_of"]

_USER_AGENT = "peyvand-prober/1"


def metadata_of(
    headers: Mapping[str, str], credential: tuple[str, str]
) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Return the authority (empty unless a header Host gives it) and the metadata, with the credential.

    Values of names that end in ``-bin`` stand in base64, as they are sent. Raises UnusableError.
    """
    given = {"user-agent": _USER_AGENT} | {
        name.lower(): value for name, value in (*headers.items(), credential) if value
    }
    for name, value in given.items():
        if unfit := unfit_for_grpc(name, value):
            raise UnusableError(f"the header {name} {unfit}")
    authority = given.pop("host", "")
    return authority.encode(), tuple((name.encode(), value.strip().encode()) for name, value in given.items())
