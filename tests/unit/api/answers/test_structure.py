"""GetStructure, TabulateIndicators and ListEvaluationRounds over a real gRPC server."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import grpc
import pytest

from peyvand.v1 import indicator_pb2, register_service_pb2
from peyvand.v1 import indicator_service_pb2 as messages
from services.api.answers import tabulation
from services.core.model.indicator import IndicatorKind
from services.indicator.index import tabulate_links
from services.register.directory.load import load_register
from tests.support.cases.api.blocks import AS_OF, blocks_of, structure_of
from tests.support.registers import EVALUATION, KNOWN_ROUNDS, write_register
from tests.support.values.block_columns import decode_block, encoded

_Attribute = messages.TabulatedAttribute


@pytest.fixture
def evaluated(api, tmp_path):
    """An api whose register lists official rounds."""
    api.register = load_register(write_register(tmp_path / "evaluated", evaluation_rounds_yaml=EVALUATION))
    api.take_register()
    return api


async def test_the_structure_is_answered_as_published(api):
    """Every measure arrives by its name; one that does not apply is NaN, as fields of v1 cannot be unset."""
    answer = await api.indicators.GetStructure(messages.GetStructureRequest())
    one, expected = answer.structure, structure_of(28)
    assert (one.window_days, one.as_of.seconds, one.evidence_sequence) == (28, AS_OF, 7)
    assert (one.pair_coverage, one.pair_coverage_upper, one.fragmentation_lower) == (0.75, 0.875, 0.1)
    assert [list(island.agencies) for island in one.islands] == [list(island) for island in expected.islands]
    assert (list(one.isolates), one.weakest, one.resilience) == (["customs"], "tax-office", 0.15)
    assert math.isnan(one.reciprocity)
    assert math.isnan(one.silo_gap)
    assert one.within_sectors.point == 0.95
    assert not one.across_sectors.HasField("point")
    assert [(role.provider, role.loss) for role in one.providers] == [("customs", 0.2), ("tax-office", 0.05)]
    week = await api.indicators.GetStructure(messages.GetStructureRequest(window_days=7))
    assert week.structure.window_days == week.three_bars.window_days == 7


def test_a_block_brings_its_structures_and_levels_back(register):
    """The api returns what the scorer encodes, with the provenance from the block."""
    block = blocks_of(register)["government"]
    versions = {"register_version": register.register_version, "method_version": "1", "evidence_sequence": 7}
    assert decode_block(encoded(block)).structures == tuple(replace(one, **versions) for one in block.structures)
    rows = decode_block(encoded(blocks_of(register)["consumer.land-registry"])).indicators
    assert {row.id: row.level for row in rows if row.kind is IndicatorKind.SERVICE} == {
        "title-deed": 2,
        "title-transfer": 1,
    }
    assert {row.level for row in rows if row.kind is not IndicatorKind.SERVICE} == {None}


async def test_three_bars_stand_beside_each_other(evaluated):
    """The bars are the latest round's integration score, the declared weight and the measured index, with a ratio."""
    bars = (await evaluated.indicators.GetStructure(messages.GetStructureRequest())).three_bars
    assert (bars.official, bars.official_round) == (0.5, "3")
    assert bars.declared == pytest.approx(11 / 12)
    assert (bars.measured, bars.measured_lower) == (pytest.approx(0.825), pytest.approx(0.825))
    assert bars.verification_ratio == pytest.approx(0.9)
    assert (bars.links_required, bars.links_absent) == (8, 1)


async def test_bars_that_are_not_there_are_unset(api, evaluated, tmp_path):
    """No round, a latest round without an integration score, and a point that is not publishable each leave a bar unset."""
    register = load_register(write_register(tmp_path / "plain"))
    api.take_register(register)
    bars = (await api.indicators.GetStructure(messages.GetStructureRequest())).three_bars
    assert (bars.HasField("official"), bars.official_round) == (False, "")
    unstated = (", integration: 50", "")
    text = EVALUATION.replace(*unstated)
    evaluated.take_register(load_register(write_register(tmp_path / "unstated", evaluation_rounds_yaml=text)))
    bars = (await evaluated.indicators.GetStructure(messages.GetStructureRequest())).three_bars
    assert (bars.HasField("official"), bars.official_round) == (False, "3")
    block = blocks_of(evaluated.register)["government"]
    rows = tuple(replace(row, point=None) for row in block.indicators)
    evaluated.take("government", replace(block, indicators=rows))
    bars = (await evaluated.indicators.GetStructure(messages.GetStructureRequest())).three_bars
    assert not bars.HasField("measured")
    assert not bars.HasField("verification_ratio")
    assert bars.measured_lower == pytest.approx(0.825)


