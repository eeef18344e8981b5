"""The simulated security servers give X-Road's lists, which the import of registers can read."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from services.core.model.exchange import member_of
from services.register.discovery.xroad_import import read_lists
from services.register.discovery.xroad_lists import XRoadDirectory
from services.sandbox.exchanges.data_bus import make_data_bus
from services.sandbox.scenario.scenario import make_scenario
from services.sandbox.security_server.monitoring import OperationalMonitoring
from services.sandbox.servers.replies import ReceivedRequest
from services.sandbox.timing import slot_timing

MADE = make_scenario("small", seed=1, base_port=7500, times=slot_timing(5))
BUS = make_data_bus(MADE)
PROVIDERS = sorted({route.provider for route in BUS.routes})
OWN = "/listMethods"


def told(url: str, body: bytes = b"") -> bytes:
    """Return the body of an answer of the first server."""
    reply = OperationalMonitoring(BUS, lambda: 2_000_000_000.0).reply(0, None, ReceivedRequest(url.encode(), body))
    head, _, content = reply.response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), content
    return content


def soap(provider: str) -> bytes:
    """Return a request for the services of a provider."""
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    parts = "".join(f"<i:{name}>{code}</i:{name}>" for name, code in zip(names, provider.split("/"), strict=True))
    return (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:i="http://x-road.eu/xsd/identifiers" '
        f'xmlns:x="http://x-road.eu/xsd/xroad.xsd"><e:Header><x:service i:objectType="SERVICE">{parts}'
        "<i:serviceCode>listMethods</i:serviceCode></x:service><x:id>id-1</x:id></e:Header>"
        "<e:Body><x:listMethods/></e:Body></e:Envelope>"
    ).encode()


def listed(folder: Path, *answers: bytes) -> XRoadDirectory:
    """Return what the import reads from answers."""
    files = [folder / f"{number}.xml" for number in range(len(answers))]
    for file, answer in zip(files, answers, strict=True):
        file.write_bytes(answer)
    return read_lists(files)


def test_clients_are_all_parties(tmp_path: Path) -> None:
    """ListClients names every member by its agency's name, and every subsystem, including firms."""
    directory = listed(tmp_path, told("/listClients"))
    assert directory.members == dict(BUS.names)
    names = {agency.id: agency.name_en for agency in MADE.agencies}
    assert {member: names[agency] for member, agency in BUS.members.items()}.items() <= directory.members.items()
    parties = {party for route in BUS.routes for party in (route.client, route.provider)} | {BUS.monitor}
    assert {f"{member}/{code}" for member, codes in directory.subsystems.items() for code in codes} == parties


def test_methods_are_listed_by_kind(tmp_path: Path) -> None:
    """REST and SOAP each list a provider's services of their own kind, and together all but those of the bus."""
    rest = listed(tmp_path, told("/listClients"), *(told(f"/r1/{provider}/listMethods") for provider in PROVIDERS))
    of_soap = listed(tmp_path, told("/listClients"), *(told("/", soap(provider)) for provider in PROVIDERS))
    offered = [{offer.service for offer in directory.offers} for directory in (rest, of_soap)]
    declared = [
        {route.service for route in BUS.routes if route.rest is kind and OWN not in route.service}
        for kind in (True, False)
    ]
    assert offered == declared
    assert all(declared)
    assert all(member_of(offer.service) in BUS.members for offer in rest.offers | of_soap.offers)


def test_an_answer_has_the_header_of_its_request() -> None:
    """The answer to a SOAP message has the header of the message."""
    answer = etree.fromstring(told("/", soap(PROVIDERS[0])))
    assert answer.findtext("{*}Header/{*}id") == "id-1"
    assert len(answer.findall("{*}Header")) == 1


def test_an_unknown_provider_offers_nothing(tmp_path: Path) -> None:
    """A provider that does not exist has an empty list."""
    assert told("/r1/SANDBOX/GOV/9999/data/listMethods") == b'{"service":[]}'
    assert not listed(tmp_path, told("/listClients"), told("/", soap("SANDBOX/GOV/9999/data"))).offers
