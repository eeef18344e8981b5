"""The prober turns a register's links and endpoints into assignments."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.core.model.measurement import Target
from services.prober.assignments import _WITHOUT_PROXY, assignments, plan_of
from services.register.directory.load import load_register
from services.register.probes.definition import _KEYS
from tests.support.registers import write_register


def test_an_endpoint_is_late_by_its_own_limit(tmp_path: Path) -> None:
    """An endpoint has the latency limit of its row, or otherwise the policy's default."""
    plain = load_register(write_register(tmp_path / "plain"))
    table = (tmp_path / "plain" / "endpoints.csv").read_text("utf-8").splitlines()
    rows = [f"{table[0]},latency_ms", f"{table[1]},1500", *(f"{row}," for row in table[2:])]
    limited = load_register(write_register(tmp_path / "limited", endpoints_csv="\n".join(rows) + "\n"))
    first, *others = (Target(row.partition(",")[0], endpoint=True) for row in table[1:])
    assert others
    found = assignments(limited, None)
    assert found[first].latency == 1.5
    assert {found[other].latency for other in others} == {plain.policy.default_latency_ms / 1000} != {1.5}


def test_nothing_is_probed_before_the_epoch(tmp_path: Path) -> None:
    """A register that begins later is not probed until it does: the scorer would refuse what was measured before."""
    epoch = datetime(2026, 12, 5, 12, tzinfo=UTC)
    register = load_register(write_register(tmp_path / "register"))
    later = replace(register, policy=replace(register.policy, epoch=epoch))
    entries = [assignment.entry for assignment in assignments(later, None).values()]
    assert {entry.target.endpoint for entry in entries} == {False, True}
    begins = int(epoch.timestamp())
    assert not any(entry.covers(begins - later.policy.slot_seconds) for entry in entries)
    assert any(entry.covers(begins) for entry in entries if not entry.target.endpoint)
    assert all(entry.covers(begins) for entry in entries if entry.target.endpoint)


_OVER = "proxy: {url: 'http://proxy.example:3128'}"
_OTHER = "proxy: {url: 'http://other.example:3128'}"
_TCP = "kind: tcp, target: 'tcp://a.example:80'"
_TLS = f"kind: tls, target: 'tls://a.example:443', {_OVER}"
_DIRECT = "kind: http, target: 'https://a.example/'"


def _journey(*steps: str) -> str:
    return ", ".join(
        ("kind: journey", "steps: [" + ", ".join(f"{{name: s{i}, {s}}}" for i, s in enumerate(steps)) + "]")
    )


def test_kinds_without_a_proxy() -> None:
    """The kinds without a proxy are exactly those whose definitions cannot have the key."""
    assert {kind for kind, keys in _KEYS.items() if "proxy" not in keys} == _WITHOUT_PROXY


@pytest.mark.parametrize(
    ("definition", "proxy"),
    [
        (f"kind: http, {_OVER}", "http://proxy.example:3128"),
        ("kind: http", ""),
        (_journey(_TCP), ""),
        (_journey(f"{_DIRECT}, {_OVER}", _TLS, _TCP), "http://proxy.example:3128"),
        (_journey(f"{_DIRECT}, {_OVER}", f"{_DIRECT}, {_OTHER}"), ""),
        (_journey(f"{_DIRECT}, {_OVER}", _DIRECT), ""),
    ],
)
def test_control_targets_take_the_proxy_of_all_probes(tmp_path: Path, definition: str, proxy: str) -> None:
    """Control targets use a proxy if all probes that can use one use the same. Otherwise they are reached directly."""
    write_register(
        tmp_path,
        links_csv="id,service,provider,data_item,live_from,probe,target\n",
        endpoints_csv="id,agency,service,probe,target\none,tax-office,,only,https://a.example/\n",
        probes_yaml=f"only: {{{definition}}}\n",
        policy_yaml=("bus: bus\n", ""),
    )
    register = load_register(tmp_path)
    vantage = register.policy.vantages[0].id
    assert plan_of(register, vantage, "p").control_proxy.url == proxy