async def test_a_structure_that_is_not_published_yet_is_unavailable(api, empty_api, refusal):
    """Before a first index, and without a structure, the error has the reason."""
    block = blocks_of(api.register)["government"]
    api.take("government", replace(block, structures=()))
    code, info, _ = await refusal(api.indicators.GetStructure(messages.GetStructureRequest()))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "STRUCTURE_UNPUBLISHED")
    api.take("government", None)
    code, info, _ = await refusal(api.indicators.GetStructure(messages.GetStructureRequest()))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "INDICATOR_UNPUBLISHED")
    code, info, _ = await refusal(api.indicators.GetStructure(messages.GetStructureRequest(window_days=5)))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "WINDOW_UNKNOWN")


async def test_the_index_is_tabulated_by_channel(api):
    """Groups have their index with bounds, sizes, inquiries, inquiries on paper and levels."""
    request = messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_CHANNEL)
    answer = await api.indicators.TabulateIndicators(request)
    assert (answer.window_days, answer.as_of.seconds) == (28, AS_OF)
    groups = {one.value: one for one in answer.groups}
    assert list(groups) == ["both", "own", "unified", ""]  # the group without a value comes last
    own, unified = groups["own"], groups["unified"]
    assert (own.index.point, own.index.lower, own.index.upper) == (pytest.approx(0.45),) * 3
    assert (own.services, own.services_with_links, own.index.links, own.links_absent) == (1, 1, 2, 1)
    assert (own.inquiries_per_service, own.on_paper_per_service) == (2.0, 1.0)
    assert list(own.levels) == [0, 1, 0, 0, 0]
    assert (unified.agencies, unified.services, unified.index.links) == (2, 2, 3)
    assert unified.inquiries_per_service == 1.5
    assert list(unified.levels) == [0, 0, 2, 0, 0]


@pytest.mark.parametrize("attribute", [number for number in _Attribute.values() if number])
async def test_every_table_has_the_government_as_its_total(api, attribute):
    """The total of every table has the register's inquiries and the government's index.
    Services and links of the groups add up to it.
    """
    register = api.register
    needed = {
        service: [link for link in register.links.values() if link.service == service] for service in register.services
    }
    burdened = {service: links for service, links in needed.items() if links}
    on_paper = sum(link.absent for links in burdened.values() for link in links)
    answer = await api.indicators.TabulateIndicators(messages.TabulateIndicatorsRequest(attribute=attribute))
    total = answer.total
    assert (total.agencies, total.services, total.services_with_links) == (4, len(needed), len(burdened))
    assert total.inquiries_per_service == sum(map(len, burdened.values())) / len(burdened) == 8 / 5
    assert total.on_paper_per_service == on_paper / len(burdened) == 1 / 5
    assert (total.value, total.HasField("lowest")) == ("", False)
    assert list(total.levels) == [0, 1, 4, 0, 0]
    government = (
        await api.indicators.GetIndicator(messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_GOVERNMENT))
    ).indicator
    for name in ("point", "lower", "upper", "known_share"):
        assert getattr(total.index, name) == pytest.approx(getattr(government, name))
    for name in ("services", "services_with_links", "links_absent"):
        assert sum(getattr(one, name) for one in answer.groups) == getattr(total, name)
    assert sum(one.index.links for one in answer.groups) == total.index.links == government.links_required


async def test_a_table_is_made_once_for_all_who_ask_between_two_refreshes(api, monkeypatch):
    """However often everybody asks for a table, it is made once for each attribute and refresh."""
    made: list[object] = []

    def counted(*given):
        made.append(given)
        return tabulate_links(*given)

    monkeypatch.setattr(tabulation, "tabulate_links", counted)
    by_channel = messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_CHANNEL)
    by_sector = messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_SECTOR)
    ask = api.indicators.TabulateIndicators
    first, *others = await asyncio.gather(*(ask(by_channel) for _ in range(5)))
    assert all(other == first for other in others)
    once = len(made)
    assert await ask(by_sector) != first
    assert len(made) == 2 * once
    api.take_blocks(as_of=AS_OF + 300)
    assert (await ask(by_channel)).as_of.seconds == AS_OF + 300
    assert len(made) == 3 * once
    assert once == len(("the groups", "all services as one group"))


