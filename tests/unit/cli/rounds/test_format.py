"""The files of a round, their columns and their keys are those of the format that round.json names (docs/rounds.md §2).

Another column or key gives files of earlier rounds other bytes: without another format, a verification calls them forged.
The evidence is not pinned here. Its manifests have a format of their own, and its older files lack columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.cli.rounds.freeze import RoundRequest, freeze
from services.dataset.log import SigningKey
from services.dataset.rounds.frozen import FORMAT
from services.dataset.storage import LocalStorage
from tests.support.cases.datasets.round_folders import SPAN, dataset, directory, frozen, key
from tests.support.cases.scoring import LONG_SLOT, register_directory
from tests.support.cases.scoring import register_of_long_slots as register
from tests.support.registers import ANNOUNCEMENTS, EVALUATION, HOLIDAYS, OBJECTIONS

__all__ = ["dataset", "directory", "frozen", "key", "register"]

FORMAT_1 = """\
SHA256SUMS:
SHA256SUMS.note:
announcements.json: agencies end id kind links start text_en text_fa title_en title_fa updates updates.text_en
  updates.text_fa updates.time
datapackage.json: $schema name resources resources.bytes resources.encoding resources.format resources.hash
  resources.name resources.path resources.schema resources.schema.fields resources.schema.fields.name
  resources.schema.fields.type resources.type title
gains.json: gain index_if_fixed link
indicators.csv: kind id window_days as_of point lower upper known_share interval_low interval_high interval_level
  loss_not_connected loss_not_answered loss_invalid loss_late loss_stale strict_point strict_lower strict_upper
  level rank_low rank_high rank_agencies links_required links_known links_absent register_version probe_version
  method_version evidence_sequence
indicators.parquet: kind id window_days as_of point lower upper known_share interval_low interval_high
  interval_level loss_not_connected loss_not_answered loss_invalid loss_late loss_stale strict_point strict_lower
  strict_upper level rank_low rank_high rank_agencies links_required links_known links_absent register_version
  probe_version method_version evidence_sequence stored sequence
objections.json: answer_en answer_fa end link start state text_en text_fa
previous.parquet: kind id window_days as_of point lower upper known_share interval_low interval_high interval_level
  loss_not_connected loss_not_answered loss_invalid loss_late loss_stale strict_point strict_lower strict_upper
  level rank_low rank_high rank_agencies links_required links_known links_absent register_version probe_version
  method_version evidence_sequence stored sequence
register agencies: id merged_into name_en name_fa satisfaction sector staff until
register announcements: agencies end id kind links start text_en text_fa title_en title_fa updates
register endpoints: agency id params probe service target vantages
register evaluation: country dimensions note rounds
register holidays: day kind name_en name_fa
register links: data_item id latency_ms legal_basis live_from max_age_s params probe provider required_from
  required_until service slo target vantages weight
register maintenance: end note start subject
register members: agency id
register objections: answer_en answer_fa end link start state text_en text_fa
register policy: bus default_latency_ms default_max_age_s egress epoch government grace_hours levels
  publish_threshold slot_seconds timezone vantages windows_days
register reviews: finding note state
register routes: client link service
register services: agency channel id name_en name_fa weight
report.en.pdf:
report.fa.pdf:
round.json: around as_of corrects days end evidence_sequence format id key method_version previous probe_version
  provisional record register_version software timezone title_en title_fa tools tools.* why window_days
sensitivity.json: bands bands.* bands.*.agencies bands.*.basis bands.*.high bands.*.low kind moved moved.cases
  moved.kind moved.mean_rank_shift moved.switches moved.switches.first_order moved.switches.first_order_error
  moved.switches.states moved.switches.switch moved.switches.total_order moved.switches.total_order_error
structure.json: across_sectors across_sectors.known_share across_sectors.links across_sectors.lower
  across_sectors.point across_sectors.upper as_of bus_links bus_strict_loss declared evidence_sequence
  fragmentation fragmentation_lower islands islands.agencies isolates method_version pair_coverage
  pair_coverage_upper pair_coverage_weighted pair_coverage_weighted_upper pairs_absent pairs_required pairs_unknown
  pairs_working provider_concentration providers providers.links providers.loss providers.provider providers.share
  providers.strict_loss reciprocity register_version resilience silo_gap weakest window_days within_sectors
  within_sectors.known_share within_sectors.links within_sectors.lower within_sectors.point within_sectors.upper
