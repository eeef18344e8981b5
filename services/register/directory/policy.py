"""Reads policy.yaml: the government, and how its index is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from services.core.model import EVIDENCE_SECONDS, Egress, FindingPolicy, Government, OpenData, Policy, Vantage
from services.register.faults import FaultList, Location
from services.register.reading import (
    YamlMapping,
    read_control_target,
    read_count,
    read_document,
    read_domain,
    read_flag,
    read_http_url,
    read_id,
    read_moment,
    read_name,
    read_network,
    read_number,
    read_share,
    read_whole,
    read_zone,
)

FILE = "policy.yaml"
_KEYS = tuple(field.name for field in fields(Policy))
_GRACE_HOURS = int(EVIDENCE_SECONDS // 3600)
# Every refresh computes and publishes each window for each link and group.
_WINDOWS = 12
_WINDOW_DAYS = 3660
# A step of five minutes is the shortest with enough exchanges to tell anything.
_WEEK_STEPS = 7 * 288
# Nobody could check a rate below one in twenty years, and nobody would look at more than one an hour.
_FALSE_FINDINGS = (0.001, 168.0)
_DEFAULT = Policy(government=Government("", "", ""), timezone="UTC", epoch=datetime.fromtimestamp(0, UTC))


@dataclass(frozen=True, slots=True)
class PolicyReading:
    """The policy, its time zone, its mapping for faults found later, and the locations of vantages (None when unknown)."""

    policy: Policy
    zone: tzinfo
    mapping: YamlMapping | None
    vantages: dict[str, Location] | None


def read_policy(directory: Path, faults: FaultList) -> PolicyReading:
    """Read the policy of a register directory; after faults, defaults replace the values that could not be read."""
    mapping = read_document(directory / FILE, faults, keys=_KEYS)
    if mapping is None:
        return PolicyReading(_DEFAULT, UTC, None, None)
    zone = mapping.need("timezone", read_zone, UTC)
    vantages, locations = _vantages(mapping)
    policy = Policy(
        government=_government(mapping),
        timezone=getattr(zone, "key", "UTC"),
        epoch=mapping.need("epoch", lambda text: read_moment(text, zone), _DEFAULT.epoch),
        slot_seconds=mapping.read("slot_seconds", _read_slot, _DEFAULT.slot_seconds),
        windows_days=_windows(mapping),
        publish_threshold=mapping.read("publish_threshold", read_share, _DEFAULT.publish_threshold),
        grace_hours=mapping.read("grace_hours", _read_grace, _DEFAULT.grace_hours),
        vantages=vantages,
        egress=_egress(mapping),
        bus=mapping.read("bus", read_id, None),
        default_latency_ms=mapping.read("default_latency_ms", read_count, _DEFAULT.default_latency_ms),
        default_max_age_s=mapping.read("default_max_age_s", read_count, None),
        levels=_levels(mapping),
        open_data=_open_data(mapping),
        findings=_findings(mapping),
    )
    return PolicyReading(policy, zone, mapping, locations)


def _up_to(most: int, why: str, read: Callable[[str], int] = read_count) -> Callable[[str], int]:
    def read_limited(text: str) -> int:
        if (number := read(text)) > most:
            raise ValueError(f"`{text}` is {why}")
        return number

    return read_limited


_read_slot = _up_to(86_400, "longer than a day")
_read_grace = _up_to(_GRACE_HOURS, f"above {_GRACE_HOURS}, the hours for which the bus keeps measurements", read_whole)
_read_window = _up_to(_WINDOW_DAYS, f"above {_WINDOW_DAYS}, ten years")


def _government(mapping: YamlMapping) -> Government:
    mapping.require("government")
    given = mapping.mapping("government", ("id", "name_en", "name_fa"))
    if given is None:
        return _DEFAULT.government
    return Government(
        id=given.need("id", read_id, ""),
        name_en=given.need("name_en", read_name, ""),
        name_fa=given.read("name_fa", read_name, ""),
    )


def _windows(mapping: YamlMapping) -> tuple[int, ...]:
    if "windows_days" not in mapping:
        return _DEFAULT.windows_days
    windows = mapping.read_list("windows_days", _read_window, 0)
    if not 0 < len(windows) <= _WINDOWS or len(set(windows)) < len(windows):
        mapping.fault("windows_days", f"needs from 1 to {_WINDOWS} numbers of days, each once")
    return tuple(sorted(windows)) or _DEFAULT.windows_days


def _vantages(mapping: YamlMapping) -> tuple[tuple[Vantage, ...], dict[str, Location] | None]:
    if not mapping.require("vantages"):
        return (), None
    before = len(mapping.faults)
    vantages: list[Vantage] = []
    locations: dict[str, Location] = {}
    for given in mapping.mappings("vantages", ("id", "control_targets", "control_names")):
        name = given.need("id", read_id, "")
        if name in locations:
            given.fault("id", f"`{name}` is already the id of line {locations[name].line}")
        locations[name] = given.at("id")
        targets = tuple(given.read_list("control_targets", read_control_target, ""))
        if not targets:
            reason = "needs at least one: without it the vantage's own failures would count against targets"
            given.fault("control_targets", reason)
        names = tuple(given.read_list("control_names", read_domain, ""))
        vantages.append(Vantage(name, targets, names))
    if not vantages and len(mapping.faults) == before:
        mapping.fault("vantages", "needs at least one: probes start from a vantage")
    return tuple(sorted(vantages, key=lambda vantage: vantage.id)), locations


def _egress(mapping: YamlMapping) -> Egress:
    given = mapping.part("egress", ("allow", "allow_loopback"))
    allow = given.read_list("allow", read_network, "")
    return Egress(tuple(sorted(allow)), given.read("allow_loopback", read_flag, _DEFAULT.egress.allow_loopback))


def _levels(mapping: YamlMapping) -> tuple[float, float]:
    if "levels" not in mapping:
        return _DEFAULT.levels
    shares = mapping.read_list("levels", read_share, 0.0)
    if len(shares) != 2 or shares[0] > shares[1]:
        mapping.fault("levels", "needs two shares, of level 3 and of level 4, the second not below the first")
        return _DEFAULT.levels
    return shares[0], shares[1]


def _open_data(mapping: YamlMapping) -> OpenData | None:
    given = mapping.mapping("open_data", ("publisher_en", "publisher_fa", "licence", "url"))
    if given is None:
        return None
    return OpenData(
        publisher_en=given.read("publisher_en", read_name, ""),
        publisher_fa=given.read("publisher_fa", read_name, ""),
        licence=given.read("licence", read_http_url, ""),
        url=given.read("url", _read_folder, ""),
    )


def _findings(mapping: YamlMapping) -> FindingPolicy:
    given = mapping.part("findings", tuple(field.name for field in fields(FindingPolicy)))
    usual = _DEFAULT.findings
    return FindingPolicy(
        given.read("false_findings_per_week", _read_false_findings, usual.false_findings_per_week),
        given.read("step_seconds", _read_slot, usual.step_seconds),
        given.read("week_steps", _read_week, usual.week_steps),
    )


def _read_week(text: str) -> int:
    if (steps := read_count(text)) % 7 or steps > _WEEK_STEPS:
        raise ValueError(f"`{text}` is not a multiple of 7, the days of a week, up to {_WEEK_STEPS}")
    return steps


def _read_false_findings(text: str) -> float:
    least, most = _FALSE_FINDINGS
    if not least <= (number := read_number(text)) <= most:
        raise ValueError(f"`{text}` is not between {least:g} and {most:g}")
    return number


def _read_folder(text: str) -> str:
    url = read_http_url(text)
    if "?" in url or "#" in url:
        raise ValueError(f"`{text}` is not the address of a folder: it has a query or a fragment")
    return url.rstrip("/")
