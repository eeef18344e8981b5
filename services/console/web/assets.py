"""Reads the files that pages load, each served at an address with its hash so that browsers keep it for good."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

SOFTWARE = Path(__file__).parents[1]
"""The folder of the code, templates and texts of the console."""

_STATIC = SOFTWARE / "static"
_FONT = Path("/usr/share/fonts/truetype/vazirmatn/Vazirmatn-Regular.ttf")
"""Where Debian's fonts-vazirmatn puts the font. Browsers make the bold: a second file would double the download."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its type, bytes, and the same bytes compressed."""

    type: str
    body: bytes
    compressed: bytes


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by the last part of their address, and their addresses by name.

    ``build`` changes with the software that makes pages of them.
    """

    served: Mapping[str, Asset]
    addresses: Mapping[str, str]
    build: str


def read_assets() -> Assets:
    """Read the font, if it is installed, and the style sheet, the script and the icon."""
    assets: dict[str, Asset] = {}
    names: dict[str, str] = {}
    source = 'local("Vazirmatn")'
    if _FONT.exists():
        _take("font.ttf", _FONT.read_bytes(), assets, names)
        source = f'url("{names["font.ttf"]}")'
    for path in sorted(_STATIC.iterdir()):
        if path.suffix in _TYPES:
            body = path.read_bytes().replace(b'url("/static/font")', source.encode())
            _take(path.name, body, assets, names)
    return Assets(assets, names, _build(assets))


def _build(addresses: Iterable[str]) -> str:
    """Return a hash of everything that is served and of the software."""
    digest = hashlib.sha256("".join([version("peyvand"), *sorted(addresses)]).encode())
    for path in sorted(SOFTWARE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _take(name: str, body: bytes, assets: dict[str, Asset], names: dict[str, str]) -> None:
    stem, suffix = name.rsplit(".", 1)
    served = f"{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{suffix}"
    assets[served] = Asset(_TYPES[f".{suffix}"], body, gzip.compress(body, 9, mtime=0))
    names[name] = f"/static/{served}"
