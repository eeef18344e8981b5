from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest

from services.core.errors import SettingsError
from services.sandbox.scenario.scenario import ALIAS, BUS, SCENARIOS, Scenario, make_scenario
from services.sandbox.timing import slot_timing

SEEDS = range(1, 6)


@cache
def made(name: str, seed: int, base_port: int = 7500) -> Scenario:
    return make_scenario(name, seed=seed, base_port=base_port, times=slot_timing(5))


COUNTS = {"small": (24, 120, 300, 255), "national": (105, 2200, 6600, 3300)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_counts(name, seed):
    """A scenario has exactly the agencies, services, links and live links that its name promises."""
    it = made(name, seed)
    assert (len(it.agencies), len(it.services), len(it.links), len(it.served_links)) == COUNTS[name]
    assert len(it.served_links) == sum(not link.absent for link in it.links)


@pytest.mark.parametrize("name", SCENARIOS)
def test_same_seed_same_scenario(name):
    """The same arguments make an equal scenario, and another seed makes another one."""
    assert made(name, 3) == make_scenario(name, seed=3, base_port=7500, times=slot_timing(5))
    assert made(name, 3).links != made(name, 4).links


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_ids_and_references_hold(name, seed):
    """Ids are well-formed and unique, references lead somewhere, and no service needs its own agency."""
    it = made(name, seed)
    for rows in (it.agencies, it.services, it.links, it.endpoints):
        ids = [row.id for row in rows]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", each) for each in ids)
    owner = {service.id: service.agency for service in it.services}
    agencies = {agency.id for agency in it.agencies}
    assert set(owner.values()) == agencies
    assert all(link.provider in agencies and link.provider != owner[link.service] for link in it.links)
    assert {each.agency for each in it.endpoints} <= agencies
    assert BUS in {each.id for each in it.endpoints}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_tls_and_providers(name, seed):
    """At least a third of the live links use TLS, and four providers answer at least a third of all links."""
    it = made(name, seed)
    assert sum(served.tls for served in it.served_links) >= len(it.served_links) / 3
    asked = sorted((sum(link.provider == agency.id for link in it.links) for agency in it.agencies), reverse=True)
    assert sum(asked[:4]) >= len(it.links) / 3
    assert {link.service for link in it.links} < {service.id for service in it.services}


@pytest.mark.parametrize("name", SCENARIOS)
def test_addresses(name):
    """Each provider has its own loopback address, and each of its links its own port, from the base port up."""
    it = made(name, 1, base_port=20000)
    hosts: dict[str, set[str]] = {}
    ports: dict[str, list[int]] = {}
    for served in it.served_links:
        hosts.setdefault(served.provider, set()).add(served.host)
        ports.setdefault(served.host, []).append(served.port)
    assert all(len(found) == 1 for found in hosts.values())
    assert len(ports) == len(hosts)
    assert all(found == list(range(20000, 20000 + len(found))) for found in ports.values())
    assert all(host.startswith("127.1.") for host in ports)


@pytest.mark.parametrize("seed", range(1, 21))
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_sample_of_exchanges_fits_a_link(name, seed):
    """The sample's member has a live link to the agency that can answer it, and no consumer has fewer such links."""
    it = made(name, seed)
    owner = {service.id: service.agency for service in it.services}
    to_alias = [link for link in it.links if link.provider == ALIAS]
    consumers = Counter(owner[link.service] for link in to_alias)
    live = {owner[link.service] for link in to_alias if not link.absent}
    assert it.sample_link in {served.link for served in it.served_links}
    assert it.member_agency in {owner[link.service] for link in to_alias if link.id == it.sample_link}
    assert consumers[it.member_agency] == min(consumers[each] for each in live)


def test_the_wrong_record_is_somebody_elses():
    """A wrong answer's record differs from the right one in the identifying field and the name."""
    for served in made("national", 1).served_links:
        for field in (served.family.key, served.family.fields[0]):
            assert served.records[0][field] != served.records[1][field]


def test_what_cannot_be_played_is_refused():
    """An unknown scenario, an overflowing port range and slots that are too short are refused with what to do."""
    with pytest.raises(SettingsError, match="choose small or national with --scenario"):
        made("large", 1)
    with pytest.raises(SettingsError, match="lower --base-port"):
        made("national", 1, base_port=65500)
    with pytest.raises(SettingsError, match="with --slot"):
        slot_timing(1)


@pytest.mark.parametrize("slot", [*range(2, 61), 300, 3600])
def test_times_keep_the_rules(slot):
    """For every slot, timeout < slot/2 and timeout >= 2 x latency limit, with wide margins around the limit."""
    times = slot_timing(slot)
    assert times.timeout < slot / 2
    assert times.timeout >= 2 * times.latency
    assert times.latency >= 0.4
    assert times.latency < times.slow
    assert times.timeout - times.slow >= 0.39
    assert 0.2 <= times.lead < times.timeout - times.slow


def test_a_state_takes_effect_before_its_slot():
    """The state of a slot is in effect from ``lead`` before its start until ``lead`` before its end."""
    times = slot_timing(5)
    assert times.slot_at(times.effect(200) + 0.001) == 200
    assert times.slot_at(times.effect(200) - 0.001) == 199
    assert times.effect(200) < 1000.0 < times.effect(201)
