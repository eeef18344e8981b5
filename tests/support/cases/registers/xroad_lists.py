"""Proposed registers as tests read them. Not a test."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

__all__ = ["EPOCH", "METHODS", "rows"]

EPOCH = date(2026, 1, 1)
METHODS = {
    "service": [
        {
            "xroad_instance": "DEV",
            "member_class": "ORG",
            "member_code": "1234567-8",
            "subsystem_code": "TEST",
            "service_code": "a/b",
            "service_type": "OPENAPI",
            "endpoint_list": [{"method": "GET", "path": "/CANARY"}],
        }
    ]
}


def rows(directory: Path, name: str) -> list[list[str]]:
    with (directory / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]
