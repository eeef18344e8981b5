"""The index from a dataset equals the published one to the last bit, at any moment."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from services.archive.link_days import link_days
from services.archive.registers import keep_register
from services.core.errors import SettingsError, StateError
from services.core.model import Objection, ObjectionState
from services.core.model.register import Register
from services.dataset.days import EvidenceDays, LogFiles, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.positions import ArchivedUpTo, write_position
from services.dataset.storage import LocalStorage
from services.dataset.tables import INDICATOR, MEASUREMENT, indicator_table
from services.indicator.calendar import Calendar, record_span
from services.indicator.evidence import Evidence
from services.indicator.index.snapshot import Snapshot
from services.register.versions import with_versions
from services.scorer.archived import ArchivedEvidence, engine_at
from services.scorer.archived.day_files import DayFile, count_file
from services.scorer.offline import score_evidence
from tests.support.cases.datasets.rows import published as published_number
from tests.support.cases.datasets.sealed import sealed_dataset, table_of
from tests.support.cases.scoring import SLOT, START, Run, Stored, differences, stream
from tests.support.cases.scoring import register_of_long_slots as register

__all__ = ["register"]

SLOTS = 235  # 10 of a first day, two whole days, and some of a day in progress


@pytest.fixture(scope="module")
def messages(register: Register) -> list[Stored]:
    return stream(register, slots=SLOTS, seed=5)


@pytest.fixture(scope="module")
def published(
    register: Register, messages: list[Stored], tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Snapshot]:
    """The snapshots that a scorer published at some moments, by the messages that it had ingested."""
    run = Run(register, tmp_path_factory.mktemp("scorer"))
    chosen = {*random.Random(1).sample(range(40, len(messages)), 12), len(messages) - 1}
    found = {}
    for place, message in enumerate(messages):
        run.take(message)
        if place in chosen:
            found[message.sequence] = run.result(run.scoring.manifest.end_slot or 0)
    return found


@pytest.fixture(scope="module")
def storage(register: Register, messages: list[Stored], tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    """The dataset of the same stream, in which past days are sealed."""
    return sealed_dataset(
        tmp_path_factory.mktemp("dataset"), register, messages, SigningKey.generate("archive.example")
    )


def scored(storage: LocalStorage, register: Register, expected: Snapshot, *, again: bool) -> Snapshot:
    evidence = ArchivedEvidence(storage).evidence(
        register, end_slot=expected.end_slot, sequence=expected.evidence_sequence, again=again
    )
    return score_evidence(register, evidence, at=expected.as_of, evidence_sequence=expected.evidence_sequence)


@pytest.mark.parametrize("again", [False, True])
def test_every_published_number_comes_out_again(
    storage: LocalStorage, register: Register, published: dict[int, Snapshot], again: bool
) -> None:
    """Late, repeated and grace-expired rows, of sealed and other days, count the same at sealing and again."""
    assert len(LogFiles(storage).manifests()) == 3
    assert len({snapshot.end_slot for snapshot in published.values()}) > 10
    for expected in published.values():
        assert list(differences(expected, scored(storage, register, expected, again=again))) == []


def test_days_of_another_timezone_are_marked_whole(
    register: Register, messages: list[Stored], published: dict[int, Snapshot], tmp_path: Path
) -> None:
    """The days of a round have all their measurements, also those that were sealed as a neighbour's by another timezone."""
    elsewhere = replace(register, policy=replace(register.policy, timezone="UTC"))
    storage = sealed_dataset(tmp_path, elsewhere, messages, SigningKey.generate("archive.example"))
    assert register.policy.timezone == "Asia/Tehran"
    expected = published[max(published)]
    evidence = Evidence(Calendar.of(register.policy))
    evidence.columns.of(register.targets)
    span = record_span(register.policy, 0, expected.end_slot)
    for parts in ArchivedEvidence(storage).marked_days(register, span, sequence=expected.evidence_sequence):
        evidence.put([part.under() for part in parts])
    found = score_evidence(register, evidence, at=expected.as_of, evidence_sequence=expected.evidence_sequence)
    assert list(differences(expected, found)) == []


