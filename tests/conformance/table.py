"""The verdicts of both probers side by side, as lines of text. Not a test itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.conformance.case import NOT_ASKED, Case

__all__ = ["OURS", "THEIRS", "table", "verdicts"]

OURS, THEIRS = "conformance-ours", "conformance-theirs"
"""The properties that tests record: (case, verdict, explanation)."""

_HEADS = ("no", "case", "peyvand", "blackbox", "same, or why not")
_SAME, _DIFFERS, _UNEXPECTED = "same", "differs: ", "NOT AS EXPECTED"


def verdicts(properties: Iterable[Sequence[tuple[str, object]]]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what tests have recorded: (property, case) → (verdict, reason)."""
    return {
        (name, value[0]): (value[1], value[2])
        for one in properties
        for name, value in one
        if name in {OURS, THEIRS} and isinstance(value, list | tuple)
    }


def table(cases: Iterable[Case], seen: Mapping[tuple[str, str], tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each case that was put to either prober, by number; then the counts of equal and other cases."""
    rows = [_row(case, seen) for case in sorted(cases, key=lambda case: case.number)]
    rows = [row for row in rows if row[2] or row[3]]
    widths = [max(len(row[column]) for row in (_HEADS, *rows)) for column in range(len(_HEADS) - 1)]
    for row in (_HEADS, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join((*cells, row[-1])).rstrip()
    same = sum(row[-1] == _SAME for row in rows)
    differing = sum(row[-1].startswith(_DIFFERS) for row in rows)
    yield f"{len(rows)} cases: {same} the same, {differing} different on purpose, {len(rows) - same - differing} neither"


def _row(case: Case, seen: Mapping[tuple[str, str], tuple[str, str]]) -> tuple[str, ...]:
    ours, reason = seen.get((OURS, case.id), ("", ""))
    theirs, _ = seen.get((THEIRS, case.id), (case.theirs.value if ours and case.theirs is NOT_ASKED else "", ""))
    return (str(case.number), case.name, f"{ours} {reason}".strip(), theirs, _compared(case, ours, theirs))


def _compared(case: Case, ours: str, theirs: str) -> str:
    if not ours or not theirs:
        return ""
    if (ours, theirs) != (case.ours.value, case.theirs.value):
        return _UNEXPECTED
    return f"{_DIFFERS}{case.differs}" if case.differs else _SAME
