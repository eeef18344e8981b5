"""The worked example of docs/method.md is computed from the page itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
import pytest

from services.core.model.indicator import Indicator, IndicatorKind
from services.core.model.measurement import MeasurementColumns, Target
from services.core.model.outcome import OUTCOME_OF, Reason
from services.core.model.register import ALWAYS, Agency, Government, Link, Policy, Register, Service, Vantage
from services.indicator.calendar import Calendar
from services.indicator.evidence import Evidence
from services.indicator.frozen_evidence import FrozenEvidence
from services.indicator.index.index import compute_indicators
from services.indicator.index.snapshot import Snapshot
from services.indicator.register_arrays import RegisterArrays
from services.indicator.structure.network import AgencyNetwork
from services.indicator.structure.structure import structure_by_window
from tests.support.paths import ROOT

FIRST, SLOT = 1_772_323_200, 300
REASONS = [Reason.CONNECT_REFUSED, Reason.SERVER_ERROR, Reason.BODY, Reason.LATE, Reason.STALE, Reason.OK]
SERVICES = {"tax": "tax-office", "passport": "police"}
PROVIDERS = {"identity": "civil-registry", "titles": "land-registry"}
PAGE = (ROOT / "docs/method.md").read_text("utf-8")
BRIEFS = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("brief.md", "brief.fa.md")}


@pytest.fixture(scope="module")
def measured() -> tuple[Register, Snapshot]:
    """The register of the links that the page shows, and the index of their slots."""
    found = re.search(r"```\n(tax-identity.*?)```", PAGE, re.DOTALL)
    assert found is not None
    slots = {name: row for name, *row in map(str.split, found[1].splitlines())}
    links = {
        name: Link(
            id=name,
            service=name.split("-")[0],
            provider=PROVIDERS[name.split("-")[1]],
            data_item=name,
            live_from=None if row == ["absent"] else ALWAYS,
        )
        for name, row in slots.items()
    }
    register = Register(
        agencies={name: Agency(name, name, name, "all") for name in sorted({*SERVICES.values(), *PROVIDERS.values()})},
        services={name: Service(name, agency, name, name) for name, agency in SERVICES.items()},
        links=links,
        endpoints={},
        probes={},
        policy=Policy(
            government=Government("government", "", ""),
            timezone="UTC",
            epoch=datetime.fromtimestamp(FIRST, UTC),
            slot_seconds=SLOT,
            vantages=(Vantage("main"),),
        ),
    )
    seen = [(name, at, int(one)) for name, row in slots.items() for at, one in enumerate(row) if one.isdigit()]
    names = list(links)
    evidence = Evidence(Calendar.of(register.policy))
    evidence.take(
        MeasurementColumns(
            vantage="main",
            targets=tuple(map(Target, names)),
            target=np.array([names.index(name) for name, _, _ in seen]),
            slot_start=np.array([FIRST + at * SLOT for _, at, _ in seen]),
            time=np.array([(FIRST + at * SLOT) * 1_000_000 for _, at, _ in seen]),
            outcome=np.array([OUTCOME_OF[REASONS[stage]] for _, _, stage in seen], np.uint8),
            reason=np.array([REASONS[stage] for _, _, stage in seen], np.uint8),
        )
    )
    return register, compute_indicators(
        FrozenEvidence.of(RegisterArrays.of(register), evidence, FIRST // SLOT + 10, [7])
    )


@pytest.fixture(scope="module")
def example(measured: tuple[Register, Snapshot]) -> Snapshot:
    """The index alone."""
    return measured[1]


def of(example: Snapshot, kind: IndicatorKind, entity: str) -> Indicator:
    found = example.indicator(kind, entity, 7)
    assert found is not None
    return found


def test_the_table_is_what_the_code_computes(example: Snapshot) -> None:
    """Every row of the page's table is the index of the slots above it, to four places."""
    rows = re.findall(r"^\| (government|(?:consumer|provider) \S+) \|(.*)\|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for name, cells in rows:
        kind, _, entity = name.partition(" ")
        one = of(example, IndicatorKind[kind.upper()], entity or kind)
        strict = None if one.strict is None else one.strict.point
        numbers = (one.point, one.lower, one.upper, one.known_share, strict)
        assert [cell.strip() for cell in cells.split("|")] == ["–" if n is None else f"{n:.4f}" for n in numbers], name


def test_the_losses_are_what_the_code_computes(example: Snapshot) -> None:
    """The sentence on where the government loses gives the losses by stage, and their sum."""
    whole = of(example, IndicatorKind.GOVERNMENT, "government")
    found = re.search(
        r"loses (\S+): (\S+) not connected .*?, (\S+) not answered, (\S+) late, (\S+) stale\.", PAGE, re.DOTALL
    )
    assert found is not None
    assert whole.point is not None
    losses = whole.losses
    numbers = (1 - whole.point, losses.not_connected, losses.not_answered, losses.late, losses.stale)
    assert list(found.groups()) == [f"{number:.4f}" for number in numbers]
    assert losses.invalid == 0


def test_the_structure_is_what_the_code_computes(measured: tuple[Register, Snapshot]) -> None:
    """The paragraph on the example's structure has the computed measures, which add up as stated."""
    register, snapshot = measured
    arrays = RegisterArrays.of(register)
    (whole,) = structure_by_window(arrays, AgencyNetwork.of(register, arrays), snapshot)
    (text,) = re.findall(r"In the worked example (.*?)\n\n", PAGE, re.DOTALL)
    losses = {role.provider: role.loss for role in whole.providers}
    assert whole.isolates == ("police",)
    assert whole.weakest == "civil-registry"
    assert sum(losses.values()) == pytest.approx(
        1 - of(snapshot, IndicatorKind.GOVERNMENT, "government").lower, abs=1e-12
    )
    numbers = [
        whole.pair_coverage_weighted,
        whole.fragmentation,
        whole.reciprocity,
        whole.provider_concentration,
        losses["civil-registry"],
        losses["land-registry"],
        whole.resilience,
    ]
    assert text.split()[:3] == [str(whole.pairs_working), "of", str(whole.pairs_required)]
    assert re.findall(r"\d\.\d{4}", text) == ["–" if number is None else f"{number:.4f}" for number in numbers]


@pytest.mark.parametrize("name", BRIEFS)
def test_a_minister_reads_the_same_numbers(example: Snapshot, name: str) -> None:
    """Both briefs give the example's rounded percentages: the tax office, its bounds, and the whole."""
    text = BRIEFS[name].translate(str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789"))
    (example_text,) = re.findall(r"\*\*(?:An example|یک مثال)\..*?(?=\n\n)", text, re.DOTALL)
    tax, whole = of(example, IndicatorKind.CONSUMER, "tax-office"), of(example, IndicatorKind.GOVERNMENT, "government")
    police = of(example, IndicatorKind.CONSUMER, "police")
    assert tax.point is not None
    assert whole.point is not None
    shares = [tax.point, 1.0, tax.lower, tax.upper, police.upper, whole.point]
    counts = [8, 8, 6]
    assert re.findall(r"\d+", example_text) == [*map(str, counts), *(f"{100 * share + 1e-9:.0f}" for share in shares)]
