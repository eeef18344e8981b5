from __future__ import annotations

import pytest

from services.core.model.notices import AnnouncementKind, ObjectionState
from services.core.model.register import ALWAYS, Register
from services.register.directory.load import load_register, read_directory
from services.register.rounds import INTEGRATION, agencies_by_name, match_agency
from services.sandbox.directory.register_files import make_register_files
from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.scenario.scenario import BUS, MEMBER, SCENARIOS, make_scenario
from services.sandbox.timing import slot_timing


def loaded(tmp_path, name: str, slot: int = 5, first_slot: int = 360_000_000) -> Register:
    times = slot_timing(slot)
    made = make_scenario(name, seed=1, base_port=7500, times=times)
    tmp_path.mkdir(exist_ok=True)
    for file, content in make_register_files(made, make_data_bus(made), times, first_slot).items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    return load_register(tmp_path)


@pytest.fixture(scope="module", params=SCENARIOS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def register(name, tmp_path_factory) -> Register:
    """The register of each scenario, which no test changes."""
    return loaded(tmp_path_factory.mktemp(name), name)


def test_the_register_loads_as_it_was_made(name, register):
    """The loaded register equals the scenario: agencies, services, links and endpoints."""
    made = make_scenario(name, seed=1, base_port=7500, times=slot_timing(5))
    assert tuple(register.agencies.values()) == tuple(sorted(made.agencies, key=lambda each: each.id))
    assert tuple(register.services.values()) == made.services
    live = {link.id: link for link in made.links if not link.absent}
    assert {link.id: link for link in register.links.values() if not link.absent} == live
    assert register.links.keys() == {link.id for link in made.links}
    assert register.endpoints == {each.id: each for each in made.endpoints}
    assert any(link.live_from == ALWAYS for link in live.values())


@pytest.mark.parametrize("slot", [2, 3, 5, 10, 30, 60, 300])
def test_the_register_loads_for_every_slot(tmp_path, slot):
    """The times chosen for a slot satisfy the register check, and the epoch is the start of the first slot."""
    register = loaded(tmp_path, "small", slot, 1_800_000_000 // slot)
    assert register.policy.epoch.timestamp() == 1_800_000_000
    assert register.policy.slot_seconds == slot
    assert register.settle_seconds <= 4.0


def test_policy(tmp_path):
    """The policy names the bus endpoint and lets probes reach the servers, including the control target."""
    register = loaded(tmp_path, "small")
    assert register.policy.bus == BUS
    assert register.policy.egress.allow_loopback
    assert register.policy.egress.allow == ("127.0.0.0/8",)
    assert [vantage.id for vantage in register.policy.vantages] == ["main"]
    assert register.policy.vantages[0].control_targets == ("http://127.3.0.2:7500/",)


def test_the_register_has_no_warning(tmp_path, name):
    """What the register maps and probes is sound, in each scenario."""
    loaded(tmp_path, name)
    assert read_directory(tmp_path).warnings == ()


def test_the_sample_of_exchanges_is_mapped(tmp_path):
    """The sample's member is an agency, and its exchanges serve a live link of that agency."""
    register = loaded(tmp_path, "small")
    agency = next(member.agency for member in register.members if member.id == MEMBER)
    (route,) = (route for route in register.routes if route.client.startswith(MEMBER))
    link = register.links[route.link]
    assert register.consumer(link) == agency
    assert not link.absent


def test_the_epoch_is_no_part_of_the_version(tmp_path):
    """Runs of one scenario have one register version, whenever they begin, but different probe versions."""
    first = loaded(tmp_path / "a", "small", first_slot=1)
    second = loaded(tmp_path / "b", "small", first_slot=2)
    assert first.register_version == second.register_version
    assert first.probe_version != second.probe_version


def test_official_rounds_are_made_up_and_say_so(register):
    """The simulated rounds are labelled. The latest has an integration score and names agencies of the register."""
    assert register.evaluation is not None
    assert "(Simulated" in register.evaluation.note
    first, *_, latest = register.evaluation.rounds
    assert first.overall_percent is None
    assert latest.dimension_percent[INTEGRATION] == 47.5
    assert (latest.agencies, latest.services_and_subservices) == (len(register.agencies), len(register.services))
    names = agencies_by_name(register)
    assert all(match_agency(names, named) for named in latest.announced_top_agencies)


def test_readers_are_told_something_of_everything(register):
    """There are announcements of each kind, objections in each state, maintenance, and mostly legal bases for links."""
    assert sorted(one.kind for one in register.announcements) == sorted(AnnouncementKind)
    assert sorted(one.state for one in register.objections) == sorted(ObjectionState)
    assert {register.links[one.link].absent for one in register.objections} == {True, False}
    assert any(one.updates for one in register.announcements)
    assert any(one.agencies and one.links for one in register.announcements)
    assert [one.subject for one in register.maintenance] == [BUS]
    cited = [link for link in register.links.values() if link.legal_basis]
    assert 0.5 < len(cited) / len(register.links) < 1


def test_every_text_is_there_in_both_languages(register):
    """No text is missing or equal in the other language, and Persian has its own letters."""
    pairs = [(agency.name_en, agency.name_fa) for agency in register.agencies.values()]
    pairs += [(service.name_en, service.name_fa) for service in register.services.values()]
    government = register.policy.government
    pairs.append((government.name_en, government.name_fa))
    for announced in register.announcements:
        pairs += [(announced.title_en, announced.title_fa), (announced.text_en, announced.text_fa)]
        pairs += [(update.text_en, update.text_fa) for update in announced.updates]
    for objection in register.objections:
        pairs.append((objection.text_en, objection.text_fa))
        if objection.state is not ObjectionState.OPEN:
            pairs.append((objection.answer_en, objection.answer_fa))
    for english, persian in pairs:
        assert english.isascii(), english
        assert any("\u0600" <= letter <= "\u06ff" for letter in persian), persian
        assert not {*persian} & {*"يك"}, persian


def test_what_is_announced_follows_the_start_of_the_run(tmp_path):
    """The same run has the same announcements, and another run has its own times."""
    first = loaded(tmp_path / "a", "small", first_slot=360_000_000)
    again = loaded(tmp_path / "b", "small", first_slot=360_000_000)
    other = loaded(tmp_path / "c", "small", first_slot=370_000_000)
    assert first.announcements == again.announcements != other.announcements
    assert {one.id for one in first.announcements} == {one.id for one in other.announcements}
    start = min(one.start for one in first.announcements if one.kind is not AnnouncementKind.CHANGE_OF_METHOD)
    assert start == first.policy.epoch
