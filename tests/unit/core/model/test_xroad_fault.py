from __future__ import annotations

import re
import tracemalloc

import pytest

from services.core.model import Reason, reason_of_fault
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("Client.MissingHeaderField", Reason.BUS_ERROR),
        ("Server.ClientProxy.NetworkError", Reason.BUS_ERROR),
        ("Server.ClientProxy.ServiceFailed.InconsistentResponse", Reason.BUS_ERROR),
        ("Server.ServerProxy", Reason.BUS_ERROR),
        ("Server.ServerProxy.SslAuthenticationFailed", Reason.BUS_ERROR),
        ("Server.ServerProxy.ServiceFailed", Reason.SERVER_ERROR),
        ("Server.ServerProxy.ServiceFailed.HttpError", Reason.SERVER_ERROR),
        ("server.serverproxy.service_failed.http_error", Reason.SERVER_ERROR),
        ("SOAP-ENV:Server.ServerProxy.AccessDenied", Reason.AUTH_REFUSED),
        ("server.serverproxy.unknown_service", Reason.UNKNOWN_SERVICE),
        (" Server.ServerProxy.ServiceDisabled\n", Reason.UNKNOWN_SERVICE),
        ("SOAP-ENV:Client.Authentication", None),
        ("Server.ServerProxyless.ServiceFailed", None),
        ("Server.Business", None),
        ("", None),
    ],
)
def test_who_failed(code, reason):
    """The security server in a code and the code's second part tell who failed. Other codes name no security server."""
    assert reason_of_fault(code) is reason


def test_the_documented_table_is_the_one_in_force():
    """Each code of docs/exchange.md §1.1 has the reason that is written beside it."""
    section = (ROOT / "docs/exchange.md").read_text("utf-8").split("### 1.1 ")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    codes = {(code, reason) for codes, _, reason, _ in rows for code in re.findall(r"`([^`]+)`", codes)}
    assert len(codes) >= 5
    for code, reason in codes:
        whole = code.replace("….", "Server.ServerProxy.").removesuffix("…").removesuffix(".")
        assert reason_of_fault(whole if "." in whole else f"{whole}.X") is Reason[reason], code


def test_long_codes_are_not_kept() -> None:
    """A code of any length is read by its beginning, and only that is remembered."""
    tracemalloc.start()
    try:
        for number in range(100):
            assert reason_of_fault(f"Server.ServerProxy.AccessDenied.{number}{'x' * 200_000}") is Reason.AUTH_REFUSED
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
