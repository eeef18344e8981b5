"""The summary of a frozen round for a list, read from a few of its files (docs/rounds.md §5)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from services.core.errors import StateError
from services.core.model import Indicator, IndicatorKind
from services.dataset.log import VerifierKey
from services.dataset.rounds.frozen import ROUND_FILE, FrozenRound, read_round
from services.dataset.rounds.sums import SIGNED_SUMS, SUMS, is_signed, named_sums
from services.dataset.storage import Storage

INDICATORS_FILE: Final = "indicators.parquet"
SUMMARY_FILES: Final = (ROUND_FILE, INDICATORS_FILE, SUMS, SIGNED_SUMS)
"""The files from which a summary is made."""


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """The description of a round, its index of the government, and the SHA-256 of its SHA256SUMS in hex."""

    frozen: FrozenRound
    government: Indicator
    sums_sha256: str


def summarise(storage: Storage) -> RoundSummary:
    """Return the summary of a round whose sums are signed by its own key.

    Only the files from which it is made are compared with the sums; `peyvand round verify` compares the others. Raises
    StateError and ValueError.
    """
    from services.dataset.tables import INDICATOR, indicators_of, read  # noqa: PLC0415  # 40 MiB, which other users of rounds do not need

    content = {name: storage.read(name) for name in SUMMARY_FILES}
    frozen = read_round(content[ROUND_FILE])
    sums = content[SUMS].decode()
    if not is_signed(content[SIGNED_SUMS].decode(), sums, VerifierKey.parse(frozen.key)):
        raise StateError(f"{SUMS} in {storage.address} is not signed by the key of the round")
    said = named_sums(sums)
    for name in (ROUND_FILE, INDICATORS_FILE):
        if sha256(content[name]).hexdigest() != said.get(name):
            raise StateError(f"{name} in {storage.address} is not the file that was frozen")
    rows = read(content[INDICATORS_FILE], INDICATOR)
    government = next(indicators_of(rows, IndicatorKind.GOVERNMENT), None)
    if government is None:
        raise StateError(f"{INDICATORS_FILE} in {storage.address} holds no index of the government")
    return RoundSummary(frozen, government, sha256(content[SUMS]).hexdigest())
