"""A sandbox whose faults a test commands while it runs: `python -m tests.support.servers.commanded_sandbox FILE …`.

FILE holds the faults that ``command`` wrote last, in effect from the next slot on. Without it there are no faults. A
file beside it holds the second that ``spoil`` wrote last. The settings of the sandbox follow FILE.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from services.core.runtime import run_component
from services.sandbox import component
from services.sandbox.faults.faults import FaultMode, FaultScope, InjectedFault
from services.sandbox.faults.timeline import FaultSpan, FaultTimeline
from services.sandbox.security_server.messages import MULTIPART, RECORDS, read_query
from services.sandbox.security_server.monitoring import OperationalMonitoring
from services.sandbox.servers.replies import OK, ReceivedRequest, ServerReply, response

__all__ = ["command", "spoil"]


def command(file: Path, faults: Iterable[tuple[FaultScope, str, FaultMode]]) -> None:
    """Make a commanded sandbox show exactly these faults from its next slot on."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(list(faults)), "utf-8")
    new.rename(file)


def spoil(file: Path, server: int, second: int) -> None:
    """Make the records of one second unreadable at the security server with this number."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps([server, second]), "utf-8")
    new.rename(file.with_suffix(".spoilt"))


def _monitoring(file: Path) -> type[OperationalMonitoring]:
    class Spoilt(OperationalMonitoring):
        """Answers with garbage when the request includes the spoilt second."""

        def reply(self, number: int, span: FaultSpan | None, request: ReceivedRequest) -> ServerReply:
            found = super().reply(number, span, request)
            if not file.exists() or found.sent != OK:
                return found
            server, second = json.loads(file.read_text("utf-8"))
            query = read_query(request.body)
            if number != server or query.kind != RECORDS or not query.first <= second <= query.last:
                return found
            return ServerReply(OK, response(200, MULTIPART, b"neither records nor their number"))

    return Spoilt


def _timeline(file: Path) -> type[FaultTimeline]:
    class Commanded(FaultTimeline):
        """Rank the faults of a target: the one of the lowest stage takes effect, as in a drawn timeline."""

        def state(self, slot: int) -> Mapping[str, FaultSpan]:
            faults = json.loads(file.read_text("utf-8")) if file.exists() else []
            struck: dict[str, list[InjectedFault]] = {}
            for scope, subject, mode in faults:
                fault = InjectedFault(FaultScope(scope), subject, FaultMode(mode), 0, 1, 0)
                for target in self._targets(fault):
                    struck.setdefault(target, []).append(fault)
            first = {target: min(found, key=partial(self._rank, target)) for target, found in struck.items()}
            return {target: FaultSpan(target, slot, slot + 1, one.mode, one.scope, 0) for target, one in first.items()}

    return Commanded


if __name__ == "__main__":
    commands = Path(sys.argv[1])
    vars(component).update(
        FaultTimeline=_timeline(commands), OperationalMonitoring=_monitoring(commands.with_suffix(".spoilt"))
    )
    sys.exit(run_component("sandbox", component.main, sys.argv[2:]))
