"""A sandbox's register with fewer links, and with limits that a busy machine can keep."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

__all__ = ["cut", "read_rows", "write_rows"]


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by its columns."""
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))


def write_rows(file: Path, rows: list[dict[str, str]]) -> None:
    """Write rows that have the same columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    file.write_text(text.getvalue(), "utf-8")


def cut(register: Path, links: Collection[str], *, latency_ms: int, timeout_ms: int, **policy: Any) -> None:
    """Keep only these links, change limits and policy values, and remove links from announcements."""
    kept = [row for row in read_rows(register / "links.csv") if row["id"] in links]
    routes = [row for row in read_rows(register / "exchange.csv") if row["link"] in links]
    write_rows(register / "links.csv", [{**row, "latency_ms": str(latency_ms)} for row in kept])
    write_rows(register / "exchange.csv", routes)
    objections = [row for row in read_rows(register / "objections.csv") if row["link"] in links]
    if objections:
        write_rows(register / "objections.csv", objections)
    else:
        (register / "objections.csv").unlink()
    announced = yaml.safe_load((register / "announcements.yaml").read_text("utf-8"))
    for one in announced.values():
        one.pop("links", None)
    (register / "announcements.yaml").write_text(yaml.safe_dump(announced, allow_unicode=True), "utf-8")
    probes = yaml.safe_load((register / "probes.yaml").read_text("utf-8"))
    for probe in probes.values():
        probe["timeout"] = f"{timeout_ms}ms"
    (register / "probes.yaml").write_text(yaml.safe_dump(probes), "utf-8")
    known = yaml.safe_load((register / "policy.yaml").read_text("utf-8"))
    changed = {**known, "default_latency_ms": latency_ms, **policy}
    (register / "policy.yaml").write_text(yaml.safe_dump(changed), "utf-8")