"""
SHAPES = {1: FORMAT_1}
"""By format, the columns or keys of each file and of each section of the register. Those of a format never change."""

ANY = {"bands", "tools"}
"""Keys whose own keys are names of something."""


@pytest.fixture
def rich(frozen: Path, dataset: LocalStorage, key: SigningKey, tmp_path: Path) -> Path:
    """A round with every file, of a register with rows in every section that a small one can have."""
    folder = register_directory(tmp_path / "register", LONG_SLOT)
    for name, text in {
        "announcements.yaml": ANNOUNCEMENTS,
        "objections.csv": OBJECTIONS,
        "holidays.csv": HOLIDAYS,
        "evaluation_rounds.yaml": EVALUATION,
        "maintenance.csv": "subject,from,to,note\ntax-office,2026-03-01,2026-03-02,moved\n",
        "members.csv": "member,agency\nXX/GOV/1,tax-office\n",
        "exchange.csv": "client,service,link\nXX/GOV/2/a,XX/GOV/1/b/c,deed-tax\n",
        "reviews.csv": "finding,state,note\n0123456789abcdef,confirmed,seen\n",
    }.items():
        (folder / name).write_text(text, "utf-8")
    return freeze(dataset.address, tmp_path, key, RoundRequest("rich", *SPAN, register=folder, previous=frozen))


def shape_of(folder: Path) -> dict[str, str]:
    """Return the columns or the keys of each file of a round beside its evidence."""
    found: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if name.startswith("evidence/"):
            continue
        if name.startswith("register/"):
            rows = json.loads(path.read_bytes())
            found |= {f"register {part}": _words(key for row in rows[part] for key in row) for part in rows}
            del found["register probes"]  # which are without the keys that are not set
        elif path.suffix == ".parquet":
            found[name] = " ".join(pq.read_schema(path).names)
        elif path.suffix == ".csv":
            found[name] = path.read_text("utf-8").splitlines()[0].replace(",", " ")
        else:
            found[name] = _words(_keys(json.loads(path.read_bytes()))) if path.suffix == ".json" else ""
    return found


def differences(shape: Mapping[str, str], pinned: Mapping[str, str]) -> list[str]:
    """Return a line for each file or section that is not as it is pinned."""
    found = []
    for name in sorted(shape.keys() | pinned.keys()):
        there, said = (words.get(name, "(no-file)").split() for words in (shape, pinned))
        if there != said:
            more, less = (
                " ".join(word for word in one if word not in other) for one, other in ((there, said), (said, there))
            )
            found.append(
                f"{name}: {more or 'nothing'} more, {less or 'nothing'} less, in this order: {' '.join(there)}"
            )
    return found


def _words(words: Any) -> str:
    return " ".join(sorted(set(words)))


def _keys(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            place = f"{at}.*" if at.rpartition(".")[2] in ANY else f"{at}.{name}".removeprefix(".")
            yield place
            yield from _keys(part, place)
    elif isinstance(value, list):
        for part in value:
            yield from _keys(part, at)


def check(shape: Mapping[str, str]) -> None:
    """Fail where a round is not as its format is pinned."""
    unlike = differences(shape, dict(line.split(":", 1) for line in re.sub(r"\n  ", " ", SHAPES[FORMAT]).splitlines()))
    if unlike:
        pytest.fail(
            f"Rounds of format {FORMAT} have other columns or keys than before. Count FORMAT in services/dataset/rounds/frozen.py "
            "and the format in tests/independent_round_verifier.py up, and write down here what the new format has:\n"
            + "\n".join(unlike),
            pytrace=False,
        )


def test_the_files_of_a_round_are_those_of_its_format(rich: Path) -> None:
    """A column, a key or a file that is added, removed or renamed needs another format."""
    check(shape_of(rich))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("indicators.parquet", lambda words: f"{words} median", "indicators.parquet: median more, nothing less"),
        ("gains.json", lambda words: words.replace("gain ", ""), "gains.json: nothing more, gain less"),
        (
            "indicators.csv",
            lambda words: words.replace("kind id", "id kind"),
            "indicators.csv: nothing more, nothing less",
        ),
        ("more.json", lambda _: "id", "more.json: id more"),
    ],
)
def test_another_column_needs_another_format(rich: Path, name: str, change: Callable[[str], str], said: str) -> None:
    """What is unlike is named, with what to do."""
    shape = shape_of(rich)
    with pytest.raises(pytest.fail.Exception, match=f"Count FORMAT in [^:]*:\n{re.escape(said)}"):
        check({**shape, name: change(shape.get(name, ""))})
