"""Health data: a security server's counts of the services behind it."""

from __future__ import annotations

import pytest

from services.collector.records.health_data import ServiceHealth, read_health


def event(version: str, statistics: str) -> str:
    return (
        "<serviceEvents><service><xRoadInstance>IR</xRoadInstance><memberClass>GOV</memberClass><memberCode>100</memberCode>"
        f"<serviceCode>person</serviceCode><serviceVersion>{version}</serviceVersion></service>{statistics}</serviceEvents>"
    )


def statistics(succeeded: int, failed: int, mean: str = "") -> str:
    took = f"<requestAverageDuration>{mean}</requestAverageDuration>" if mean else ""
    return (
        f"<lastPeriodStatistics><successfulRequestCount>{succeeded}</successfulRequestCount>"
        f"<unsuccessfulRequestCount>{failed}</unsuccessfulRequestCount>{took}</lastPeriodStatistics>"
    )


@pytest.mark.parametrize(
    ("events", "succeeded", "failed", "mean"),
    [
        ((event("v1", ""),), 0, 0, None),
        ((event("v1", statistics(0, 0)),), 0, 0, None),
        ((event("v1", statistics(3, 1, "20.0")),), 3, 1, 20.0),
        ((event("v1", statistics(3, 1, "20.0")), event("v2", statistics(10, 2, "60.0"))), 13, 3, 50.0),
        ((event("v1", statistics(3, 1, "20.0")), event("v2", ""), event("v3", statistics(0, 7))), 3, 8, 20.0),
    ],
)
def test_versions_of_a_service_count_together(events, succeeded, failed, mean):
    """Counts of a service's versions add up, with mean durations weighted by requests.
    Without statistics there were no requests.
    """
    body = (
        f"<Envelope><getSecurityServerHealthDataResponse><statisticsPeriodSeconds> 600 </statisticsPeriodSeconds>"
        f"<servicesEvents>{''.join(events)}</servicesEvents></getSecurityServerHealthDataResponse></Envelope>"
    )
    found = read_health(body.encode())
    assert found.period_seconds == 600
    assert found.services == (ServiceHealth("IR/GOV/100/person", succeeded, failed, mean),)
