"""``python -m services.sandbox``: a simulated government on loopback. Wiring only."""

from __future__ import annotations

import sys
import time

from services.core import metrics
from services.core.runtime import Runtime, run_component
from services.sandbox.component import play
from services.sandbox.directory.directory import Choices
from services.sandbox.faults.faults import Mode
from services.sandbox.logs.run import Run
from services.sandbox.servers.replies import NOT_FOUND, OK

__all__ = ["main"]


async def main(runtime: Runtime) -> None:
    """Play the scenario of the settings until the process is told to stop."""
    settings = runtime.settings
    answers = metrics.counter("peyvand_sandbox_answers_total", runtime.registry)
    for sent in (OK, NOT_FOUND, *(mode for mode in Mode if mode not in (Mode.REFUSED, Mode.HUNG))):
        answers.labels(str(sent))

    def ready(run: Run) -> None:
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

    def late(start: int, end: int) -> None:
        runtime.log.warning("faults took effect late", from_slot=start, to_slot=end)

    await play(
        Choices(
            directory=settings.data,
            scenario=settings.scenario,
            seed=settings.seed,
            slot=settings.slot,
            base_port=settings.base_port,
            faults=settings.faults,
            traffic=settings.traffic,
        ),
        clock=time.time,
        stop=runtime.stop,
        ready=ready,
        answered=lambda sent: answers.labels(sent).inc(),
        late=late,
    )


if __name__ == "__main__":
    sys.exit(run_component("sandbox", main))
