"""What ``peyvand register`` prints of a register."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.text import Text

from services.cli.render.format import new_table, number, text, word
from services.core.codec import RegisterPublication
from services.core.model import Register
from services.core.plural import plural


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
