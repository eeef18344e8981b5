"""Declares ``peyvand score``, the index from measurements in files, and ``peyvand dump``, the streams as such files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.commands.options import LONGEST_WINDOW, Credentials, Nats
from services.core.errors import SettingsError


def score(
    *,
    register: Annotated[Path | None, typer.Option(help="register directory that counts", metavar="DIR")] = None,
    measurements: Annotated[
        list[Path] | None, typer.Option(help="measurements as JSON lines; may be repeated", metavar="FILE")
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="a dataset in place of the files, by its own register", metavar="ADDRESS")
    ] = None,
    exchanges: Annotated[
        list[Path] | None, typer.Option(help="exchange summaries as JSON lines; may be repeated", metavar="FILE")
    ] = None,
    files: Annotated[list[Path] | None, typer.Argument(help="more files of measurements", metavar="FILE…")] = None,
    window: Annotated[
        int | None, typer.Option(min=1, max=LONGEST_WINDOW, help="days; the policy's default when left out")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="count whole slots that end by then; else all measured", metavar="TIME")
    ] = None,
    sequence: Annotated[
        int | None, typer.Option(min=0, help="of a dump, count messages up to this evidence_sequence", metavar="N")
    ] = None,
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="how far choices of method move the ranks of agencies, with rank bands"),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="count the measurements of a dataset, not its days as they were sealed")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="compare with what a dataset says was published; fail if anything differs")
    ] = False,
    method: Annotated[
        str, typer.Option(help="the method to compute by, where a dataset was published by another", metavar="VERSION")
    ] = "",
    engine: Annotated[
        str, typer.Option(help="where days of a dataset are counted", metavar="local|dask://HOST:PORT")
    ] = "local",
    structure: Annotated[bool, typer.Option("--structure", help="how the agencies hang together, instead")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="one Indicator (or Structure) a line, as JSON; all windows of the policy")
    ] = False,
) -> None:
    """Score measurements offline, as auditors do.

    They come from files, or from the dataset of an archive. Files with anything wrong in them are refused whole. Of dumped measurements those count that the scorer took in.
    With the register, as_of (--at) and evidence_sequence (--sequence) of a published Indicator, all of its numbers come
    out the same to the last bit.

    With --sensitivity: ranks and rank bands of all agencies in one window, and what moves them. --json then gives that
    window's Indicators, with rank_band set, and after them one line with the Sensitivity.
    """
    from services.cli.offline_scores import Question, Rescoring, score_dataset, score_files

    if structure and sensitivity:
        raise SettingsError("--structure and --sensitivity are two answers: ask for one at a time")
    question = Question(window, structure, sensitivity, as_json)
    given = [*(measurements or []), *(files or [])]
    if archive is not None:
        if given or exchanges:
            raise SettingsError("--archive and files of evidence are two sources: name one of them")
        rescoring = Rescoring(method, engine, again=again, compare=compare)
        score_dataset(archive, register, question, rescoring, at=at or "", sequence=sequence)
        return
    if register is None or not given:
        raise SettingsError(
            "name the evidence: --register and --measurements, or the dataset of an archive with --archive"
        )
    if again or compare or method or engine != "local":
        raise SettingsError("--again, --compare, --method and --engine are about a dataset: name it with --archive")
    score_files(register, given, exchanges or [], question, at=at or "", sequence=sequence)


def dump(
    *,
    what: Annotated[str, typer.Argument(help="measurements or exchanges", metavar="measurements|exchanges")],
    since: Annotated[
        str | None, typer.Option("--from", help="only slots that start then or later", metavar="TIME")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="only slots that start before then", metavar="TIME")] = None,
    nats: Nats = "",
    credentials: Credentials = "",
) -> None:
    """Print a stream as JSON lines, for `peyvand score`.

    It begins with the first message and ends with what is the last now.
    """
    import asyncio

    from services.cli.connections import bus_settings
    from services.cli.evidence_files import print_stream

    asyncio.run(print_stream(what, bus_settings(nats, credentials), since=since or "", until=until or ""))
