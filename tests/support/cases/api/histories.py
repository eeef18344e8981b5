"""A bus that holds what was published of indicators, and the api on it. Not a test."""

from __future__ import annotations

import pytest
import pytest_asyncio

from services.core.bus.names import indicator_subject
from services.core.codec import indicator_to_message
from services.core.model.indicator import Indicator, IndicatorKind, Losses
from tests.support.nats import running_nats

__all__ = ["FIRST", "HOUR", "filled", "kept", "kept_alone", "one_loop", "published"]

HOUR = 3600
FIRST = 1_790_000_000 // HOUR * HOUR


def published(hour, *, kind=IndicatorKind.GOVERNMENT, entity="country", window=28, point=None):
    """Return an indicator as of this many hours after the first."""
    share = 0.5 + hour / 1000 if point is None else point
    return Indicator(
        kind=kind,
        id=entity,
        window_days=window,
        as_of=FIRST + hour * HOUR,
        point=share,
        lower=share,
        upper=share,
        known_share=1.0,
        losses=Losses(late=1 - share),
        register_version="r" * 64,
        method_version="1",
    )


@pytest.fixture(name="_function_scoped_runner")
def one_loop(_session_scoped_runner):
    """Run these tests and their fixtures in one event loop, so that they can share a bus."""
    return _session_scoped_runner


async def fill(nats):
    """Publish 60 hours of the government, one repeated, and a few of other entities."""
    async with nats.connect("scorer") as scorer:
        rows = [published(hour) for hour in range(60)]
        rows.insert(31, published(30, point=0.9))
        rows += [published(hour, window=7) for hour in range(3)]
        rows += [published(hour, kind=IndicatorKind.SERVICE, entity="title-deed") for hour in (0, 24)]
        rows += [published(hour, kind=IndicatorKind.PROVIDER, entity="tax-office") for hour in range(6)]
        rows += [published(0, kind=IndicatorKind.CONSUMER, entity="abolished")]
        for number, row in enumerate(rows):
            subject = indicator_subject(row.kind.label, row.id, row.window_days)
            await scorer.publish(subject, indicator_to_message(row).SerializeToString(), message_id=str(number))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(tmp_path_factory):
    """A bus with these hours, which no test changes."""
    async with running_nats(tmp_path_factory.mktemp("history") / "nats") as nats:
        await fill(nats)
        yield nats


@pytest.fixture
async def kept(api, filled):
    """The api on the bus that the tests share."""
    async with filled.connect("api") as bus:
        api.state.bus = bus
        yield api


@pytest.fixture
async def kept_alone(api, nats):
    """The api on a bus of the test's own, with the same hours."""
    await fill(nats)
    async with nats.connect("api") as bus:
        api.state.bus = bus
        yield api
