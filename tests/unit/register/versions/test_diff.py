"""Differences between two registers are shown."""

from __future__ import annotations

import json
from pathlib import Path

from services.register.directory.load import load_register
from services.register.versions.diff import diff_registers
from tests.support.registers import write_register

_LINKS = ("transfer-customs,title-transfer,customs,liens,,,,,,,,,,,\n", "")


def test_a_shrinking_denominator_is_shown(tmp_path: Path) -> None:
    """The lines and the JSON have the sizes before and after and all changes."""
    old = load_register(write_register(tmp_path / "old"))
    new = load_register(
        write_register(
            tmp_path / "new",
            links_csv=_LINKS,
            services_csv=("own,\n", "own,3\n"),
            endpoints_csv=("portal,", "gate,"),
            policy_yaml=("publish_threshold: 0.8", "publish_threshold: 0.7"),
            probes_yaml=("  kind: http\n  timeout: 5s\n", "  kind: http\n  timeout: 6s\n"),
        )
    )
    found = diff_registers(old, new)
    assert list(found.lines()) == [
        "denominator: 8 links (1 absent) of 5 services, 4 agencies -> 7 links (0 absent) of 5 services, 4 agencies",
        f"register_version: {old.register_version} -> {new.register_version}",
        f"probe_version: {old.probe_version} -> {new.probe_version}",
        "services: 0 added, 0 removed, 1 changed",
        "  ~ title-transfer: weight 1.0 -> 3.0",
        "links: 0 added, 1 removed, 0 changed",
        "  - transfer-customs",
        "endpoints: 1 added, 1 removed, 0 changed",
        "  + gate",
        "  - portal",
        "probes: 0 added, 0 removed, 1 changed",
        "  ~ page: timeout 5.0 -> 6.0",
        "policy: 0 added, 0 removed, 1 changed",
        "  ~ policy: publish_threshold 0.8 -> 0.7",
    ]
    told = json.loads(json.dumps(found.to_json()))
    assert told["denominator"]["links"] == {"old": 8, "new": 7}
    assert told["links"] == {"added": [], "removed": ["transfer-customs"], "changed": {}}
    assert told["services"]["changed"] == {"title-transfer": {"weight": {"old": 1.0, "new": 3.0}}}


def test_what_is_set_for_the_first_time_is_shown(tmp_path: Path) -> None:
    """A new latency limit of an endpoint and new open data are changes from nothing."""
    plain = load_register(write_register(tmp_path / "old"))
    given = load_register(
        write_register(
            tmp_path / "new",
            endpoints_csv="id,agency,probe,target,latency_ms\nbus,civil-registry,page,http://127.0.0.1:1/,900\n",
            policy_yaml=("levels", "open_data: {publisher_en: Court of Audit}\nlevels"),
        )
    )
    for old, new, change in ((plain, given, "null -> 900"), (given, plain, "900 -> null")):
        lines = list(diff_registers(old, new).lines())
        assert any(change in line for line in lines), lines
        assert any("open_data" in line and "Court of Audit" in line for line in lines), lines


def test_a_moved_directory_makes_no_difference(tmp_path: Path) -> None:
    """File references are compared as written, so a register that was moved is the same register."""
    probes = ("page:\n  kind: http\n", "page:\n  kind: http\n  tls: {ca: 'file:ca.pem'}\n")
    found = diff_registers(
        load_register(write_register(tmp_path / "here", probes_yaml=probes)),
        load_register(write_register(tmp_path / "there", probes_yaml=probes)),
    )
    assert not any(found.sections.values())
    assert next(found.lines()) == "denominator: 8 links (1 absent) of 5 services, 4 agencies, the same size"
