"""policy.yaml: whose index it is and how it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.core.model import Egress, Government, Policy, Vantage
from services.register.reading import (
    FaultList,
    Location,
    YamlMapping,
    read_control_target,
    read_count,
    read_document,
    read_flag,
    read_id,
    read_moment,
    read_name,
    read_network,
    read_number,
    read_whole,
)

__all__ = ["FILE", "PolicyReading", "read_policy"]

FILE = "policy.yaml"
_KEYS = (
    "government",
    "timezone",
    "epoch",
    "slot_seconds",
    "windows_days",
    "publish_threshold",
    "grace_hours",
    "vantages",
    "egress",
    "bus",
    "default_latency_ms",
    "default_max_age_s",
    "levels",
)
_DEFAULT = Policy(government=Government("", "", ""), timezone="UTC", epoch=datetime.fromtimestamp(0, UTC))


@dataclass(frozen=True, slots=True)
class PolicyReading:
    """The policy, its time zone, its block for faults found later, and the vantages (None when unknown)."""

    policy: Policy
    zone: tzinfo
    block: YamlMapping | None
    vantages: dict[str, Location] | None


def read_policy(directory: Path, findings: FaultList) -> PolicyReading:
    """Read the policy of a register directory; with faults, whatever of it could be read and defaults for the rest."""
    block = read_document(directory / FILE, findings, keys=_KEYS)
    if block is None:
        return PolicyReading(_DEFAULT, UTC, None, None)
    zone = block.need("timezone", _read_zone, UTC)
    vantages, places = _vantages(block)
    policy = Policy(
        government=_government(block),
        timezone=getattr(zone, "key", "UTC"),
        epoch=block.need("epoch", lambda text: read_moment(text, zone), _DEFAULT.epoch),
        slot_seconds=block.read("slot_seconds", _read_slot, _DEFAULT.slot_seconds),
        windows_days=_windows(block),
        publish_threshold=block.read("publish_threshold", _read_share, _DEFAULT.publish_threshold),
        grace_hours=block.read("grace_hours", read_whole, _DEFAULT.grace_hours),
        vantages=vantages,
        egress=_egress(block),
        bus=block.read("bus", read_id, None),
        default_latency_ms=block.read("default_latency_ms", read_count, _DEFAULT.default_latency_ms),
        default_max_age_s=block.read("default_max_age_s", read_count, None),
        levels=_levels(block),
    )
    return PolicyReading(policy, zone, block, places)


def _read_zone(text: str) -> tzinfo:
    try:
        return ZoneInfo(text.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"`{text}` is not a time zone: write a name such as Asia/Tehran") from None


def _read_slot(text: str) -> int:
    if (seconds := read_count(text)) > 86400:
        raise ValueError(f"`{text}` is longer than a day")
    return seconds


def _read_share(text: str) -> float:
    if not 0 <= (share := read_number(text)) <= 1:
        raise ValueError(f"`{text}` is not between 0 and 1")
    return share


def _government(block: YamlMapping) -> Government:
    if "government" not in block:
        block.findings.add(block.place, "key `government` is missing")
        return _DEFAULT.government
    given = block.block("government", ("id", "name_en", "name_fa"))
    if given is None:
        return _DEFAULT.government
    return Government(
        id=given.need("id", read_id, ""),
        name_en=given.need("name_en", read_name, ""),
        name_fa=given.read("name_fa", read_name, ""),
    )


def _windows(block: YamlMapping) -> tuple[int, ...]:
    if "windows_days" not in block:
        return _DEFAULT.windows_days
    windows = [
        block.findings.attempt(scalar.place, "windows_days", read_count, scalar.text, 0)
        for scalar in block.scalars("windows_days")
    ]
    if not windows or len(set(windows)) < len(windows):
        block.fault("windows_days", "needs at least one number of days, each once")
    return tuple(sorted(windows)) or _DEFAULT.windows_days


def _vantages(block: YamlMapping) -> tuple[tuple[Vantage, ...], dict[str, Location] | None]:
    if "vantages" not in block:
        block.findings.add(block.place, "key `vantages` is missing")
        return (), None
    before = len(block.findings.faults)
    vantages: list[Vantage] = []
    places: dict[str, Location] = {}
    for given in block.blocks("vantages", ("id", "control_targets")):
        name = given.need("id", read_id, "")
        if name in places:
            given.fault("id", f"`{name}` is already the id of line {places[name].line}")
        places[name] = given.at("id")
        vantages.append(Vantage(name, _control_targets(given)))
    if not vantages and len(block.findings.faults) == before:
        block.fault("vantages", "needs at least one: probes start from a vantage")
    return tuple(sorted(vantages, key=lambda vantage: vantage.id)), places


def _control_targets(vantage: YamlMapping) -> tuple[str, ...]:
    targets = [
        vantage.findings.attempt(scalar.place, "control_targets", read_control_target, scalar.text, "")
        for scalar in vantage.scalars("control_targets")
    ]
    if not targets:
        reason = "needs at least one: without it the vantage's own failures would count against targets"
        vantage.fault("control_targets", reason)
    return tuple(targets)


def _egress(block: YamlMapping) -> Egress:
    given = block.block("egress", ("allow", "allow_loopback"))
    if given is None:
        return Egress()
    allow = [
        given.findings.attempt(scalar.place, "allow", read_network, scalar.text, "")
        for scalar in given.scalars("allow")
    ]
    return Egress(tuple(sorted(allow)), given.read("allow_loopback", read_flag, _DEFAULT.egress.allow_loopback))


def _levels(block: YamlMapping) -> tuple[float, float]:
    if "levels" not in block:
        return _DEFAULT.levels
    shares = [
        block.findings.attempt(scalar.place, "levels", _read_share, scalar.text, 0.0)
        for scalar in block.scalars("levels")
    ]
    if len(shares) != 2 or shares[0] > shares[1]:
        block.fault("levels", "needs two shares, of level 3 and of level 4, the second not below the first")
        return _DEFAULT.levels
    return shares[0], shares[1]
