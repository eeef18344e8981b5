"""Shows whether Peyvand itself is healthy: how fresh and complete the figures are, and their versions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from services.console.pages.page import Page, Visit
from services.console.queries import government_figure
from services.core.codec import indicator_from_message, monitoring_from_message
from services.core.errors import ApiNotApplicableError, ApiUnavailableError
from services.core.model import Indicator, Monitoring


@dataclass(frozen=True, slots=True)
class MonitorView:
    """The government's figures of each window in which inquiries are in force, and the scorer's report.

    ``health`` is None until the scorer reports anything.
    """

    figures: tuple[Indicator, ...]
    health: Monitoring | None


async def gather(visit: Visit) -> MonitorView:
    """Fetch the figures of every window and the report."""
    figures, health = await asyncio.gather(
        asyncio.gather(*(government_figure(visit.api, days) for days in visit.names.windows_days)),
        _health(visit),
    )
    return MonitorView(tuple(indicator_from_message(one) for one in figures if one is not None), health)


async def _health(visit: Visit) -> Monitoring | None:
    try:
        return monitoring_from_message((await visit.api.monitoring()).monitoring)
    except ApiNotApplicableError:
        return None
    except ApiUnavailableError as error:
        if error.reason != "MONITORING_UNPUBLISHED":
            raise
        return None


PAGE = Page("monitor", "/monitor", gather)
