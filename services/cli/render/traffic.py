"""Renders exchanges beside probes for ``peyvand exchange`` and ``explain link``. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from math import ceil

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from peyvand.v1 import indicator_service_pb2, reconciliation_pb2
from services.cli.render.format import (
    Wrapped,
    named_pair,
    new_table,
    number,
    percent,
    stated_percent,
    text,
    unknown_percent,
    window,
)
from services.core.texts import plural
from services.indicator.exchanges import AGREEMENT_DAYS, CHANCE, SILENCE_DAYS, VOLUME_WEEKS
from services.register.attribution import UNMAPPED

_MAX_ROWS = 20

NEEDED_DAYS = {
    "hold links against their probes": round(AGREEMENT_DAYS),
    "call one silent": SILENCE_DAYS,
    "call its volume unusual": 7 * VOLUME_WEEKS,
}
"""What exchanges can show of links, and how many days of exchanges each takes."""


def traffic_tables(
    traffic: reconciliation_pb2.Traffic,
    links: Sequence[indicator_service_pb2.LinkStatus],
    names: Mapping[str, str],
    zone: tzinfo,
) -> Group:
    """Return the exchanges of each bus, those that are undeclared, and the links with findings.

    ``names`` are those of agencies by id; times are in ``zone``, the policy's timezone.
    """
    span = _window(traffic, zone)
    if not traffic.exchanges:
        return Group(Text(f"no exchange was logged in {span}: a collector reads the data bus's logs"))
    buses = ", ".join(f"{bus.bus} {bus.exchanges:,} ({percent(bus.share)})" for bus in traffic.buses)
    parts: list[RenderableType] = [Text.assemble((f"{traffic.exchanges:,} exchanges in {span}", "bold"), f": {buses}")]
    if traffic.undeclared_pairs:
        share = percent(traffic.undeclared_exchanges / traffic.exchanges)
        parts += [
            Text(
                f"Undeclared: {traffic.undeclared_exchanges:,} of them ({share}), between pairs of agencies without a link "
                f"in the register; such pairs: {traffic.undeclared_pairs:,}"
            ),
            _undeclared(traffic, names),
        ]
        if any(UNMAPPED in (pair.consumer, pair.provider) for pair in traffic.undeclared):
            parts.append(
                Text(
                    f"{UNMAPPED} is a member of a bus without an agency: name it in the register's members.csv (docs/register.md)",
                    "yellow",
                )
            )
    else:
        parts.append(Text("All between agencies with a link in the register."))
    parts.append(Text(f"Links with findings from exchanges: {len(links):,}"))
    if links:
        parts.append(_links(links, names, zone))
    return Group(*parts, *_missing_history(traffic))


def _window(message: reconciliation_pb2.Traffic | reconciliation_pb2.Reconciliation, zone: tzinfo) -> str:
    return f"the {window(message.window_days, message.as_of, zone)}"


def _missing_history(traffic: reconciliation_pb2.Traffic) -> Iterator[Text]:
    """Yield sentences on findings that need more days of exchanges."""
    missing = [f"{days} to {what}" for what, days in NEEDED_DAYS.items() if traffic.read_days < days]
    if missing:
        yield Text(
            f"Known so far: {_length(traffic.read_days)} of exchanges, too little history for some findings. "
            f"Days it takes: {', '.join(missing)}.",
            "yellow",
        )
    if traffic.unseen_share > CHANCE:
        yield Text(
            f"Of the links in use an estimated {unknown_percent(1 - traffic.unseen_share)} happened not to be used in the window: "
            f"those never seen are called silent once that is {stated_percent(CHANCE)} or less.",
            "yellow",
        )


def _length(days: float) -> str:
    """Return a number of days, or of hours below two days, at least one."""
    hours = max(1, ceil(24 * days))
    return f"{days:.1f} days" if hours >= 48 else f"up to {plural(hours, 'hour')}"


def reconciliation_lines(link: reconciliation_pb2.Reconciliation, zone: tzinfo) -> Iterator[Text]:
    """Yield sentences about the exchanges of one link, with times in ``zone``."""
    span = _window(link, zone)
    last = f"; last one between {_hour(link.last_hour, zone)}" if link.HasField("last_hour") else ""
    if link.silent:
        yield Text(f"Nothing was exchanged on it in {span}, although it was live all the time{last}.", "yellow")
        return
    trend = f", {100 * link.volume.trend:+z.1f} % a week" if link.volume.HasField("trend") else ""
    where = "on the X-Road service that it shares with other links" if link.shared else "on it"
    yield Text(f"{link.exchanges:,} exchanges {where} in {span}{trend}{last}.")
    if link.HasField("difference"):
        verdict = "They disagree beyond chance" if link.disagrees else "No more apart than by chance"
        yield Text(
            f"Of {link.compared:,} in hours with probes {_estimate(link.logs)} succeeded as logged, "
            f"{_estimate(link.probes)} as probed. {verdict}: {_difference(link.difference)}.",
            "red" if link.disagrees else "",
        )
    else:
        yield Text("Too few days with exchanges and probes to hold one against the other.", "dim")
    if link.volume.unusual:
        yield Text(
            f"Unusual volume: {link.volume.recent:,} in the last six whole hours{_expected(link.volume)}.", "yellow"
        )


def _expected(volume: reconciliation_pb2.Volume) -> str:
    """Return the expected number of exchanges, nothing before three weeks: a finding may come sooner."""
    return f", {volume.expected:,.0f} expected" if volume.HasField("expected") else ""


def _undeclared(traffic: reconciliation_pb2.Traffic, names: Mapping[str, str]) -> Table:
    table = new_table(None, text("consumer → provider"), number("exchanges"), number("ok"))
    for pair in traffic.undeclared[:_MAX_ROWS]:
        parties = Wrapped(f"{pair.consumer} → {pair.provider}", named_pair(names, pair.consumer, pair.provider))
        table.add_row(parties, f"{pair.exchanges:,}", f"{pair.ok:,}")
    if traffic.undeclared_pairs > _MAX_ROWS:
        table.add_row(f"and {traffic.undeclared_pairs - _MAX_ROWS:,} more", "", "")
    return table


def _links(links: Sequence[indicator_service_pb2.LinkStatus], names: Mapping[str, str], zone: tzinfo) -> Table:
    """Return a row per link: exchanges are those of the window, the last may lie before it."""
    columns = (number("exchanges"), Column("last one\nbetween"), text("what", ratio=1))
    table = new_table(None, text("link, and who needs what of whom"), *columns)
    for status in links:
        link = status.reconciliation
        findings = [
            *(["silent: live all the time, and not used in the logs read"] if link.silent else ()),
            *([f"logs {_estimate(link.logs)}, probes {_estimate(link.probes)}"] if link.disagrees else ()),
            *([f"unusual: {link.volume.recent:,} lately{_expected(link.volume)}"] if link.volume.unusual else ()),
        ]
        last = _hour(link.last_hour, zone) if link.HasField("last_hour") else ""
        count = f"{link.exchanges:,}{' shared' if link.shared else ''}"
        consumer, provider = (names.get(agency) or agency for agency in (status.link.consumer, status.link.provider))
        needs = f"{consumer} needs {status.link.data_item} of {provider}"
        table.add_row(Wrapped(status.link.id, needs), count, last, "\n".join(findings))
    return table


def _hour(start: Timestamp, zone: tzinfo) -> str:
    """Return the start and end of an hour of UTC, which in ``zone`` may run from half past to half past."""
    first, last = (datetime.fromtimestamp(start.seconds + after, zone) for after in (0, 3600))
    return f"{first:%Y-%m-%d %H:%M} and {last:%H:%M}"


def _estimate(share: reconciliation_pb2.Estimate) -> str:
    return f"{percent(share.value)} ({100 * share.low:.1f}-{100 * share.high:.1f})"


def _difference(share: reconciliation_pb2.Estimate) -> str:
    return f"{100 * share.value:+z.1f} pp ({100 * share.low:+z.1f} to {100 * share.high:+z.1f})"