def test_a_stream_made_anew_takes_nothing_from_the_one_before(
    register: Register, messages: list[Stored], published: dict[int, Snapshot], tmp_path: Path
) -> None:
    """A number of a stream whose numbers began again has all evidence of the former one; numbers of that come out too."""
    last = len(messages) // 2  # of the former stream, in the middle of a day
    storage = LocalStorage(tmp_path)
    _make_anew(storage, register, messages, last, messages[last].time - 1)
    assert {sequence > last for sequence in published} == {True, False}
    for sequence, expected in published.items():
        limited = replace(expected, evidence_sequence=sequence - last * (sequence > last))
        for again in (False, True):
            assert list(differences(limited, scored(storage, register, limited, again=again))) == []


@pytest.mark.parametrize(("seconds", "after", "of_new"), [(-1, 0.5, 1), (1, 0.5, None), (1, 1.5, None), (1, 1.5, 0)])
def test_a_number_is_of_the_stream_whose_messages_it_counts(
    register: Register,
    messages: list[Stored],
    published: dict[int, Snapshot],
    tmp_path: Path,
    seconds: int,
    after: float,
    of_new: int | None,
) -> None:
    """A number comes out again if its stream was recreated a moment before its last message came, or a moment after.

    The scorer may publish it before it notices that the stream was recreated, and before the new one has a message.
    """
    compared = 0
    for sequence, expected in published.items():
        last = sequence - (seconds < 0)  # of the former stream
        if last == len(messages) or messages[last].time - messages[last - 1].time < 2:
            continue
        storage, moment = LocalStorage(tmp_path / str(sequence)), messages[sequence - 1].time
        counted = sequence if of_new is None else of_new
        number = replace(published_number(1, as_of=expected.as_of), evidence_sequence=counted)
        table = indicator_table([number], stored=moment + after, sequence=1)
        write_segments(storage, INDICATOR, [table], 1, 1, _days(register))
        _make_anew(storage, register, messages, last, moment + seconds)
        limited = replace(expected, evidence_sequence=counted)
        for again in (False, True):
            assert list(differences(limited, scored(storage, register, limited, again=again))) == []
        compared += 1
    assert compared > 3


def _make_anew(storage: LocalStorage, register: Register, messages: list[Stored], last: int, created: float) -> None:
    """Archive messages up to ``last``, and the others as those of a stream that was recreated (epoch seconds)."""
    key, days = SigningKey.generate("archive.example"), _days(register)
    renewed = [replace(one, sequence=one.sequence - last) for one in messages[last:]]
    for generation, (begun, part) in enumerate(((messages[0].time - 1, messages[:last]), (created, renewed))):
        moment = f"{datetime.fromtimestamp(begun, UTC):%Y-%m-%dT%H:%M:%S.000000001Z}"
        end = part[-1]
        write_segments(storage, MEASUREMENT, [table_of(one) for one in part], 1, end.sequence, days, generation)
        write_position(
            storage, MEASUREMENT, ArchivedUpTo(MEASUREMENT.stream, moment, end.sequence, end.time, generation)
        )
        context = SealingContext(streams={MEASUREMENT.stream: moment}, count=partial(link_days, register.policy))
        sealer = Sealer(storage, key, days)
        for day in sealer.due(end.time):
            sealer.seal(day, context)


def _days(register: Register) -> EvidenceDays:
    policy = register.policy
    return EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)


def test_the_register_comes_from_the_dataset(storage: LocalStorage, register: Register) -> None:
    """A register is found by its version or a prefix of it."""
    archive = ArchivedEvidence(storage)
    found = archive.register(register.register_version[:12])
    assert found.register_version == register.register_version
    assert found.links == register.links
    with pytest.raises(SettingsError, match="no register whose versions begin with 'ffff'"):
        archive.register("ffff")
    assert archive.published() == []
    with pytest.raises(SettingsError, match="no published number"):
        archive.register_of([])


