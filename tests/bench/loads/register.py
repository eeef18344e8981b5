"""Write a register of any size, with one server that answers all links."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

__all__ = ["write_register"]

_AGENCIES = 20
_SERVICES = 100


def write_register(
    folder: Path,
    url: str,
    control: str,
    authority: Path | None,
    links: int,
    slot_seconds: int,
    *,
    timeout_seconds: int = 4,
) -> Path:
    """Write a register of so many links to ``url``, each with its own path, and return its directory.

    ``authority`` is the file of the authority that certifies the server, None without TLS.
    """
    folder.mkdir(parents=True)
    if authority is not None:
        shutil.copy(authority, folder / "ca.pem")
    agencies = [f"agency-{number},Agency {number},,sector-{number % 4}" for number in range(_AGENCIES)]
    services = [f"service-{number},agency-{number % _AGENCIES},Service {number}," for number in range(_SERVICES)]
    rows = []
    for number in range(links):
        service = number % _SERVICES
        provider = (service + 1 + number // _SERVICES % (_AGENCIES - 1)) % _AGENCIES
        rows.append(f"link-{number},service-{service},agency-{provider},item-{number},always,inquiry,{url}/{number}")
    _write(folder / "agencies.csv", "id,name_en,name_fa,sector", agencies)
    _write(folder / "services.csv", "id,agency,name_en,name_fa", services)
    _write(folder / "links.csv", "id,service,provider,data_item,live_from,probe,target", rows)
    _write(folder / "endpoints.csv", "id,agency,probe,target", [])
    probe = {
        "kind": "http",
        "headers": {"Accept": "application/json"},
        "timeout": f"{timeout_seconds}s",
        **({} if authority is None else {"tls": {"ca": "file:ca.pem"}}),
        "expect": {"status": [200], "json": [{"path": "$.clear", "type": "boolean"}]},
    }
    (folder / "probes.yaml").write_text(json.dumps({"inquiry": probe}))
    policy = {
        "government": {"id": "bench", "name_en": "Benchmark", "name_fa": ""},
        "timezone": "UTC",
        "epoch": f"{dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)}",
        "slot_seconds": slot_seconds,
        "windows_days": [7, 28, 90],
        "vantages": [{"id": "main", "control_targets": [control]}],
        "egress": {"allow": ["127.0.0.0/8"], "allow_loopback": True},
        "default_latency_ms": timeout_seconds * 500,
    }
    (folder / "policy.yaml").write_text(json.dumps(policy))
    return folder


def _write(path: Path, head: str, rows: list[str]) -> None:
    path.write_text("\n".join([head, *rows]) + "\n")
