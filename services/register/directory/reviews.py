"""Reads and writes reviews.csv, the reviews that people gave of findings about exchanges.

It is read with the register, and written by `peyvand finding`.
"""

from __future__ import annotations

import re
from pathlib import Path

from services.core.errors import InputError, StateError
from services.core.files import replace
from services.core.model import FindingReview, Review
from services.core.spreadsheets import csv_text
from services.core.texts import fold
from services.register.faults import FaultList
from services.register.reading import read_choice, read_name, read_optional_table

REVIEWS = "reviews.csv"

_COLUMNS = ("finding", "state", "note")
_STATES = (Review.CONFIRMED, Review.DISMISSED)
_ID = re.compile(r"[0-9a-f]{16}")


def read_reviews(directory: Path, faults: FaultList) -> tuple[FindingReview, ...]:
    """Read the reviews, in order of findings; each finding has one."""
    reviews: dict[str, FindingReview] = {}
    for row in read_optional_table(directory / REVIEWS, faults, _COLUMNS).rows:
        finding = row.need("finding", read_finding_id, "")
        if finding and finding in reviews:
            row.fault("finding", f"`{finding}` is there twice")
        state = row.need("state", lambda text: Review(read_choice(text, *_STATES)), Review.CONFIRMED)
        reviews[finding] = FindingReview(finding, state, row.need("note", read_name, ""))
    return tuple(reviews[finding] for finding in sorted(reviews))


def put_review(directory: Path, review: FindingReview) -> None:
    """Write a review into the file of a register directory, replacing an earlier one of the same finding.

    Raises InputError when the file cannot be read, StateError when it cannot be written.
    """
    faults = FaultList()
    kept = {one.finding: one for one in read_reviews(directory, faults)}
    if faults:
        raise InputError(f"register {directory}", faults)
    kept[review.finding] = review
    rows = ((one.finding, one.state.value, one.note) for _, one in sorted(kept.items()))
    try:
        replace(directory / REVIEWS, csv_text([_COLUMNS, *rows]).encode())
    except OSError as error:
        raise StateError(f"the review cannot be written to {directory / REVIEWS}: {error.strerror}") from error


def read_finding_id(text: str) -> str:
    """Read the id of a finding."""
    folded = fold(text)
    if not _ID.fullmatch(folded):
        raise ValueError(
            f"`{text}` is not the id of a finding: 16 hexadecimal digits, as `peyvand findings` shows them"
        )
    return folded
