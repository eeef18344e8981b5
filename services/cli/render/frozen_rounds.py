"""Renders rounds for ``peyvand round list`` and ``peyvand round compare``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from services.cli.render.format import percent
from services.cli.rounds.compare import Moves
from services.core.texts import plural
from services.dataset.rounds import FrozenRound


def rounds_table(rounds: Iterable[FrozenRound]) -> Table:
    """Return the rounds, oldest first, with what each replaces."""
    table = Table("round", "title", "days", "up to", "register", "method", "", box=None, pad_edge=False)
    for one in sorted(rounds, key=lambda one: (one.as_of, one.id)):
        remark = "provisional" if one.provisional else f"corrects {one.corrects}" if one.corrects else ""
        cells = (
            one.id,
            one.title_en,
            str(one.window_days),
            written_end(one),
            one.register_version[:12],
            one.method_version,
            remark,
        )
        table.add_row(*map(Text, cells))
    return table


def written_end(one: FrozenRound) -> str:
    """Return the moment up to which a round counts, in its timezone."""
    return datetime.fromtimestamp(one.as_of, ZoneInfo(one.timezone)).strftime("%Y-%m-%d %H:%M")


def moves_table(before: FrozenRound, now: FrozenRound, moves: Moves, register_changes: Sequence[str]) -> Group:
    """Return what changed between two rounds, behaviour apart from the register."""
    table = Table("", "", Column("before", justify="right"), Column("now", justify="right"), box=None, pad_edge=False)
    for move in moves.beyond_chance:
        table.add_row(move.kind.label, Text(move.id), percent(move.before), percent(move.now))
    parts: list[Text | Table] = [Text(f"{now.id} beside {before.id}")]
    if moves.methods:
        parts.append(Text("They are of methods {} and {}: their indexes are not compared.".format(*moves.methods)))
    if moves.windows:
        parts.append(Text("They are of {} and {} days: their indexes are not compared.".format(*moves.windows)))
    if moves.beyond_chance:
        parts += [Text("Changed beyond chance: the intervals do not meet."), table]
    elif moves.are_compared:
        parts.append(Text("No index changed beyond chance."))
    if moves.bands:
        parts.append(
            Text("In another band of ranks: " + ", ".join(f"{kind.label} {name}" for kind, name in moves.bands))
        )
    parts.append(Text("The register changed:" if register_changes else "The register is the same."))
    parts += [Text(f"  {line}") for line in register_changes]
    for what, names in (("no more", moves.only_before), ("new", moves.only_now)):
        if names:
            listed = ", ".join(f"{kind.label} {name}" for kind, name in names[:10])
            parts.append(Text(f"{plural(len(names), 'index', 'indexes')} {what}: {listed}{' …' * (len(names) > 10)}"))
    return Group(*parts)
