"""Runs a simulated government on loopback, by ``python -m services.sandbox``. Wiring only."""

from __future__ import annotations

import sys
import time

from services.core import metrics
from services.core.runtime import Runtime, run_component
from services.sandbox.component import run_sandbox
from services.sandbox.faults import FaultMode
from services.sandbox.logs import Run
from services.sandbox.servers import NOT_FOUND, OK


async def main(runtime: Runtime) -> None:
    """Simulate the scenario of the settings until the process is stopped."""
    settings = runtime.settings
    answers = metrics.counter("peyvand_sandbox_answers_total", runtime.registry)
    for sent in (OK, NOT_FOUND, *(mode for mode in FaultMode if mode not in (FaultMode.REFUSED, FaultMode.HUNG))):
        answers.labels(str(sent))

    def on_ready(run: Run) -> None:
        runtime.health.serving()
        runtime.log.info(
            "sandbox serving",
            scenario=settings.scenario,
            seed=settings.seed,
            slot_seconds=settings.slot,
            first_slot=run.header.first_slot,
            resumed=run.resumed,
            register=str(settings.data / "register"),
        )

    def on_late(start: int, end: int) -> None:
        runtime.log.warning("truth served late", from_slot=start, to_slot=end)

    def on_failed(site: str, error: Exception) -> None:
        runtime.log.error("reply failed", site=site, exc_info=error)

    await run_sandbox(
        settings,
        clock=time.time,
        stop=runtime.stop,
        on_ready=on_ready,
        on_answer=lambda sent: answers.labels(sent).inc(),
        on_failed=on_failed,
        on_late=on_late,
    )


if __name__ == "__main__":
    sys.exit(run_component("sandbox", main))