async def test_the_index_is_tabulated_by_what_agencies_are_like(api):
    """Numbers are grouped in bands with their lowest and highest value, agencies and sectors by name."""
    ask = api.indicators.TabulateIndicators
    staff = await ask(messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_STAFF))
    assert [(one.lowest, one.highest, one.HasField("lowest"), one.agencies) for one in staff.groups] == [
        *((4200, 4200, True, 1), (9000, 9000, True, 1), (0, 0, False, 2)),
    ]
    sectors = await ask(messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_SECTOR))
    shown = {one.value: one.index.point for one in sectors.groups}
    for sector, point in shown.items():
        request = messages.GetIndicatorRequest(kind=indicator_pb2.INDICATOR_KIND_SECTOR, id=sector)
        assert (await api.indicators.GetIndicator(request)).indicator.point == pytest.approx(point)
    agencies = await ask(messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_AGENCY))
    assert [one.value for one in agencies.groups] == ["civil-registry", "customs", "land-registry", "tax-office"]
    assert list(agencies.groups[2].levels) == [0, 1, 1, 0, 0]


async def test_what_cannot_be_tabulated_is_refused(api, empty_api, refusal):
    """An unknown attribute and a table before a first index are refused."""
    code, info, sentence = await refusal(api.indicators.TabulateIndicators(messages.TabulateIndicatorsRequest()))
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ATTRIBUTE_UNKNOWN")
    assert sentence == "attribute 0 is none: ask for one of channel, sector, staff, satisfaction, agency"
    api.state.model.whole = {}
    request = messages.TabulateIndicatorsRequest(attribute=_Attribute.TABULATED_ATTRIBUTE_CHANNEL)
    code, info, _ = await refusal(api.indicators.TabulateIndicators(request))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "INDICATOR_UNPUBLISHED")


async def test_official_rounds_are_listed_as_stated(evaluated):
    """Rounds come by number with only what they state, with growth between them and the ids of announced agencies."""
    answer = await evaluated.registers.ListEvaluationRounds(register_service_pb2.ListEvaluationRoundsRequest())
    assert (answer.country, answer.note) == ("XX", "made up for tests")
    assert [one.id for one in answer.dimensions] == ["portal", "integration", "participation"]
    first, _, third = answer.rounds
    assert (first.round, first.held) == (1, "2017-01")
    for unstated in (
        "agencies",
        "services_and_subservices",
        "overall_percent",
        "growth_since_round_1_percent_more_than",
    ):
        assert not first.HasField(unstated)
    assert (third.overall_percent, third.growth_since_round_1_percent_more_than, third.agencies) == (62.5, 40, 4)
    assert [(one.dimension, one.percent) for one in third.dimensions] == [("portal", 80), ("integration", 50)]
    assert [one.agency for one in third.announced_top_agencies] == ["civil-registry", "tax-office", ""]
    assert list(third.stated_concerns) == ["islands of data"]
    assert [(one.from_round, one.to_round, one.dimension, one.percentage_points) for one in answer.growth] == [
        *((2, 3, "", 12.5), (2, 3, "portal", 16.0)),
    ]


async def test_rounds_of_two_models_are_listed_with_their_sources(api, tmp_path):
    """Each dimension names its model, a bound is not a score, and what a round states has its sources."""
    api.take_register(load_register(write_register(tmp_path / "known", evaluation_rounds_yaml=KNOWN_ROUNDS)))
    answer = await api.registers.ListEvaluationRounds(register_service_pb2.ListEvaluationRoundsRequest())
    assert {one.id: one.model for one in answer.dimensions}["integrated"] == "smart"
    assert not answer.growth
    first, second, fifth, _, twelfth = answer.rounds
    assert (first.model, fifth.model, twelfth.model) == ("", "maturity", "smart")
    assert (second.HasField("overall_percent"), second.overall_percent_more_than) == (False, 38)
    assert not fifth.HasField("overall_percent_more_than")
    assert (twelfth.also_stated[0].name_en, twelfth.also_stated[0].value) == ("Indicators", 37)
    assert [one.name_en for one in twelfth.announced_weakest_agencies] == ["Central Bank"]
    assert twelfth.note.startswith("Held under articles 67 and 68")
    cited = {one.field: list(one.sources) for one in twelfth.sources}
    assert cited["announced_weakest_agencies"] == ["iribnews.ir, news 5673429"]
    assert not twelfth.dimensions


async def test_a_register_without_rounds_lists_none(api, empty_api, refusal):
    """Without a file of rounds the list is empty, and there is no error."""
    answer = await api.registers.ListEvaluationRounds(register_service_pb2.ListEvaluationRoundsRequest())
    assert answer == register_service_pb2.ListEvaluationRoundsResponse()
