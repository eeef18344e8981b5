"""Writes a scenario as the files of a register directory and the collector's sources. Pure: file name to content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import orjson
import yaml

from services.core.model import ALWAYS, Link
from services.core.spreadsheets import csv_text
from services.sandbox.directory.evaluation_rounds import make_evaluation_rounds
from services.sandbox.directory.notices import (
    MAINTENANCE_COLUMNS,
    OBJECTION_COLUMNS,
    make_announcements,
    make_maintenance,
    make_objections,
)
from services.sandbox.exchanges import WEEK_STEPS, DataBus
from services.sandbox.scenario import BUS, FAMILIES, MEMBER, RecordFamily, Scenario
from services.sandbox.security_server import OFFSET
from services.sandbox.servers import CA
from services.sandbox.timing import Timing

SOURCES = "sources.yaml"
"""The collector's list of sources, beside the register directory."""

_LONGEST_INTERVAL = 60

_SAMPLE_CLIENT = f"{MEMBER}/TEST"
_SAMPLE_SERVICE = f"{MEMBER}/TEST/RestTest"


def make_register_files(scenario: Scenario, bus: DataBus, times: Timing, first_slot: int) -> dict[str, str]:
    """Return a register whose epoch is the start of ``first_slot``, in the columns of docs/register.md."""
    start = datetime.fromtimestamp(first_slot * times.slot, UTC)
    return {
        "agencies.csv": _csv(
            "id name_en name_fa sector staff satisfaction",
            ((a.id, a.name_en, a.name_fa, a.sector, a.staff, a.satisfaction) for a in scenario.agencies),
        ),
        "services.csv": _csv(
            "id agency name_en name_fa channel weight",
            ((s.id, s.agency, s.name_en, s.name_fa, s.channel, s.weight) for s in scenario.services),
        ),
        "links.csv": _csv(
            "id service provider data_item required_from required_until live_from probe target params "
            "latency_ms max_age_s slo weight legal_basis",
            (_link(link) for link in scenario.links),
        ),
        "endpoints.csv": _csv(
            "id agency service probe target",
            ((e.id, e.agency, e.service, e.probe, e.target) for e in scenario.endpoints),
        ),
        "members.csv": _csv("member agency", [(MEMBER, scenario.member_agency), *bus.members.items()]),
        "exchange.csv": _csv(
            "client service link",
            [
                (_SAMPLE_CLIENT, _SAMPLE_SERVICE, scenario.sample_link),
                *((route.client, route.service, link) for route in bus.routes for link in route.links),
            ],
        ),
        "probes.yaml": _yaml(_probes(times)),
        "policy.yaml": _yaml(_policy(scenario, times, start)),
        "evaluation_rounds.yaml": _yaml(make_evaluation_rounds(scenario)),
        "announcements.yaml": _yaml(make_announcements(scenario, start)),
        "objections.csv": _csv(OBJECTION_COLUMNS, make_objections(scenario, start)),
        "maintenance.csv": _csv(MAINTENANCE_COLUMNS, make_maintenance(start)),
    }


def sources_file(bus: DataBus, times: Timing, port: int) -> str:
    """Return sources.yaml: every security server at its own address, polled once a slot and at least every minute.

    The first one is polled for its health data as well.
    """
    shared = {
        "client": bus.monitor,
        "authority": CA,
        "timeout": "3s",
        "every": f"{min(times.slot, _LONGEST_INTERVAL)}s",
        "behind": f"{OFFSET}s",
        "history": "1h",
    }
    sources = [
        {"id": server.id, "kind": "xroad", "server": server.name, "url": f"https://{server.host}:{port}/"}
        for server in bus.servers
    ]
    health = [{**source, "id": f"{source['id']}-health", "health": True} for source in sources[:1]]
    return _yaml({"xroad": shared, "sources": [*sources, *health]})


def _csv(columns: str, rows: Iterable[Iterable[object]]) -> str:
    return csv_text([columns.split(), *rows])


def _yaml(content: Mapping[str, object]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120)


def _link(link: Link) -> Iterable[object]:
    live_from = "always" if link.live_from == ALWAYS else link.live_from
    params = "" if link.params == ({},) else orjson.dumps(link.params).decode()
    basis = link.legal_basis
    cited = "" if basis is None else f"{basis.law}; {basis.article}; {basis.passed}"
    return (
        *(link.id, link.service, link.provider, link.data_item, link.required_from, link.required_until, live_from),
        *(link.probe, link.target, params, link.latency_ms, link.max_age_s, link.slo, link.weight, cited),
    )


def _probes(times: Timing) -> dict[str, object]:
    timeout = f"{round(times.timeout * 1000)}ms"
    probes: dict[str, object] = {}
    for family in FAMILIES.values():
        probes[f"{family.name}-plain"] = {**_inquiry(family), "timeout": timeout}
        probes[f"{family.name}-tls"] = {**_inquiry(family), **_tls(), "timeout": timeout}
    probes["portal-plain"] = _page(timeout)
    probes["portal-tls"] = {**_page(timeout), **_tls()}
    status = {"status": [200], "json": [{"path": "$.bus", "equals": "up"}]}
    probes["bus"] = {"kind": "http", **_tls(), "timeout": timeout, "expect": status}
    return probes


def _tls() -> dict[str, object]:
    return {"tls": {"ca": f"file:{CA}"}}


def _page(timeout: str) -> dict[str, object]:
    return {"kind": "http", "timeout": timeout, "expect": {"status": [200], "body": {"must": ["<title>"]}}}


def _inquiry(family: RecordFamily) -> dict[str, object]:
    probe: dict[str, object] = {"kind": "http", "method": family.method, "headers": {"Accept": "application/json"}}
    if family.method == "POST":
        probe["headers"] = {"Accept": "application/json", "Content-Type": "application/json"}
        probe["body"] = f'{{"{family.key}": "${{{family.key}}}"}}'
    fields = (family.key, *family.fields)
    probe["expect"] = {
        "status": [200],
        "headers": {"content-type": "application/json.*"},
        "json": [{"path": "$.item", "equals": "${item}"}, {"path": "$.valid", "type": "boolean"}],
        "record": {f"$.{field}": f"${{{field}}}" for field in fields},
        "fresh": {"path": family.fresh_path} if family.fresh_path else {"header": family.fresh_header},
    }
    return probe


def _policy(scenario: Scenario, times: Timing, start: datetime) -> dict[str, object]:
    return {
        "government": {"id": "sandbox", "name_en": "Simulated government", "name_fa": "دولت آزمایشی"},
        "timezone": "Asia/Tehran",
        "epoch": start.isoformat(),
        "slot_seconds": times.slot,
        "windows_days": [7, 28, 90],
        "publish_threshold": 0.8,
        "grace_hours": 24,
        "vantages": [{"id": "main", "control_targets": [scenario.control_target]}],
        "egress": {"allow": ["127.0.0.0/8"], "allow_loopback": True},
        "bus": BUS,
        # A week of seven slots, so that findings appear within minutes; one in fifty such weeks may have one by chance.
        "findings": {"false_findings_per_week": 0.02, "step_seconds": times.slot, "week_steps": WEEK_STEPS},
        "default_latency_ms": round(times.latency * 1000),
        "default_max_age_s": 86400,
    }
