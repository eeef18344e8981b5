"""Renders registers for ``peyvand register``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil

from rich.console import RenderableType
from rich.text import Text

from services.cli.render.format import known_percent, new_table, number, stated_percent, text, word
from services.core.codec import RegisterPublication
from services.core.days import utc_minute
from services.core.model import Register
from services.core.texts import plural
from services.indicator.calendar import Calendar
from services.indicator.unmeasured import known_share_at_most, unmeasured_links

_SOON_SECONDS = 600.0
"""How far ahead an epoch is no mistake: with one set to now, or to the next slot, something is shown soon."""

_NAMED = 5
"""How many links a note names."""


def register_summary(register: Register) -> str:
    """Return what a register lists, and its two versions on lines of their own."""
    absent = sum(link.absent for link in register.links.values())
    sectors = plural(len({agency.sector for agency in register.agencies.values()}), "sector")
    rounds = () if register.evaluation is None else (plural(len(register.evaluation.rounds), "official round"),)
    counts = (
        f"{plural(len(register.agencies), 'agency', 'agencies')} in {sectors}",
        plural(len(register.services), "service"),
        f"{plural(len(register.links), 'link')} ({absent} absent)",
        plural(len(register.endpoints), "endpoint"),
        plural(len(register.probes), "probe"),
        plural(len(register.policy.vantages), "vantage"),
        *rounds,
    )
    versions = f"register_version {register.register_version}\nprobe_version    {register.probe_version}"
    return f"{', '.join(counts)}\n{versions}"


def epoch_note(register: Register, now: float) -> str:
    """Return the warning that nothing counts yet, or an empty string; ``now`` in epoch seconds."""
    epoch = Calendar.of(register.policy).epoch
    if epoch <= now + _SOON_SECONDS:
        return ""
    days = plural(ceil((epoch - now) / 86400), "day")
    return (
        f"nothing counts and nothing is shown before the epoch, {utc_minute(epoch)}, less than {days} from "
        "now: set an earlier one in policy.yaml if that is not meant"
    )


def evidence_note(new: Register, old: Register, held_from: float) -> str:
    """Return the warning that the bus lacks measurements that ``new`` counts by another calendar than ``old``, or "".

    The bus holds those since ``held_from``, in epoch seconds.
    """
    epoch = Calendar.of(new.policy).epoch
    if Calendar.of(new.policy) == Calendar.of(old.policy) or epoch >= held_from:
        return ""
    return (
        f"the bus no longer holds all measurements since the epoch, {utc_minute(epoch)}, so a scorer without the setting archive "
        f"ends: set an epoch after {utc_minute(held_from)} if that is not meant"
    )


def unmeasured_note(new: Register, old: Register, now: float) -> str:
    """Return a note on what becomes unknown with ``new`` since ``old`` did not require it, or an empty string.

    ``now`` is in epoch seconds.
    """
    if Calendar.of(new.policy) != Calendar.of(old.policy):
        return ""  # the index starts again
    names = unmeasured_links(new, old, now=now)
    days, threshold = new.policy.default_window, new.policy.publish_threshold
    share = known_share_at_most(new, old, window=days, now=now)
    if not names or share == 1:
        return ""
    below = f", and below {stated_percent(threshold)} no point is published" if share < threshold else ""
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    return (
        f"{plural(len(names), 'link')} would count from days on which nobody measured: {shown}. Of the last {plural(days, 'day')} at most "
        f"{known_percent(share)} would be known{below}. Set required_from to the day from which on a link is to count"
    )


def publication_table(publications: Sequence[RegisterPublication]) -> RenderableType:
    """Return the registers that were put in force, the newest first."""
    table = new_table(
        None, word("in force from, UTC"), word("register"), word("probes"), number("links"), text("by"), text("why")
    )
    for entry in publications:
        moment = f"{datetime.fromtimestamp(entry.published, UTC):%Y-%m-%d %H:%M:%S}"
        versions = entry.register_version[:8], entry.probe_version[:8]
        table.add_row(moment, *versions, f"{entry.links:,}", Text(entry.by or "-"), Text(entry.why or "-"))
    return table if publications else Text("no register was published")
