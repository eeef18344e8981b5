from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.model.exchange import ExchangeSummary, Parties
from services.core.model.register import ExchangeRoute, Member
from services.register.attribution import Attribution, Attributor
from services.register.directory.load import load_register
from tests.support.registers import write_register

CLIENT, SERVICE = "IR/GOV/100/desk", "IR/GOV/200/registry/person"
PARTIES = Parties(CLIENT, "IR/GOV/200/registry", SERVICE, meta=False)


@pytest.fixture
def register(tmp_path):
    return load_register(write_register(tmp_path))


def members(*pairs):
    return tuple(Member(name, agency) for name, agency in pairs)


def test_without_a_register_nothing_maps():
    """Without a register every party is unmapped."""
    assert Attributor(None).attribute(PARTIES) == Attribution("_unmapped", "_unmapped")


@pytest.mark.parametrize(
    ("entries", "agencies"),
    [
        ((), ("_unmapped", "_unmapped")),
        ((("IR/GOV/100", "tax-office"), ("IR/GOV/200", "customs")), ("tax-office", "customs")),
        ((("IR/GOV/100", "tax-office"), ("IR/GOV/100/desk", "customs")), ("customs", "_unmapped")),
        ((("IR/GOV/100/other", "tax-office"), ("IR/GOV/200/registry", "customs")), ("_unmapped", "customs")),
    ],
)
def test_a_subsystem_comes_before_its_member(register, entries, agencies):
    """A party belongs to its subsystem's agency, or else its member's, or else is unmapped."""
    found = Attributor(replace(register, members=members(*entries))).attribute(PARTIES)
    assert (found.consumer, found.provider) == agencies


def test_a_member_without_a_subsystem_maps_by_its_member(register):
    """A meta service that is addressed to a member belongs to the member's agency."""
    attributor = Attributor(replace(register, members=members(("IR/GOV/200", "customs"))))
    assert (
        attributor.attribute(Parties(CLIENT, "IR/GOV/200", "IR/GOV/200/listMethods", meta=True)).provider == "customs"
    )


def test_one_route_names_the_link_and_its_agencies(register):
    """Where members.csv has no row, the only link of a pair names the agencies."""
    attributor = Attributor(replace(register, routes=(ExchangeRoute(CLIENT, SERVICE, "deed-civil"),)))
    assert attributor.attribute(PARTIES) == Attribution("land-registry", "civil-registry", "deed-civil", shared=False)
    other = Parties(CLIENT, "IR/GOV/200/registry", "IR/GOV/200/registry/firm", meta=False)
    assert attributor.attribute(other) == Attribution()


def test_several_links_of_one_pair_share_it(register):
    """The volume of a pair with several links is flagged as shared and given to none of them."""
    routes = tuple(ExchangeRoute(CLIENT, SERVICE, link) for link in ("deed-civil", "deed-tax"))
    assert Attributor(replace(register, routes=routes)).attribute(PARTIES) == Attribution(
        "land-registry", "_unmapped", "", shared=True
    )


def test_an_alias_stands_in_for_the_provider(register):
    """With an alias, a member that calls itself becomes two agencies."""
    attributor = Attributor(
        replace(register, members=members(("IR/GOV/100", "tax-office"), ("IR/GOV/200", "tax-office")))
    )
    assert attributor.attribute(PARTIES, "customs") == Attribution("tax-office", "customs")


def test_a_summary_is_attributed_by_its_parties(register):
    """A summary gets the agencies and link of its client and service. An alias replaces the provider."""
    attributor = Attributor(replace(register, routes=(ExchangeRoute(CLIENT, SERVICE, "deed-civil"),)))
    summary = ExchangeSummary(CLIENT, SERVICE, 300, 1, count=5)
    found = attributor.attribute_summary(summary)
    assert found == replace(summary, consumer="land-registry", provider="civil-registry", link="deed-civil")
    assert attributor.attribute_summary(replace(summary, alias="customs")).provider == "customs"


def test_parties_of_another_bus_are_agencies(register):
    """On a bus that uses the register's ids, service, provider and data item identify the link."""
    attributor = Attributor(register)
    own = Parties.of("customs", "tax-office/import-permit/tax-status", meta=False)
    assert attributor.attribute(own) == Attribution("customs", "tax-office", "permit-tax")
    other = Parties.of("customs", "tax-office/import-permit/another", meta=False)
    assert attributor.attribute(other) == Attribution("customs", "tax-office")


@pytest.mark.parametrize("written", ["كارت ملي ۱۲", "کارت ملی 12", " كارت ملی ١٢ "])
def test_a_data_item_of_another_bus_may_be_written_with_arabic_letters(register, written):
    """Letters and digits of a data item in a log are folded as in links.csv. Those of X-Road are not."""
    links = register.links | {"permit-tax": replace(register.links["permit-tax"], data_item="کارت ملی 12")}
    attributor = Attributor(replace(register, links=links, routes=(ExchangeRoute(CLIENT, "A/B/كارت", "deed-civil"),)))
    own = Parties.of("customs", f"tax-office/import-permit/{written}", meta=False)
    assert attributor.attribute(own) == Attribution("customs", "tax-office", "permit-tax")
    assert attributor.links(own.client, own.service) == {"permit-tax"}
    assert attributor.links(CLIENT, "A/B/كارت") == {"deed-civil"}
    assert not attributor.links(CLIENT, "A/B/کارت")
