"""Reads references to files and secrets, and ``auth`` and ``proxy``, which hold them (docs/probing.md §4).

References are ``file:PATH`` and ``env:NAME``. A relative path is relative to the register directory. Loading turns it
into ``<directory>/./<path as written>``, an absolute path that any process on the host can open. Its part after ``/./``
is the path as written. The content hash and the diff use that part, so moving the directory changes no version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from services.core.bounded_files import read_bounded
from services.core.model import Auth, Proxy
from services.register.reading import (
    YamlMapping,
    is_exposed,
    parse_json,
    read_choice,
    read_header_name,
    read_http_url,
    read_name,
    read_proxy_url,
)
from services.register.references import FILE, MARK

# Descriptor sets of large APIs have some MB; bodies and schemas have less.
_CONTENT_LIMIT = 16 << 20
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_NEEDED = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "api_key": ("header", "key"),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_OPTIONAL = {"oauth2": ("scope",)}
_SECRETS = ("password", "token", "key", "client_secret")


def read_file_reference(text: str, directory: Path) -> str:
    """Return ``file:PATH`` with an absolute path. Raises ValueError when the text is not a reference."""
    path = text.strip().removeprefix(FILE)
    if not text.strip().startswith(FILE) or not path or "\0" in path:
        raise ValueError(f"`{text}` is not a reference: write file:PATH")
    if Path(path).is_absolute():
        return FILE + path
    return f"{FILE}{directory.absolute()}{MARK}{path.removeprefix('./')}"


def read_secret_reference(text: str, directory: Path) -> str:
    """Return ``env:NAME``, or ``file:PATH`` with an absolute path.

    Raises ValueError without the text, which may be a secret.
    """
    text = text.strip()
    if _VARIABLE.fullmatch(text):
        return text
    if text.startswith(FILE):
        return read_file_reference(text, directory)
    raise ValueError("a secret stands only by reference: write env:NAME or file:PATH")


def read_content(text: str, directory: Path) -> bytes:
    """Return the content of ``file:PATH``. Raises ValueError when it cannot be read or is not in the directory."""
    path = directory / text.removeprefix(FILE)
    try:
        return read_bounded(path, folders=(directory,), limit=_CONTENT_LIMIT)
    except OSError as error:
        raise ValueError(f"`{path}` cannot be read: {error.strerror}") from None


def read_text_file(text: str, directory: Path) -> str:
    """Return the UTF-8 content of ``file:PATH``, as ``read_content`` does."""
    try:
        return read_content(text, directory).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"`{directory / text.removeprefix(FILE)}` cannot be read: it is not UTF-8") from None


def read_json_file(text: str, directory: Path) -> object:
    """Return the JSON value in ``file:PATH``. Raises ValueError when there is none."""
    if not text.startswith(FILE):
        raise ValueError("is neither a mapping nor file:PATH")
    try:
        return parse_json(read_text_file(text, directory))
    except json.JSONDecodeError as error:
        raise ValueError(f"{text} is not JSON: {error.msg} at line {error.lineno}") from None


def read_auth(mapping: YamlMapping) -> Auth:
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
        auth[key] = given.need(key, _reader(key, mapping.folder), "")
    for key in optional:
        auth[key] = given.read(key, read_name, "")
    if is_exposed(auth.get("token_url", "")):
        given.warn("token_url", "the secret of `auth` goes over the network unencrypted: use https")
    return Auth(**auth)


def read_proxy(mapping: YamlMapping) -> Proxy:
    """Read the proxy that a probe goes through."""
    given = mapping.mapping("proxy", ("url", "username", "password"))
    if given is None:
        return Proxy()
    if ("username" in given) != ("password" in given):
        mapping.fault("proxy", "needs both `username` and `password`, or neither")
    return Proxy(
        url=given.need("url", read_proxy_url, ""),
        username=given.read("username", read_name, ""),
        password=given.read("password", _reader("password", mapping.folder), ""),
    )


def _reader(key: str, directory: Path) -> Callable[[str], str]:
    if key in _SECRETS:
        return lambda text: read_secret_reference(text, directory)
    return {"header": read_header_name, "token_url": read_http_url}.get(key, read_name)
