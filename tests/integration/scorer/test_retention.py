"""Messages that leave real streams before their age limit are counted, and others are not."""

from __future__ import annotations

from functools import partial

import pytest

from services.core.bus import Bus
from services.core.bus.names import INDICATOR_BUCKET, MEASUREMENTS, STREAMS, kv_stream, measurement_subject
from services.core.bus.topology import initialise_streams, stream_configs
from services.scorer.ingest import RetentionWatch, retention
from tests.support.cases.scorer import Scorer, make_register, register_on
from tests.support.nats import Nats
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _losses_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CONFIRM_SECONDS", 0.0)


async def _publish(prober: Bus, count: int) -> None:
    for _ in range(count):
        await prober.publish(measurement_subject("main", 0), b"x", message_id="")


async def _lost(watch: RetentionWatch) -> int:
    return (await watch.look())[1]


async def test_purges_and_deletions_are_counted(nats: Nats) -> None:
    """A purge, a purge except the newest, a deleted message and a recreated stream each count what they removed."""
    async with nats.connect("admin") as admin, nats.connect("prober") as prober, nats.connect("scorer") as scorer:
        watch = RetentionWatch(scorer, MEASUREMENTS)
        assert await _lost(watch) == 0
        await _publish(prober, 20)
        assert await _lost(watch) == 0
        await admin.jetstream.purge_stream(MEASUREMENTS, keep=5)
        assert await _lost(watch) == 15
        await admin.jetstream.delete_msg(MEASUREMENTS, 18)
        assert await _lost(watch) == 1
        await _publish(prober, 5)
        await admin.jetstream.purge_stream(MEASUREMENTS)
        await _publish(prober, 3)
        assert await _lost(watch) == 9 + 1  # the hole went with the rest
        await admin.jetstream.delete_stream(MEASUREMENTS)
        await initialise_streams(admin)
        await _publish(prober, 40)
        assert await _lost(watch) == 3
        assert await _lost(watch) == 0


async def test_messages_that_grew_too_old_are_not_counted(nats: Nats) -> None:
    """Messages that the stream's own age limit removes, recent ones and those before a pause, do not count as lost."""
    (config,) = (config for config in stream_configs(1) if config.name == MEASUREMENTS)
    async with nats.connect("admin") as admin, nats.connect("prober") as prober, nats.connect("scorer") as scorer:
        await admin.jetstream.update_stream(config.evolve(max_age=2, duplicate_window=1))
        watch = RetentionWatch(scorer, MEASUREMENTS)
        await _publish(prober, 10)
        lost = 0

        async def aged() -> bool:
            nonlocal lost
            state, found = await watch.look()
            lost += found
            if state.last < 20 and state.first > 5:
                await _publish(prober, 10)
            return state.first > 20

        await eventually(aged, "the age limit of everything")
        assert lost == 0


async def test_an_emptied_bucket_is_counted(nats: Nats) -> None:
    """Values may be replaced, deleted and expire; the removal of all at once is a loss."""
    async with nats.connect("admin") as admin, nats.connect("scorer") as scorer:
        watch = RetentionWatch(scorer, kv_stream(INDICATOR_BUCKET))
        for number in range(6):
            await scorer.kv_put(INDICATOR_BUCKET, f"consumer.{number % 3}", b"x")
        await scorer.kv_delete(INDICATOR_BUCKET, "consumer.1")
        assert await _lost(watch) == 0
        await admin.jetstream.purge_stream(kv_stream(INDICATOR_BUCKET))
        assert await _lost(watch) == 3


@pytest.mark.slow
async def test_a_running_scorer_exposes_what_was_lost(nats: Nats, scorer: Scorer, tmp_path) -> None:
    """The series of every stream begins at zero; a purge of messages that were read long ago shows in the stream's."""
    await register_on(nats, make_register(tmp_path / "register"))
    scorer.start(constants={"services.scorer.ingest.retention.CONFIRM_SECONDS": 0.5})
    await scorer.serving()

    async def value(metric: str, stream: str) -> float | None:
        series = f'peyvand_stream_{metric}{{stream="{stream}"}} '
        lines = (await scorer.get("/metrics") or "").splitlines()
        return next((float(line.removeprefix(series)) for line in lines if line.startswith(series)), None)

    async def shown(metric: str, stream: str, number: float) -> bool:
        return await value(metric, stream) == number

    for stream in STREAMS:
        await eventually(partial(shown, "lost_messages_total", stream, 0), f"a series of {stream}")
    async with nats.connect("admin") as admin, nats.connect("prober") as prober:
        await _publish(prober, 7)
        await eventually(lambda: shown("messages", MEASUREMENTS, 7), "seven messages")
        await admin.jetstream.purge_stream(MEASUREMENTS)
    await eventually(lambda: shown("lost_messages_total", MEASUREMENTS, 7), "the purge being counted")
    assert await value("lost_messages_total", kv_stream(INDICATOR_BUCKET)) == 0
    assert "stream_lost_messages" in scorer.events()