def test_a_day_with_late_numbers_alone_is_passed_over(tmp_path: Path) -> None:
    """A day with only numbers of other days has none of its own and does not stop an export."""
    days, storage = EvidenceDays("UTC", 0.0, SLOT), LocalStorage(tmp_path)
    number = published_number(1, as_of=START)
    late = indicator_table([number], stored=START + 9 * 86_400.0, sequence=1)
    write_segments(storage, INDICATOR, [late], 1, 1, days)
    Sealer(storage, SigningKey.generate("archive.example"), days).seal(
        days.day_of(START + 9 * 86_400), SealingContext()
    )
    archive = ArchivedEvidence(storage)
    assert archive.published() == []
    assert list(archive.published_by_day([number.kind])) == []


def test_the_policy_is_that_of_the_numbers(register: Register, tmp_path: Path) -> None:
    """Registers that require the same but have other thresholds each give their own numbers."""
    lenient = with_versions(replace(register, policy=replace(register.policy, publish_threshold=0.1)))
    assert lenient.register_version == register.register_version
    storage = LocalStorage(tmp_path)
    for one in (register, lenient):
        keep_register(storage, one)
    archive = ArchivedEvidence(storage)
    with pytest.raises(SettingsError, match="several registers"):
        archive.register(register.register_version)
    for one in (register, lenient):
        number = replace(published_number(1), register_version=one.register_version, probe_version=one.probe_version)
        assert archive.register_of([number]).policy.publish_threshold == one.policy.publish_threshold


def test_what_is_stated_later_is_kept_with_its_register(register: Register, tmp_path: Path) -> None:
    """An objection changes no version of a register. It is in the dataset all the same, also where the file was damaged."""
    start = datetime(2026, 1, 2, tzinfo=UTC)
    objection = Objection(next(iter(register.links)), start, None, "wrong", "نادرست", "", "", ObjectionState.OPEN)
    objected = with_versions(replace(register, objections=(objection,)))
    assert objected.register_version == register.register_version
    assert objected.probe_version == register.probe_version
    storage = LocalStorage(tmp_path)
    for one in (register, objected):
        keep_register(storage, one)
    assert ArchivedEvidence(storage).register(register.register_version).objections == (objection,)
    (name,) = storage.names("register")
    storage.write(name, b"")
    keep_register(storage, objected)
    assert ArchivedEvidence(storage).register(register.register_version).objections == (objection,)


def test_a_changed_register_is_refused(register: Register, tmp_path: Path) -> None:
    """A stored register with another weight is not the one that its name says."""
    link = next(iter(register.links.values()))
    heavier = replace(register, links={**register.links, link.id: replace(link, weight=link.weight * 2)})
    storage = LocalStorage(tmp_path)
    versions = f"{register.register_version}.{register.probe_version}"
    keep_register(storage, replace(heavier, register_version=register.register_version))
    assert storage.names("register") == [f"register/{versions}.json.zst"]
    with pytest.raises(StateError, match=f"register {versions} .* has rows of other versions"):
        ArchivedEvidence(storage).register(versions)


def test_a_shorter_grace_takes_nothing_back(
    storage: LocalStorage, register: Register, published: dict[int, Snapshot]
) -> None:
    """Rows that were in time under the policy of that time count, whatever the grace is now."""
    expected = published[max(published)]
    shorter = replace(register, policy=replace(register.policy, grace_hours=0))
    counted = scored(storage, shorter, expected, again=True)
    assert [one for one in differences(expected, counted) if one != "register_version"] == []


def test_a_changed_file_is_refused(storage: LocalStorage, register: Register, tmp_path: Path) -> None:
    """A sealed file with other bytes is not counted."""
    ((_, manifest), *_) = LogFiles(storage).manifests()
    file = manifest.files[0]
    other = LocalStorage(tmp_path)
    other.write(file.path, storage.read(file.path)[:-1] + b"x")
    with pytest.raises(StateError, match="are not those that were sealed"):
        count_file(DayFile(other.address, manifest.day, file, register.policy))


@pytest.mark.parametrize("address", ["", "dask", "dask://", "spark://127.0.0.1:1"])
def test_engines_are_named(address: str) -> None:
    """An address that names no engine is refused."""
    with pytest.raises(SettingsError, match="there is no engine"):
        engine_at(address)
