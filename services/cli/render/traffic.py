"""What ``peyvand exchange`` and ``peyvand explain link`` show of exchanges beside probes. Pure: messages in, renderables out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from peyvand.v1 import indicator_service_pb2, reconciliation_pb2
from services.cli.render.format import percent, window
from services.cli.render.tables import new_table
from services.indicator.exchanges import AGREEMENT_DAYS, CHANCE, SILENCE_DAYS, VOLUME_WEEKS

__all__ = ["told", "traffic_tables"]

_SHOWN = 20

NEEDED_DAYS = {
    "hold links against their probes": round(AGREEMENT_DAYS),
    "call one silent": SILENCE_DAYS,
    "call its volume unusual": 7 * VOLUME_WEEKS,
}
"""What exchanges may say of links, and how many days of them that takes."""


def traffic_tables(
    traffic: reconciliation_pb2.Traffic, found: Iterable[indicator_service_pb2.LinkStatus], zone: tzinfo
) -> Group:
    """Return what went over which bus, what nobody declared, and every link of which exchanges say something.

    Times are in ``zone``, the policy's timezone.
    """
    span = _window(traffic, zone)
    if not traffic.exchanges:
        return Group(Text(f"no exchange was logged in {span}: a collector reads the data bus's logs"))
    buses = ", ".join(f"{one.bus} {one.exchanges:,} ({percent(one.share)})" for one in traffic.buses)
    parts: list[RenderableType] = [Text.assemble((f"{traffic.exchanges:,} exchanges in {span}", "bold"), f": {buses}")]
    if traffic.undeclared_pairs:
        share = percent(traffic.undeclared_exchanges / traffic.exchanges)
        parts += [
            Text(
                f"Undeclared: {traffic.undeclared_exchanges:,} of them ({share}), between pairs of agencies without a link "
                f"in the register; such pairs: {traffic.undeclared_pairs:,}"
            ),
            _undeclared(traffic),
        ]
    else:
        parts.append(Text("All between agencies with a link in the register."))
    links = list(found)
    parts += [
        Text(f"Links of which exchanges say something: {len(links):,}"),
        *([_links(links, zone)] if links else ()),
    ]
    return Group(*parts, *_not_yet(traffic))


def _window(one: reconciliation_pb2.Traffic | reconciliation_pb2.Reconciliation, zone: tzinfo) -> str:
    """Say which window; a scorer of before that was kept does not say its end."""
    if not one.HasField("as_of"):
        return f"the last {one.window_days} days"
    return f"the {window(one.window_days, one.as_of, zone)}"


def _not_yet(traffic: reconciliation_pb2.Traffic) -> Iterator[Text]:
    """Yield what cannot be said yet, and what it takes."""
    missing = [f"{days} to {what}" for what, days in NEEDED_DAYS.items() if traffic.read_days < days]
    if missing:
        yield Text(
            f"Known so far: {_length(traffic.read_days)} of exchanges, too little history for some findings. "
            f"Days it takes: {', '.join(missing)}.",
            "yellow",
        )
    if traffic.unseen_share > CHANCE:
        yield Text(
            f"Of the links in use an estimated {percent(traffic.unseen_share)} happened not to be used in the window: "
            f"those never seen are called silent once that is {percent(CHANCE)} or less.",
            "yellow",
        )


def _length(days: float) -> str:
    """Say how long that is; an hour counts as soon as it has begun."""
    hours = max(1, round(24 * days))
    return f"{days:.1f} days" if hours >= 48 else f"up to {hours} hour{'s' if hours > 1 else ''}"


def told(one: reconciliation_pb2.Reconciliation, zone: tzinfo) -> Iterator[RenderableType]:
    """Yield in sentences what exchanges say of one link, with times in ``zone``."""
    span = _window(one, zone)
    last = f"; last one between {_hour(one.last_hour, zone)}" if one.HasField("last_hour") else ""
    if one.silent:
        yield Text(f"Nothing was exchanged on it in {span}, although it was live all the time{last}.", "yellow")
        return
    whose = "on the X-Road service that it shares with other links" if one.shared else "on it"
    yield Text(f"{one.exchanges:,} exchanges {whose} in {span}{_trend(one)}{last}.")
    if one.HasField("difference"):
        verdict = "They disagree beyond chance" if one.disagrees else "No more apart than by chance"
        yield Text(
            f"Of {one.compared:,} in hours with probes {_estimate(one.logs)} succeeded as logged, "
            f"{_estimate(one.probes)} as probes say. {verdict}: {_difference(one.difference)}.",
            "red" if one.disagrees else "",
        )
    else:
        yield Text("Too few days with exchanges and probes to hold one against the other.", "dim")
    if one.volume.unusual:
        yield Text(
            f"Unusual volume: {one.volume.recent:,} in the last six whole hours, {one.volume.expected:,.0f} expected.",
            "yellow",
        )


def _undeclared(traffic: reconciliation_pb2.Traffic) -> Table:
    table = new_table()
    table.add_column("consumer → provider", overflow="fold")
    for heading in ("exchanges", "ok"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in traffic.undeclared[:_SHOWN]:
        table.add_row(Text(f"{one.consumer} → {one.provider}"), f"{one.exchanges:,}", f"{one.ok:,}")
    if traffic.undeclared_pairs > _SHOWN:
        table.add_row(f"and {traffic.undeclared_pairs - _SHOWN:,} more", "", "")
    return table


def _links(found: list[indicator_service_pb2.LinkStatus], zone: tzinfo) -> Table:
    """Return a row per link: exchanges are those of the window, the last may lie before it."""
    table = new_table()
    table.add_column("link", overflow="fold")
    table.add_column("exchanges", justify="right", no_wrap=True)
    table.add_column("last one\nbetween")
    table.add_column("what", overflow="fold", ratio=1)
    for status in found:
        one = status.reconciliation
        words = [
            *(["silent: live all the time, and not used in the logs read"] if one.silent else ()),
            *([f"logs {_estimate(one.logs)}, probes {_estimate(one.probes)}"] if one.disagrees else ()),
            *([f"{one.volume.recent:,} lately, {one.volume.expected:,.0f} expected"] if one.volume.unusual else ()),
        ]
        last = _hour(one.last_hour, zone) if one.HasField("last_hour") else ""
        table.add_row(status.link.id, f"{one.exchanges:,}{' shared' if one.shared else ''}", last, "\n".join(words))
    return table


def _hour(start: Timestamp, zone: tzinfo) -> str:
    """Say between when and when an hour lies: one of UTC, which in ``zone`` may go from half past to half past."""
    first, last = (datetime.fromtimestamp(start.seconds + after, zone) for after in (0, 3600))
    return f"{first:%Y-%m-%d %H:%M} and {last:%H:%M}"


def _estimate(one: reconciliation_pb2.Estimate) -> str:
    return f"{percent(one.value)} ({100 * one.low:.1f}-{100 * one.high:.1f})"


def _difference(one: reconciliation_pb2.Estimate) -> str:
    return f"{100 * one.value:+.1f} pp ({100 * one.low:+.1f} to {100 * one.high:+.1f})"


def _trend(one: reconciliation_pb2.Reconciliation) -> str:
    return f", {100 * one.volume.trend:+.1f} % a week" if one.volume.HasField("trend") else ""
