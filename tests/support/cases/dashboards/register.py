"""Two registers for the dashboards: the links of one agency, and a later version of them."""

from __future__ import annotations

import time
from pathlib import Path

import yaml

from tests.support.cases.sandbox_register import cut, read_rows, write_rows

__all__ = ["AGENCY", "LINK", "SLOT", "first_register", "other_register"]

SLOT = 2
LATENCY_MS, TIMEOUT_MS = 400, 900  # those of a sandbox with such slots
AGENCY = "social-insurance"  # asks over the data bus, and is asked over it
LINK = "social-insurance-pension-issue-kinship"  # over the data bus
PAPER = "vocational-training"  # all of its links with AGENCY go back on paper


def first_register(made: Path, found: Path) -> None:
    """Move a sandbox's register to another folder, and keep only the links of one agency."""
    made.rename(found)
    owner = {row["id"]: row["agency"] for row in read_rows(found / "services.csv")}
    links = {row["id"] for row in read_rows(found / "links.csv") if AGENCY in (row["provider"], owner[row["service"]])}
    epoch = (time.time() // SLOT + 2) * SLOT  # every slot that counts is measured
    cut(
        found,
        links,
        latency_ms=LATENCY_MS,
        timeout_ms=TIMEOUT_MS,
        publish_threshold=0.9,
        epoch=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
    )


def other_register(found: Path) -> None:
    """Change the register: links of PAPER go back on paper, one weighs more, the official round was better."""
    links = read_rows(found / "links.csv")
    for row in links:
        if PAPER in row["id"] or row["provider"] == PAPER:
            row["live_from"] = row["probe"] = row["target"] = ""
        if row["id"] == LINK:
            row["weight"] = "5"
    write_rows(found / "links.csv", links)
    rounds = yaml.safe_load((found / "evaluation_rounds.yaml").read_text("utf-8"))
    rounds["rounds"][-1]["dimension_percent"]["integration"] += 5
    (found / "evaluation_rounds.yaml").write_text(yaml.safe_dump(rounds, allow_unicode=True), "utf-8")
