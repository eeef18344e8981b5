"""Finds the files of frozen rounds for download: those that SHA256SUMS names in a folder of this host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from urllib.parse import quote

from services.console.queries.media_types import media_type
from services.dataset.rounds import ROUND_FILE, ROUND_ID, SIGNED_SUMS, SUMS, named_sums

_SUM = re.compile(r"[0-9a-f]{64}")
_FOR_ALL = frozenset({ROUND_FILE, SUMS, SIGNED_SUMS, "structure.json", "sensitivity.json", "datapackage.json"})
"""Files about agencies and above. Others have links: their targets, evidence or index, or statements about them."""


@dataclass(frozen=True, slots=True)
class RoundFile:
    """One file of a round: its name in SHA256SUMS, its path, its size in bytes and its SHA-256 in hex."""

    round: str
    name: str
    path: Path
    size: int
    sha256: str

    @property
    def is_public(self) -> bool:
        """Whether it is for every reader; the others are for those who may see every link."""
        return self.name in _FOR_ALL

    @property
    def type(self) -> str:
        """Its media type."""
        return media_type(self.name)

    @property
    def address(self) -> str:
        """Its address, which changes with its bytes, so that browsers may keep it for good."""
        return f"{quote(f'/rounds/{self.round}/{self.name}', safe='/=')}?{self.sha256[:12]}"


class RoundFiles:
    """The files of the rounds in ``folder``; none where it is None."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def all_of(self, name: str) -> tuple[RoundFile, ...]:
        """Return the existing files of a round in the order of its sums, the sums last; none without a round."""
        folder = self._round(name)
        found = [] if folder is None else [_file(folder, one, digest) for one, digest in _sums(folder).items()]
        return tuple(one for one in found if one is not None)

    def find(self, name: str, file: str) -> RoundFile | None:
        """Return a file of a round by its name in SHA256SUMS; None for any other."""
        folder = self._round(name)
        digest = None if folder is None else _sums(folder).get(file)
        return None if folder is None or digest is None else _file(folder, file, digest)

    def _round(self, name: str) -> Path | None:
        return self._folder / name if self._folder is not None and ROUND_ID.fullmatch(name) else None


def _sums(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each file of a round by name; an empty mapping if the sums cannot be read."""
    try:
        sums = (folder / SUMS).read_bytes()
        note = (folder / SIGNED_SUMS).read_bytes()
        said = {name: digest for name, digest in named_sums(sums.decode()).items() if _SUM.fullmatch(digest)}
    except (OSError, UnicodeDecodeError):
        return {}
    return {**said, SUMS: sha256(sums).hexdigest(), SIGNED_SUMS: sha256(note).hexdigest()}


def _file(folder: Path, name: str, digest: str) -> RoundFile | None:
    """Return a regular file that lies in the folder of its round; None for any other, whatever the sums say."""
    path = folder / name
    try:
        real = path.resolve(strict=True)
        found = real.stat()
        inside = real.is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return None
    return RoundFile(folder.name, name, real, found.st_size, digest) if inside and S_ISREG(found.st_mode) else None
