"""What the stack of deploy/compose.yaml must do under load, and with a bus server and a prober killed."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from tests.images.check import Failure
from tests.images.stack import LINKS, SLOT_SECONDS, VANTAGES, WEBHOOKS, Stack, seconds_of

# A prober that died is missed after 6 s of silence, and what it had not probed is probed at once: early in a slot that is
# in time for the slot itself.
_EARLY_SECONDS = 3.0

__all__ = ["nothing_is_lost", "watched"]


def _next_slot() -> float:
    return (time.time() // SLOT_SECONDS + 1) * SLOT_SECONDS


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def watched(stack: Stack) -> str:
    """Prometheus scrapes every component, has loaded the rules and reaches Alertmanager, which tells the webhooks."""
    end = time.monotonic() + 90
    alerts = [{"labels": {"alertname": "Tried", "severity": severity}} for severity in ("page", "ticket")]
    stack.ask("alertmanager", "/api/v2/alerts", alerts)
    expected = Counter({"prober": 4, "scorer": 1, "collector": 1, "api": 1})
    while True:
        up = Counter(metric["job"] for metric, value in stack.query("up") if value == 1)
        managers = stack.ask("prometheus", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        if expected <= up and managers:
            break
        if time.monotonic() > end:
            raise Failure(f"Prometheus reaches {dict(up)} and {len(managers)} Alertmanager")
        time.sleep(1)
    groups = stack.ask("prometheus", "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    if bad := [rule["name"] for rule in rules if rule["health"] == "err"]:
        raise Failure(f"rules with errors: {', '.join(bad)}")
    if not rules:
        raise Failure("no rules are loaded")
    while silent := [one for one in WEBHOOKS if not any(_tells(line, one) for line in stack.told())]:
        if time.monotonic() > end:
            raise Failure(f"Alertmanager did not tell {', '.join(silent)}: {stack.logs('alertmanager')}")
        time.sleep(1)
    status = stack.ask("alertmanager", "/api/v2/status")
    version = status["versionInfo"]["version"]
    return f"{sum(expected.values())} targets up, {len(rules)} rules, Alertmanager {version} tells {' and '.join(WEBHOOKS)}"


def _tells(line: str, webhook: str) -> bool:
    """Whether this was posted to the webhook and tells of the alert that was tried."""
    return line.startswith(f"POST /{webhook} ") and '"alertname":"Tried"' in line


def nothing_is_lost(stack: Stack) -> str:
    """Kill a prober and the server that leads the measurements under load; every slot of every link is there after."""
    first = _next_slot()
    stack.until_scored(first)
    for victim in ("prober-1a", stack.leader()):
        _sleep_until(_next_slot() + _EARLY_SECONDS)
        stack.kill(victim)
        stack.until_healthy()
    last = _next_slot() + SLOT_SECONDS
    indicator = stack.until_scored(last)
    dumped = stack.measurements()
    _every_slot(dumped, first, last)
    counted = stack.score(indicator, dumped)
    if counted != indicator:
        differ = [name for name in {*counted, *indicator} if counted.get(name) != indicator.get(name)]
        raise Failure(f"the published index and the one of the dump differ in {', '.join(sorted(differ))}")
    dropped = sum(value for _, value in stack.query("peyvand_spool_dropped_total"))
    if dropped:
        raise Failure(f"spools dropped {dropped:.0f} batches")
    for victim in stack.killed:
        if stack.inspect(victim, ".RestartCount") == "0":
            raise Failure(f"{victim} was not killed")
    slots = int(last - first) // SLOT_SECONDS
    return (
        f"{' and '.join(stack.killed)} killed; {slots} slots of {LINKS} links from {len(VANTAGES)} vantages all there, "
        f"index {indicator['lower']:.4f} to {indicator['upper']:.4f} equal to that of the dump"
    )


def _every_slot(dumped: Path, first: float, last: float) -> None:
    """Whether each link has a measurement of each slot and vantage, and none blames a target that always answered."""
    seen: set[tuple[str, str, float]] = set()
    outcomes: Counter[str] = Counter()
    with dumped.open() as lines:
        for line in lines:
            row = json.loads(line)
            slot = seconds_of(row["slot_start"])
            if first <= slot < last:
                seen.add((row["link"], row["vantage"], slot))
                outcomes[row["outcome"]] += 1
    slots = [first + n * SLOT_SECONDS for n in range(int(last - first) // SLOT_SECONDS)]
    wanted = {(f"link-{n}", vantage, slot) for n in range(LINKS) for vantage in VANTAGES for slot in slots}
    if missing := wanted - seen:
        places = Counter((vantage, int(slot - first) // SLOT_SECONDS) for _, vantage, slot in missing)
        raise Failure(f"{len(missing)} of {len(wanted)} measurements are missing, by vantage and slot: {dict(places)}")
    blamed = {name: n for name, n in outcomes.items() if name not in ("OUTCOME_OK", "OUTCOME_UNKNOWN")}
    if blamed:
        raise Failure(f"targets that always answered read as {blamed}")
    if outcomes["OUTCOME_UNKNOWN"] > 0.05 * sum(outcomes.values()):
        raise Failure(f"more than 5 % are unknown: {dict(outcomes)}")
