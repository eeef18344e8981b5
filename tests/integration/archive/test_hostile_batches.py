"""The archive survives any batch that the seed of a prober may publish."""

from __future__ import annotations

from peyvand.v1.measurement_pb2 import MeasurementBatch
from services.core.bus.names import measurement_subject
from tests.support.cases.archive import LINKS, Archive, publish, streams_of
from tests.support.cases.scorer import batch, measure, now_slot
from tests.support.nats import Nats
from tests.support.processes import page

_MANY_ROWS = 5_000
"""So many that their text, repeated for each row, would take more than 2 GiB."""


async def test_times_that_no_calendar_has_stop_nothing(archive: Archive, nats: Nats) -> None:
    """A batch with a slot or a number out of range is rejected and counted, and the good one that follows is archived."""
    archive.start()
    forged = [MeasurementBatch.FromString(batch([measure(LINKS[0], now_slot())])) for _ in range(4)]
    forged[0].slot_start[0] = -300
    forged[1].slot_start[0] = 253_402_560_000
    forged[2].time[0] = 2**62
    forged[3].certificate_expiry[0] = 2**62
    async with nats.connect("prober") as prober:
        for message in forged:
            await prober.publish(measurement_subject("main", 0), message.SerializeToString(), message_id="")
    await publish(nats, 0)
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    text = page(archive.components.metrics["archive"], "/metrics")[1]
    assert 'peyvand_archive_rejected_total{kind="measurement"} 4.0' in text


async def test_a_text_that_many_rows_share_stops_nothing(archive: Archive, nats: Nats) -> None:
    """A batch whose rows all name one very long text is rejected, and the good one that follows is archived."""
    archive.start()
    forged = MeasurementBatch.FromString(batch([measure(LINKS[0], now_slot())]))
    for name, field in MeasurementBatch.DESCRIPTOR.fields_by_name.items():
        if field.is_repeated and field.type != field.TYPE_STRING:
            column = getattr(forged, name)
            column.extend(list(column) * (_MANY_ROWS - 1))
    forged.details[0] = "x" * 500_000
    async with nats.connect("prober") as prober:
        await prober.publish(measurement_subject("main", 0), forged.SerializeToString(), message_id="")
    await publish(nats, 0)
    streams, _ = await streams_of(nats)
    await archive.has(streams)
    text = page(archive.components.metrics["archive"], "/metrics")[1]
    assert 'peyvand_archive_rejected_total{kind="measurement"} 1.0' in text
