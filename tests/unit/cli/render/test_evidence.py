"""The evidence behind a link, as ``peyvand explain`` shows it."""

from __future__ import annotations

from datetime import UTC
from io import StringIO

from google.protobuf.json_format import ParseDict
from rich.console import Console, Group

from peyvand.v1 import indicator_pb2, indicator_service_pb2
from services.cli.render.evidence import evidence_parts
from services.cli.render.indicators import indicator_details

_NEW = 99


def _text(*parts: object) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(Group(*parts))  # type: ignore[arg-type]  # what is rendered
    return console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_values_that_only_a_newer_version_can_name_have_their_numbers() -> None:
    """An api of a newer version may send a reason, an outcome, a state or a level that this command does not know."""
    row = {"vantage": "north", "outcome": _NEW, "reason": _NEW}
    findings = indicator_service_pb2.LinkFindings()
    ParseDict(
        {
            "reasons": [
                {"reason": _NEW, "slots": 3, "share": 0.5},
                {"reason": "REASON_STATUS", "slots": 1, "share": 0.1},
            ],
            "latest": [row],
            "failures": [row],
            "objections": [{"state": _NEW, "text_en": "Not so."}, {"state": "OBJECTION_STATE_OPEN"}],
        },
        findings,
    )
    said = _text(*evidence_parts(findings, UTC))
    assert said.count("reason 99") == 3
    assert "status" in said
    assert "Objection (state 99, which only a newer version can name), from" in said
    assert "Objection (open), from" in said
    assert "99" in _text(
        indicator_details(indicator_pb2.Indicator(kind=indicator_pb2.INDICATOR_KIND_SERVICE, level=_NEW), UTC)
    )
