"""Answers ListFrozenRounds from the rounds in a folder, each read once."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from functools import partial
from pathlib import Path

from peyvand.v1 import register_service_pb2 as messages
from services.core.codec import indicator_to_message, to_timestamp
from services.core.errors import StateError
from services.core.log import logger
from services.core.tasks import run_in_thread
from services.core.watched_files import file_stamps
from services.dataset.rounds import ROUND_ID, SUMMARY_FILES, FrozenRound, summarise
from services.dataset.storage import LocalStorage

_State = tuple[tuple[int, int, int], ...] | str
"""The stamps of the files of a round, or why they cannot be read."""


class FrozenRoundAnswers:
    """Lists the rounds in ``folder``, none when it is None or does not exist.

    A round is read again when a file of its summary has changed. A round that cannot be read is left out, and the log
    says why, once.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._log = logger()
        self._known: dict[str, tuple[_State, messages.FrozenRound | None]] = {}
        self._reading = asyncio.Lock()

    async def answer(self) -> messages.ListFrozenRoundsResponse:
        """Return the rounds, the newest first."""
        if self._folder is None:
            return messages.ListFrozenRoundsResponse()
        async with self._reading:
            return await run_in_thread(partial(self._list, self._folder))

    def _list(self, folder: Path) -> messages.ListFrozenRoundsResponse:
        try:
            found = [path for path in folder.iterdir() if ROUND_ID.fullmatch(path.name) and path.is_dir()]
        except FileNotFoundError:
            found = []
        except OSError as error:
            self._log.error("rounds_not_listed", folder=str(folder), reason=error.strerror)
            found = []
        self._known = {path.name: self._look(path) for path in found}
        rounds = [message for _, message in self._known.values() if message is not None]
        rounds.sort(key=lambda one: (one.as_of.seconds, bool(one.corrects), one.id), reverse=True)
        return messages.ListFrozenRoundsResponse(rounds=rounds)

    def _look(self, path: Path) -> tuple[_State, messages.FrozenRound | None]:
        """Return the state of a round's files with its message, which is None when it cannot be read."""
        state: _State
        try:
            state = file_stamps([path / name for name in SUMMARY_FILES])
        except OSError as error:
            state = str(error)
        before = self._known.get(path.name)
        if before is not None and before[0] == state:
            return before
        try:
            return state, _message(path)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one round, the others are listed
            self._log.error("round_left_out", round=path.name, reason=str(error))
            return state, None


_SAID = tuple(
    field.name
    for field in fields(FrozenRound)
    if field.name in messages.FrozenRound.DESCRIPTOR.fields_by_name and field.name != "as_of"
)


def _message(path: Path) -> messages.FrozenRound:
    summary = summarise(LocalStorage(path))
    one = summary.frozen
    if one.id != path.name:
        raise StateError(f"{path} holds the round {one.id}: name the folder so")
    return messages.FrozenRound(
        **{name: getattr(one, name) for name in _SAID},
        as_of=to_timestamp(one.as_of),
        government=indicator_to_message(summary.government),
        sums_sha256=summary.sums_sha256,
    )
