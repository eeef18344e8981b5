"""The ``auth`` part of a probe definition, where secrets are always references (docs/probing.md §2)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.core.model import Auth
from services.register.probes.references import read_secret_reference
from services.register.reading import YamlMapping, is_header_name, read_choice, read_http_url, read_name

_NEEDED = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "api_key": ("header", "key"),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_OPTIONAL = {"oauth2": ("scope",)}
_SECRETS = ("password", "token", "key", "client_secret")


def read_auth(mapping: YamlMapping, directory: Path) -> Auth:
    """Read how a probe authenticates: a mapping, or ``none``."""
    if not mapping.is_mapping("auth") and mapping.value("auth") == "none":
        return Auth()
    given = mapping.mapping("auth", None)
    if given is None:
        return Auth()
    kind = given.need("kind", lambda text: read_choice(text, *_NEEDED), "")
    if not kind:
        return Auth()
    auth = {"kind": kind}
    optional = _OPTIONAL.get(kind, ())
    keys = ("kind", *_NEEDED[kind], *optional)
    for key in given.nodes:
        if key not in keys:
            reason = f"key `{key}` is unknown with kind {kind}; known are {', '.join(keys)}"
            given.faults.add(given.key_at(key), reason)
    for key in _NEEDED[kind]:
        auth[key] = given.need(key, _reader(key, directory), "")
    for key in optional:
        auth[key] = given.read(key, read_name, "")
    return Auth(**auth)


def _reader(key: str, directory: Path) -> Callable[[str], str]:
    if key in _SECRETS:
        return lambda text: read_secret_reference(text, directory)
    return {"header": _read_header, "token_url": read_http_url}.get(key, read_name)


def _read_header(text: str) -> str:
    if not is_header_name(text):
        raise ValueError(f"`{text}` is not a header name")
    return text
