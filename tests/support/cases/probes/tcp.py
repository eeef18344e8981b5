"""Probes of kind tcp and the lines that they exchange. Not a test."""

from __future__ import annotations

from typing import Any

from services.core.model.outcome import Reason
from services.core.model.probe import LineStep
from services.prober.attempt import ProbeResult
from tests.support.patient_loop import takes
from tests.support.servers.http_server import ask

__all__ = ["GREETED", "MAIL", "probe", "timed"]

GREETED = (LineStep(expect="^220 "),)
MAIL = (LineStep(expect="^220 ", send="EHLO ${who}\r"), LineStep(expect="^250 OK$"))


async def probe(port: int, *lines: LineStep, host: str = "127.0.0.1", **more: object) -> ProbeResult:
    return await ask(f"tcp://{host}:{port}", kind="tcp", lines=lines, **more)  # type: ignore[arg-type]


async def timed(port: int, reason: Reason, *lines: LineStep, **more: Any) -> ProbeResult:
    result = await takes(0.3, probe(port, *lines, timeout=0.3, **more))
    assert result.judgement.reason is reason
    return result
