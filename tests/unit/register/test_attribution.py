from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.model.exchange import Parties
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
    """Without a register every party is unmapped and slots are five minutes long."""
    mapping = Attributor(None)
    assert mapping.attribute(PARTIES) == Attribution("_unmapped", "_unmapped")
    assert mapping.slot_seconds == 300


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
    """A party is its subsystem's agency, else its member's, else unmapped."""
    found = Attributor(replace(register, members=members(*entries))).attribute(PARTIES)
    assert (found.consumer, found.provider) == agencies


def test_a_member_without_a_subsystem_maps_by_its_member(register):
    """A meta service, addressed to a member, belongs to the member's agency."""
    mapping = Attributor(replace(register, members=members(("IR/GOV/200", "customs"))))
    assert mapping.attribute(Parties(CLIENT, "IR/GOV/200", "IR/GOV/200/listMethods", meta=True)).provider == "customs"


def test_one_route_names_the_link_and_its_agencies(register):
    """Where members.csv is silent, the only link of a pair says whose it is."""
    mapping = Attributor(replace(register, routes=(ExchangeRoute(CLIENT, SERVICE, "deed-civil"),)))
    assert mapping.attribute(PARTIES) == Attribution("land-registry", "civil-registry", "deed-civil", shared=False)
    other = Parties(CLIENT, "IR/GOV/200/registry", "IR/GOV/200/registry/firm", meta=False)
    assert mapping.attribute(other) == Attribution()


def test_several_links_of_one_pair_share_it(register):
    """Volume of a pair with several links is flagged shared and given to none of them."""
    routes = tuple(ExchangeRoute(CLIENT, SERVICE, link) for link in ("deed-civil", "deed-tax"))
    assert Attributor(replace(register, routes=routes)).attribute(PARTIES) == Attribution(
        "land-registry", "_unmapped", "", shared=True
    )


def test_an_alias_stands_in_for_every_provider(register):
    """With an alias, a member calling itself becomes two agencies."""
    mapping = Attributor(
        replace(register, members=members(("IR/GOV/100", "tax-office"), ("IR/GOV/200", "tax-office"))), "customs"
    )
    assert mapping.attribute(PARTIES) == Attribution("tax-office", "customs")


def test_with_clients_only_their_links_are_known(register):
    """Of the clients named, every mapping is what it is without naming them; of others, only the register's members are."""
    routed = replace(
        register,
        routes=(ExchangeRoute(CLIENT, SERVICE, "deed-civil"),),
        members=members(("IR/GOV/300", "tax-office")),
    )
    whole, some = Attributor(routed), Attributor(routed, clients={CLIENT, "customs"})
    own = Parties.of("customs", "tax-office/import-permit/tax-status", meta=False)
    other = Parties.of("civil-registry", "tax-office/birth-certificate/dependants", meta=False)
    assert some.attribute(PARTIES) == whole.attribute(PARTIES)
    assert some.attribute(own) == whole.attribute(own) == Attribution("customs", "tax-office", "permit-tax")
    assert whole.attribute(other).link == "birth-tax"
    assert some.attribute(other) == Attribution("civil-registry", "tax-office")
