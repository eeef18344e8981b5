"""Proofs that a leaf is in a log, for someone who has neither the log nor the archive (c2sp.org/tlog-proof). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.dataset.log.checkpoints import Checkpoint
from services.dataset.log.keys import VerifierKey
from services.dataset.log.merkle import leaf_hash, root_of_inclusion

_HEAD: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class LogProof:
    """The place of a leaf, the hashes from its sibling up to the root, and the checkpoint that has this root."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, text: str) -> LogProof:
        """Parse a proof. Raises ValueError."""
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines[0] != _HEAD:
            raise ValueError(f"it does not begin with {_HEAD}")
        lines = [line for line in lines[1:] if not line.startswith("extra ")]
        if not lines or not (match := _INDEX.fullmatch(lines[0])):
            raise ValueError("it has no index")
        try:
            hashes = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
        except ValueError as error:
            raise ValueError("one of its hashes is not base64") from error
        return cls(int(match[1]), hashes, Checkpoint.parse(note))

    def faults(self, leaf: bytes, keys: Sequence[VerifierKey]) -> list[str]:
        """Return the faults of the proof for a leaf's content; ``keys`` are those of trusted logs."""
        faults = []
        try:
            if not any(self.checkpoint.is_signed_by(key) for key in keys):
                faults.append("no key that is trusted signed the checkpoint")
        except ValueError as error:
            faults.append(str(error))
        try:
            led_to = root_of_inclusion(leaf_hash(leaf), self.index, self.checkpoint.size, self.hashes)
        except ValueError as error:
            faults.append(str(error))
        else:
            if led_to != self.checkpoint.root:
                faults.append("the proof does not lead from the manifest to the root of the checkpoint")
        return faults

    def __str__(self) -> str:
        hashes = "".join(base64.b64encode(value).decode() + "\n" for value in self.hashes)
        return f"{_HEAD}\nindex {self.index}\n{hashes}\n{self.checkpoint}"
