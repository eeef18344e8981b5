"""Computes the numbers and files of a round from its evidence and register, to the same bytes (docs/rounds.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from hashlib import sha256

from services.cli.csv_tables import csv_parts
from services.core import codec
from services.core.canonical_json import canonical_json
from services.core.model import Indicator, IndicatorKind, Policy, Register, Structure
from services.dataset.rounds import INDICATORS_FILE, FrozenRound
from services.dataset.tables import INDICATOR, indicator_table, same_rows, sorted_rows, write
from services.indicator.calendar import RECORD_DAYS, Calendar, record_span
from services.indicator.evidence import Evidence
from services.indicator.index import Explanation, Imputation, Snapshot, explain_index
from services.indicator.register_arrays import RegisterArrays
from services.indicator.sensitivity import Ranking
from services.indicator.shares import LinkShares
from services.register.versions import to_rows
from services.scorer.archived import ArchivedEvidence, Engine, here
from services.scorer.offline import network, rankings, recount_of, score_evidence

_OF_THE_STREAM = ("stored", "sequence")


@dataclass(frozen=True, slots=True)
class RepairGain:
    """What the index of the government gains, and is then, if one link alone is always answered; shares of 1."""

    link: str
    gain: float
    index_if_fixed: float


@dataclass(frozen=True, slots=True, eq=False)
class RoundNumbers:
    """Everything that is computed for a round."""

    register: Register
    snapshot: Snapshot
    structure: Structure
    rankings: tuple[Ranking, ...]
    explanation: Explanation | None

    def rows(self, kind: IndicatorKind) -> list[Indicator]:
        """Return the indicators of a kind, in id order."""
        (window,) = self.snapshot.windows
        return list(self.snapshot.rows(kind, window))

    @property
    def government(self) -> Indicator:
        """The index of the government."""
        (row,) = self.rows(IndicatorKind.GOVERNMENT)
        return row

    @property
    def gains(self) -> tuple[RepairGain, ...]:
        """The gains of links with a known slot, the largest first; that of others is a guess."""
        if self.explanation is None or self.explanation.estimate is None:
            return ()
        estimate = self.explanation.estimate
        return tuple(
            RepairGain(one.link, one.index_if_fixed - estimate, one.index_if_fixed)
            for one in self.explanation.links
            if one.known_share > 0
        )


def compute_round(
    archive: ArchivedEvidence, register: Register, *, as_of: int, window_days: int, engine: Engine = here
) -> RoundNumbers:
    """Compute a round from its measurements. Raises StateError for a file that is not as it was sealed."""
    calendar, arrays = Calendar.of(register.policy), RegisterArrays.of(register)
    end_slot = calendar.slot_of(as_of)
    evidence, recount = Evidence(calendar), recount_of(register, at=as_of, window=window_days)
    evidence.columns.of(register.targets)
    for parts in archive.marked_days(register, record_span(register.policy, window_days, end_slot), engine=engine):
        evidence.put([part.under() for part in parts])
        recount.add(parts)
    snapshot = score_evidence(
        register, evidence, at=as_of, windows=(window_days,), evidence_sequence=archive.last_sequence
    )
    counts = evidence.window(arrays, window_days, end_slot)
    shares = LinkShares.of(arrays, counts.slots, counts.counts, counts.paper)
    government = register.policy.government.id
    (structure,) = network(register, snapshot)
    return RoundNumbers(
        register=register,
        snapshot=snapshot,
        structure=structure,
        rankings=rankings(
            register,
            recount,
            archive.summaries(register.policy, days=window_days, end_slot=end_slot),
            at=as_of,
            window=window_days,
        ),
        explanation=explain_index(shares, Imputation.of(shares), IndicatorKind.GOVERNMENT, government, limit=10),
    )


def record_of(end: date, window_days: int) -> date:
    """Return the first day of the record of a round, on which its intervals are based."""
    return end - timedelta(days=max(RECORD_DAYS, window_days))


def end_of_round(archive: ArchivedEvidence, policy: Policy, end: date, *, provisional: bool) -> int:
    """Return the moment up to which a round counts, in epoch seconds: where the day ``end`` begins.

    A ``provisional`` round counts up to the newest slot measured at most.
    """
    calendar = Calendar.of(policy)
    moment = calendar.start_of(calendar.first_slot(end))
    return min(moment, archive.measured_up_to(policy)) if provisional else moment


def derived_files(frozen: FrozenRound, numbers: RoundNumbers, stored: bytes | None = None) -> dict[str, bytes]:
    """Return the files with the numbers of a round, its register, announcements and objections.

    ``stored`` is the file of indicators that a round has, if another library wrote it: it is returned if its rows follow
    from the numbers.
    """
    table = sorted_rows(
        [
            indicator_table(numbers.rows(kind), stored=frozen.as_of, sequence=frozen.evidence_sequence)
            for kind in IndicatorKind
        ],
        INDICATOR,
    )
    rows, indicators = to_rows(numbers.register, portable=True), write(table, INDICATOR)
    if stored is not None and same_rows(stored, indicators, INDICATOR):
        indicators = stored
    files = {
        INDICATORS_FILE: indicators,
        "indicators.csv": b"".join(csv_parts(table.drop_columns(list(_OF_THE_STREAM)))),
        "structure.json": codec.structure_to_json(numbers.structure).encode(),
        "sensitivity.json": canonical_json([_sensitivity(ranking) for ranking in numbers.rankings]),
        "gains.json": canonical_json([asdict(gain) for gain in numbers.gains]),
        "announcements.json": canonical_json(rows["announcements"]),
        "objections.json": canonical_json(rows["objections"]),
        f"register/{frozen.register_version}.{frozen.probe_version}.json": canonical_json(rows),
    }
    files["datapackage.json"] = canonical_json(_package(frozen, files))
    return files


def _sensitivity(ranking: Ranking) -> dict[str, object]:
    bands = {name: asdict(band) for name, band in sorted(ranking.bands.items())}
    return {"kind": ranking.kind.label, "bands": bands, "moved": asdict(ranking.moved)}


_TYPES = {"int64": "integer", "double": "number", "timestamp[us, tz=UTC]": "datetime"}


def _package(frozen: FrozenRound, files: Mapping[str, bytes]) -> dict[str, object]:
    """Return the Data Package (datapackage.org, version 2) of the files."""
    fields = [
        {"name": field.name, "type": _TYPES.get(str(field.type), "string")}
        for field in INDICATOR.schema
        if field.name not in _OF_THE_STREAM
    ]
    resources = []
    for path, content in sorted(files.items()):
        name, _, form = path.rpartition(".")
        resource: dict[str, object] = {
            "name": f"{name.replace('/', '-').lower()}-{form}",
            "path": path,
            "format": form,
            "bytes": len(content),
            "hash": f"sha256:{sha256(content).hexdigest()}",
        }
        if form == "csv":
            resource |= {"encoding": "utf-8", "schema": {"fields": fields}, "type": "table"}
        resources.append(resource)
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": frozen.id,
        "title": frozen.title_en,
        "resources": resources,
    }
