"""Reads the files of a frozen round. Every function raises StateError for one that is missing or damaged."""

from __future__ import annotations

import orjson

from services.cli.rounds.compare import COMPARED, Bands, Moves, compare
from services.cli.rounds.derived import RoundNumbers
from services.core.errors import StateError
from services.core.model import Indicator, IndicatorKind, Register
from services.dataset.rounds import INDICATORS_FILE, ROUND_FILE, FrozenRound, read_round
from services.dataset.storage import Storage
from services.dataset.tables import INDICATOR, indicators_of, read
from services.register.versions import from_rows, with_versions

PREVIOUS_FILE = "previous.parquet"


def round_in(storage: Storage) -> FrozenRound:
    """Return the description of the round in a folder."""
    try:
        return read_round(storage.read(ROUND_FILE))
    except ValueError as error:
        raise StateError(f"{ROUND_FILE} in {storage.address} cannot be used: {error}") from error


def register_in(storage: Storage, frozen: FrozenRound) -> Register:
    """Return the register of a round, in the version that the round names."""
    name = f"register/{frozen.register_version}.{frozen.probe_version}.json"
    try:
        register = with_versions(from_rows([orjson.loads(storage.read(name))]))
    except ValueError as error:
        raise StateError(f"{name} in {storage.address} is damaged: {error}") from error
    if (register.register_version, register.probe_version) != (frozen.register_version, frozen.probe_version):
        raise StateError(f"{name} in {storage.address} holds the register of another version")
    return register


def moves_since(storage: Storage, frozen: FrozenRound, numbers: RoundNumbers) -> Moves | None:
    """Return what changed since the previous round, whose indicators are in the folder; None without one."""
    if not frozen.previous:
        return None
    before = read_indicators(storage, PREVIOUS_FILE)
    return compare(frozen.previous, before, [row for kind in COMPARED for row in numbers.rows(kind)])


def read_indicators(storage: Storage, name: str = INDICATORS_FILE) -> list[Indicator]:
    """Return the indicators in a file of a round."""
    try:
        return list(indicators_of(read(storage.read(name), INDICATOR)))
    except ValueError as error:
        raise StateError(f"{name} in {storage.address} is damaged: {error}") from error


def read_bands(storage: Storage) -> Bands:
    """Return the bands of ranks of a round."""
    try:
        rankings = orjson.loads(storage.read("sensitivity.json"))
        return {
            (IndicatorKind[ranking["kind"].upper()], name): (band["low"], band["high"])
            for ranking in rankings
            for name, band in ranking["bands"].items()
        }
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StateError(f"sensitivity.json in {storage.address} is damaged: {error}") from error
