"""A full connection-tracking table reads as UNKNOWN (docs/performance-log.md), and its pressure is exported."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.core.model.outcome import Outcome, Reason
from services.prober.kinds.kind import ProbeEnvironment
from services.prober.metrics import ProberMetrics
from services.prober.transport.addresses import Outbound
from services.prober.transport.egress import EgressRules
from services.prober.transport.kernel import ConntrackTable
from tests.support.servers.http_server import LOOPBACK, ask, forever, serving, unaccepting
from tests.support.servers.name_server import name_server


def table(folder: Path, used: str, limit: str) -> ConntrackTable:
    """Return a table with these numbers of the kernel."""
    (folder / "nf_conntrack_count").write_text(f"{used}\n")
    (folder / "nf_conntrack_max").write_text(f"{limit}\n")
    return ConntrackTable(folder)


@pytest.mark.parametrize(
    ("used", "limit", "ratio", "full"),
    [
        ("0", "262144", 0.0, False),
        ("131072", "262144", 0.5, False),
        ("262144", "262144", 1.0, True),
        ("249037", "262144", 0.95, True),
        ("5", "0", None, False),
        ("?", "262144", None, False),
    ],
)
def test_how_full_a_table_is(tmp_path: Path, used: str, limit: str, ratio: float | None, full: bool) -> None:
    """The table counts as full a little before its limit; without a limit or a table there is no ratio."""
    tracking = table(tmp_path, used, limit)
    assert tracking.ratio() == (None if ratio is None else pytest.approx(ratio, abs=1e-3))
    assert tracking.full() is full
    assert ConntrackTable(tmp_path / "none").ratio() is None


@pytest.mark.parametrize(("used", "reason"), [("100", Reason.LOCAL_RESOURCES), ("50", Reason.CONNECT_TIMEOUT)])
async def test_40_connections_that_wait_in_vain(tmp_path: Path, used: str, reason: Reason) -> None:
    """A connect that times out is the target's failure only if this machine could have made the connection."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)), conntrack=table(tmp_path, used, "100"))
    with unaccepting() as port:
        result = await ask(f"http://127.0.0.1:{port}/", environment=environment, timeout=0.2)
    assert result.judgement.reason is reason
    assert (result.judgement.outcome is Outcome.UNKNOWN) is (reason is Reason.LOCAL_RESOURCES)


@pytest.mark.parametrize(("used", "reason"), [("100", Reason.LOCAL_RESOURCES), ("50", Reason.RESOLVE_TIMEOUT)])
async def test_40_questions_that_wait_in_vain(tmp_path: Path, used: str, reason: Reason) -> None:
    """The same holds for names that could not be queried."""
    async with name_server({}, mute=True) as (_, resolver):
        environment = ProbeEnvironment(
            Outbound(egress=EgressRules(LOOPBACK), resolver=resolver), conntrack=table(tmp_path, used, "100")
        )
        result = await ask("http://mute.test/", environment=environment, timeout=0.2)
    assert result.judgement.reason is reason


async def test_40_what_a_full_table_does_not_excuse(tmp_path: Path) -> None:
    """A target that is connected to and does not answer fails, however full the table is."""
    environment = ProbeEnvironment(Outbound(egress=EgressRules(LOOPBACK)), conntrack=table(tmp_path, "100", "100"))
    async with serving(forever) as server:
        result = await ask(server.url(), environment=environment, timeout=0.2)
    assert (result.judgement.outcome, result.judgement.reason) == (Outcome.NOT_ANSWERED, Reason.ANSWER_TIMEOUT)


def test_pressure_is_exported_where_there_is_a_table(tmp_path: Path) -> None:
    """The gauge follows the kernel, and is absent without a table."""
    registry, without = CollectorRegistry(), CollectorRegistry()
    ProberMetrics(registry, table(tmp_path, "25", "100"))
    ProberMetrics(without, ConntrackTable(tmp_path / "none"))
    assert registry.get_sample_value("peyvand_conntrack_ratio") == 0.25
    table(tmp_path, "75", "100")
    assert registry.get_sample_value("peyvand_conntrack_ratio") == 0.75
    assert without.get_sample_value("peyvand_conntrack_ratio") is None
