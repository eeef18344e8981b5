"""What the prober makes of a register's links and endpoints."""

from __future__ import annotations

from pathlib import Path

from services.core.model.measurement import Target
from services.prober.assignments import assignments
from services.register.directory.load import load_register
from tests.support.registers import write_register


def test_an_endpoint_is_late_by_its_own_limit(tmp_path: Path) -> None:
    """An endpoint has the latency limit of its row, the policy's default without one."""
    plain = load_register(write_register(tmp_path / "plain"))
    table = (tmp_path / "plain" / "endpoints.csv").read_text("utf-8").splitlines()
    rows = [f"{table[0]},latency_ms", f"{table[1]},1500", *(f"{row}," for row in table[2:])]
    limited = load_register(write_register(tmp_path / "limited", endpoints_csv="\n".join(rows) + "\n"))
    first, *others = (Target(row.partition(",")[0], endpoint=True) for row in table[1:])
    assert others
    found = assignments(limited, None)
    assert found[first].latency == 1.5
    assert {found[other].latency for other in others} == {plain.policy.default_latency_ms / 1000} != {1.5}
