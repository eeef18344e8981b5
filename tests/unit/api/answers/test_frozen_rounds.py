"""ListFrozenRounds over a real gRPC server and folders of rounds."""

from __future__ import annotations

import asyncio
import re
import shutil
from hashlib import sha256

import pytest
from structlog.testing import capture_logs

from peyvand.v1 import register_service_pb2 as messages
from services.api.answers import FrozenRoundAnswers, frozen_rounds
from services.client import connect
from services.dataset import rounds as dataset_rounds
from services.dataset.log import SigningKey
from services.dataset.rounds import INDICATORS_FILE, ROUND_FILE, SIGNED_SUMS, SUMS, sign_sums
from tests.support.cases.api.blocks import AS_OF
from tests.support.cases.datasets.frozen_rounds import KEY, write_round
from tests.support.waiting import HeldCalls, eventually

_REQUEST = messages.ListFrozenRoundsRequest()


async def listed(api):
    return list((await api.registers.ListFrozenRounds(_REQUEST)).rounds)


async def test_a_round_says_what_it_is(api, tmp_path):
    """Fields come from round.json, the index from the round's indicators, and the hash is that of its sums."""
    folder = write_round(tmp_path / "rounds", "2026-spring", previous="2026-winter")
    (one,) = await listed(api)
    assert (one.id, one.title_en, one.title_fa) == ("2026-spring", "Round 2026-spring", "دور 2026-spring")
    assert (one.timezone, one.window_days, one.as_of.seconds, one.evidence_sequence) == ("Asia/Tehran", 7, AS_OF, 7)
    assert (one.register_version, one.probe_version, one.method_version) == ("r" * 64, "p" * 64, "2.0")
    assert (one.software, one.provisional, one.corrects, one.why) == ("0.3.0", False, "", "")
    assert (one.previous, one.key) == ("2026-winter", str(KEY.public))
    assert (one.government.point, one.government.lower, one.government.upper) == (0.625, 0.5625, 0.6875)
    assert one.sums_sha256 == sha256((folder / SUMS).read_bytes()).hexdigest()


async def test_rounds_appear_without_a_restart_the_newest_first(api, tmp_path):
    """Without the folder there are no rounds. A removed round is gone, and a correction precedes what it corrects."""
    assert await listed(api) == []
    folder = tmp_path / "rounds"
    write_round(folder, "b")
    assert [one.id for one in await listed(api)] == ["b"]
    write_round(folder, "a", corrects="b", why="An agency was listed twice.")
    write_round(folder, "c", as_of=AS_OF - 86400)
    assert [one.id for one in await listed(api)] == ["a", "b", "c"]
    shutil.rmtree(folder / "a")
    assert [one.id for one in await listed(api)] == ["b", "c"]


async def test_a_caller_who_gives_up_makes_nobody_read_twice(tmp_path, monkeypatch):
    """A round is read to the end although its only caller is cancelled, and the next caller waits for that."""
    write_round(tmp_path / "rounds", "2026-spring")
    answers = FrozenRoundAnswers(tmp_path / "rounds")
    with HeldCalls(dataset_rounds.summarise) as held:
        monkeypatch.setattr(frozen_rounds, "summarise", held)
        first = asyncio.create_task(answers.answer())
        await eventually(lambda: held.made, "the round is read")
        first.cancel()
        second = asyncio.create_task(answers.answer())
        await asyncio.sleep(0)
    assert len((await second).rounds) == held.made == 1


async def test_what_did_not_change_is_not_read_again(api, tmp_path, monkeypatch):
    """A round is read once, however often it is listed."""
    reads = []
    summarise = dataset_rounds.summarise

    def counted(storage):
        reads.append(storage.address)
        return summarise(storage)

    monkeypatch.setattr("services.api.answers.frozen_rounds.summarise", counted)
    folder = write_round(tmp_path / "rounds", "one")
    for _ in range(3):
        assert len(await listed(api)) == 1
    assert reads == [str(folder)]


def _another_round(folder):
    (folder / ROUND_FILE).write_bytes((folder / ROUND_FILE).read_bytes().replace(b"Round", b"round"))


def _other_numbers(folder):
    (folder / INDICATORS_FILE).write_bytes(b"PAR1")


def _no_signature(folder):
    (folder / SIGNED_SUMS).unlink()


def _another_s_signature(folder):
    sums = (folder / SUMS).read_text()
    (folder / SIGNED_SUMS).write_text(sign_sums(sums, SigningKey.generate("archive.example")))


def _no_text(folder):
    (folder / SUMS).write_bytes(b"\xff")


def _another_name(folder):
    folder.rename(folder.with_name("renamed"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_another_round, "round.json in .* is not the file that was frozen"),
        (_other_numbers, "indicators.parquet in .* is not the file that was frozen"),
        (_no_signature, "SHA256SUMS.note"),
        (_another_s_signature, "is not signed by the key of the round"),
        (_no_text, "utf-8"),
        (_another_name, "holds the round broken: name the folder so"),
    ],
)
async def test_a_damaged_round_is_left_out_and_logged_once(api, tmp_path, damage, reason):
    """The other rounds are listed, and the log has one line that names the round and says why."""
    folder = tmp_path / "rounds"
    write_round(folder, "whole")
    damage(write_round(folder, "broken"))
    (folder / ".begun.part").mkdir()
    (folder / "notes").write_text("no round")
    with capture_logs() as logs:
        for _ in range(2):
            assert [one.id for one in await listed(api)] == ["whole"]
    (line,) = logs
    assert (line["event"], line["round"] in ("broken", "renamed")) == ("round_left_out", True)
    assert re.search(reason, line["reason"])


async def test_a_hostile_round_keeps_no_other_from_being_listed(api, tmp_path):
    """A signed round with a value that no message can hold is left out as well."""
    folder = tmp_path / "rounds"
    write_round(folder, "whole")
    write_round(folder, "hostile", window_days=-1)
    assert [one.id for one in await listed(api)] == ["whole"]


async def test_everybody_may_list_them(api, tmp_path):
    """The role `public` may list rounds too, with the client's method."""
    write_round(tmp_path / "rounds", "one")
    async with connect(api.address) as client:
        assert [one.id for one in (await client.on_behalf_of("public").frozen_rounds()).rounds] == ["one"]
