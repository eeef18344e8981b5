"""Declares ``peyvand finding``, which records whether a finding was right; `peyvand findings` lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import check_lines, command_group

app = command_group("Record whether a finding about exchanges was right.")

FindingId = Annotated[
    str, typer.Argument(metavar="ID", help="Id of the finding, as `peyvand findings` shows it.", show_default=False)
]
Note = Annotated[str, typer.Option(help="Reason, in one line; readers of the finding see it.", show_default=False)]
Directory = Annotated[Path, typer.Option("--register", metavar="DIR", help="The register directory.")]


@app.command()
def confirm(finding: FindingId, *, note: Note, register: Directory) -> None:
    """Record that a finding was right.

    The review is written to the register's reviews.csv. Publish the register so that readers see it.
    """
    _put("confirmed", finding, note, register)


@app.command()
def dismiss(finding: FindingId, *, note: Note, register: Directory) -> None:
    """Record that nothing was wrong, or that it was intended.

    The review is written to the register's reviews.csv. Publish the register so that readers see it.
    """
    _put("dismissed", finding, note, register)


def _put(state: str, finding: str, note: str, register: Path) -> None:
    from services.core.errors import SettingsError
    from services.core.model import FindingReview, Review
    from services.register.directory import load_register, put_review, read_finding_id

    check_lines({"--note": note})
    if not note.strip():
        raise SettingsError("--note is empty: say why, in one line")
    try:
        known = read_finding_id(finding)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    load_register(register)  # a wrong folder, or a register with faults, is left as it is
    put_review(register, FindingReview(known, Review(state), note.strip()))
    typer.echo(
        f"finding {known} is {state} in {register / 'reviews.csv'}: publish it with `peyvand register publish {register}`"
    )
