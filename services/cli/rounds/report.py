"""Makes the PDF report of a round in Persian and English: the same numbers give the same bytes (docs/rounds.md §3)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import yaml

from services.cli.rounds.compare import Moves
from services.cli.rounds.derived import RoundNumbers
from services.cli.rounds.tools import FONTS
from services.console.texts import Texts, texts_of, write_markdown
from services.core.errors import SettingsError
from services.core.model import LOSS_STAGES, Indicator, IndicatorKind, in_language
from services.dataset.rounds import FrozenRound
from services.register.rounds import INTEGRATION

LANGUAGES: Final = ("en", "fa")
REPORTS: Final = tuple(f"report.{code}.pdf" for code in LANGUAGES)
"""The names of the reports of a round."""
_DASH: Final = "\N{EN DASH}"
_ISOLATE, _END_ISOLATE = "\N{LEFT-TO-RIGHT ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_RIGHT_TO_LEFT: Final = "\N{RIGHT-TO-LEFT MARK}"
"""Keeps text between two names in Latin letters in the order of a Persian line."""
_TEMPLATES: Final = Path(__file__).parent / "templates"


def report_files(frozen: FrozenRound, numbers: RoundNumbers, moves: Moves | None) -> dict[str, bytes]:
    """Return the reports by their names. Raises SettingsError where they cannot be made."""
    import typst  # noqa: PLC0415  # it takes long to load

    files = {}
    for name, code in zip(REPORTS, LANGUAGES, strict=True):
        texts = texts_of(code, ZoneInfo(frozen.timezone))
        with tempfile.TemporaryDirectory(prefix="peyvand-report-") as folder:
            root = Path(folder)
            (root / "data.json").write_bytes(orjson.dumps(_data(texts, frozen, numbers, moves)))
            (root / "report.typ").write_bytes((_TEMPLATES / "report.typ").read_bytes())
            try:
                files[name] = typst.compile(
                    root / "report.typ",
                    root=root,
                    font_paths=[FONTS],
                    ignore_system_fonts=True,
                    pdf_standards=["ua-1"],
                    timestamp=frozen.as_of,
                )
            except RuntimeError as error:
                raise SettingsError(f"the report cannot be set: {str(error).splitlines()[0]}") from error
    return files


@cache
def _say(code: str) -> dict[str, str]:
    """Return the texts of a report in one language."""
    found: dict[str, str] = yaml.safe_load((_TEMPLATES / f"{code}.yaml").read_text("utf-8"))
    return found


def _data(texts: Texts, frozen: FrozenRound, numbers: RoundNumbers, moves: Moves | None) -> dict[str, Any]:
    """Return everything that the report says, in words, with shares as numbers where they are drawn."""
    code, government, structure, register = texts.language.code, numbers.government, numbers.structure, numbers.register
    say = _say(code)
    names = _Names(numbers, code)
    percent = partial(_percent, texts)

    answer = say["answer"] if government.point is not None else say["answer_bounds"]
    values = {"lower": texts.plain_of_hundred(government.lower), "upper": texts.plain_of_hundred(government.upper)}
    if government.point is not None:
        values["point"] = texts.plain_of_hundred(government.point)
    rounds = register.evaluation.rounds if register.evaluation else ()
    official = rounds[-1].dimension_percent.get(INTEGRATION) if rounds else None
    bars = [
        {
            "name": say["official"].format(round=texts.digits(rounds[-1].round))
            if official is not None
            else say["no_official"],
            "share": None if official is None else official / 100,
            "text": "" if official is None else percent(official / 100),
        },
        {"name": say["declared"], "share": structure.declared, "text": percent(structure.declared)},
        {
            "name": say["measured"],
            "share": government.lower if government.point is None else government.point,
            "upper": government.upper,
            "text": _range(texts, percent(government.lower), percent(government.upper))
            if government.point is None
            else percent(government.point),
        },
    ]
    return {
        "code": code,
        "say": say,
        "title": frozen.title_fa if code == "fa" else frozen.title_en,
        "government": names.government,
        "period": say["period" if frozen.window_days > 1 else "period_one"].format(days=texts.digits(frozen.window_days), end=texts.plain_moment(frozen.as_of)),
        "provisional": frozen.provisional,
        "corrects": say["corrects"].format(round=frozen.corrects, why=frozen.why) if frozen.corrects else "",
        "answer": answer.format(**values),
        "figure": values.get("point", _range(texts, values["lower"], values["upper"])),
        "known": say["known"].format(known=_known(texts, government.known_share)),
        "interval": _interval(texts, government),
        "bars": bars,
        "losses": list(_losses(texts, numbers)),
        "gains": list(_gains(texts, numbers, names)),
        "sectors": [_row(texts, names.sector(row.id), row, "") for row in numbers.rows(IndicatorKind.SECTOR)],
        "consumers": list(_agencies(texts, numbers, names, IndicatorKind.CONSUMER)),
        "providers": list(_agencies(texts, numbers, names, IndicatorKind.PROVIDER)),
        "structure": list(_structure(texts, numbers, names)),
        "changes": _changes(texts, names, moves),
        "unseen": say["unseen_note"].format(
            required=texts.plain_number(government.links_required),
            known=texts.plain_number(government.links_known),
            absent=texts.plain_number(government.links_absent),
        ),
        "objections": [
            {"name": names.link(one.link), "text": names.plain(one, "text"), "answer": names.plain(one, "answer")}
            for one in register.objections
        ],
        "announcements": [
            {"name": names.plain(one, "title"), "text": names.plain(one, "text")} for one in register.announcements
        ],
        "method": say["method_text"].format(
            method=texts.digits(frozen.method_version),
            software=frozen.software,
            register=frozen.register_version[:12],
            sequence=texts.plain_number(frozen.evidence_sequence),
        ),
        "command": f"peyvand round verify {frozen.id}",
        "key": frozen.key,
    }  # fmt: skip


def _percent(texts: Texts, share: float, decimals: int = 1) -> str:
    """Return a share in percent, with its sign on the same side of it in a Persian line as in a column."""
    return _isolated(texts, texts.plain_percent(share, decimals))


def _known(texts: Texts, share: float) -> str:
    return _isolated(texts, texts.plain_known(share))


def _isolated(texts: Texts, percent: str) -> str:
    return f"{_ISOLATE}{percent}{_END_ISOLATE}" if texts.language.code == "fa" else percent


def _range(texts: Texts, low: str, high: str) -> str:
    return low if low == high else _say(texts.language.code)["range"].format(low=low, high=high)


class _Names:
    """The names of entities in one language."""

    def __init__(self, numbers: RoundNumbers, code: str) -> None:
        self._register = numbers.register
        self._code = code
        government = self._register.policy.government
        self.government = self._of(government)

    def of(self, kind: IndicatorKind, name: str) -> str:
        if kind is IndicatorKind.GOVERNMENT:
            return self.government
        return self.sector(name) if kind is IndicatorKind.SECTOR else self.agency(name)

    def agency(self, name: str) -> str:
        return self._of(self._register.agencies[name]) if name in self._register.agencies else name

    def sector(self, name: str) -> str:
        return texts_of(self._code).word("sector", name)

    def link(self, name: str) -> str:
        link = self._register.links.get(name)
        if link is None:
            return name
        consumer = self._register.services[link.service].agency
        arrow = f"{_RIGHT_TO_LEFT}←{_RIGHT_TO_LEFT}" if self._code == "fa" else "→"
        return f"{self.agency(consumer)} {arrow} {self.agency(link.provider)}"

    def plain(self, one: object, what: str) -> str:
        """Return a text of an announcement or an objection, without the marks of Markdown."""
        return write_markdown(getattr(one, f"{what}_{self._code}")).striptags()

    def _of(self, one: Any) -> str:
        return in_language(self._code, one.name_en, one.name_fa) or str(one.id)


def _row(texts: Texts, name: str, row: Indicator, ranks: str) -> dict[str, Any]:
    percent = partial(_percent, texts)
    return {
        "name": name,
        "point": row.point,
        "lower": row.lower,
        "upper": row.upper,
        "low": row.interval.low if row.interval else None,
        "high": row.interval.high if row.interval else None,
        "texts": [
            _DASH if row.point is None else percent(row.point),
            _range(texts, percent(row.lower), percent(row.upper)),
            _known(texts, row.known_share),
            ranks,
        ],
    }


def _agencies(texts: Texts, numbers: RoundNumbers, names: _Names, kind: IndicatorKind) -> Iterator[dict[str, Any]]:
    """Yield the agencies in one role, the highest lower bound first, as ranks go: nobody gains by not being seen."""
    bands = next((ranking.bands for ranking in numbers.rankings if ranking.kind is kind), {})
    for row in sorted(numbers.rows(kind), key=lambda row: (-row.lower, row.id)):
        band = bands.get(row.id) or row.rank_band
        ranks = _DASH if band is None else _range(texts, texts.plain_number(band.low), texts.plain_number(band.high))
        yield _row(texts, names.agency(row.id), row, ranks)


def _interval(texts: Texts, row: Indicator) -> str:
    """Return the interval in a sentence, with a remark if it rests on too few outages (docs/method.md §6.12)."""
    interval = row.interval
    if interval is None:
        return ""
    low, high = map(texts.plain_of_hundred, (interval.low, interval.high))
    said = _say(texts.language.code)["interval"].format(low=low, high=high, level=_percent(texts, interval.level, 0))
    remark = "The interval rests on fewer than two outages: how low it reaches is mostly assumed."
    return f"{said} {texts.message(remark)}" if interval.assumed else said


def _losses(texts: Texts, numbers: RoundNumbers) -> Iterator[dict[str, Any]]:
    """Yield what is lost at each stage; nothing where that is not known, which is not the same as no loss."""
    if numbers.explanation is None or numbers.explanation.estimate is None:
        return
    for stage in LOSS_STAGES:
        share = getattr(numbers.government.losses, stage)
        yield {"name": texts.word("stage", stage), "share": share, "text": texts.plain_of_hundred(share)}


def _gains(texts: Texts, numbers: RoundNumbers, names: _Names) -> Iterator[dict[str, str]]:
    for one in numbers.gains:
        yield {
            "link": one.link,
            "name": names.link(one.link),
            "gain": str(texts.points(one.gain).striptags()),
            "fixed": texts.plain_of_hundred(one.index_if_fixed),
        }


def _structure(texts: Texts, numbers: RoundNumbers, names: _Names) -> Iterator[str]:
    structure, say, number = numbers.structure, _say(texts.language.code), texts.plain_number
    yield say["pairs"].format(
        required=number(structure.pairs_required),
        working=number(structure.pairs_working),
        absent=number(structure.pairs_absent),
        unknown=number(structure.pairs_unknown),
    )
    yield say["islands"].format(
        count=number(len(structure.islands)), largest=number(max(map(len, structure.islands), default=0))
    )
    isolates = [names.agency(name) for name in structure.isolates]
    yield say["isolates"].format(names=str(texts.message(", ").join(isolates))) if isolates else say["no_isolates"]
    if structure.resilience is not None:
        said = say["resilience" if structure.weakest else "resilience_bus"]  # no agency weighs more than the bus
        yield said.format(weakest=names.agency(structure.weakest), share=_percent(texts, structure.resilience))


def _changes(texts: Texts, names: _Names, moves: Moves | None) -> Mapping[str, Any] | None:
    if moves is None:
        return None
    say, percent = _say(texts.language.code), partial(_percent, texts)
    rows = [
        {"name": names.of(move.kind, move.id), "before": percent(move.before), "now": percent(move.now)}
        for move in moves.beyond_chance
    ]
    pairs = (("unlike_methods", moves.methods), ("unlike_windows", moves.windows))
    unlike = [say[key].format(before=texts.digits(pair[0]), now=texts.digits(pair[1])) for key, pair in pairs if pair]
    return {"title": say["changes"].format(round=moves.previous), "rows": rows, "unlike": " ".join(unlike)}
