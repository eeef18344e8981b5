"""How tables are drawn for a person, the same by every command."""

from __future__ import annotations

from rich import box
from rich.table import Table

__all__ = ["new_table"]


def new_table(title: str | None = None, *, gap: int = 2, footer: bool = False) -> Table:
    """Return a table without lines between columns, ``gap`` apart, so that ids and numbers fit beside each other in 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
        show_footer=footer,
    )
