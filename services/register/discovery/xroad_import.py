"""Proposes a register from X-Road's lists: agencies, their members, security servers, and permitted calls.

X-Road lists who can call whom, but not the inquiries that the law requires. So links.csv and services.csv have only
their headers, and the listed services are in a separate file, as a basis for editing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from hashlib import blake2b
from ipaddress import IPv6Address
from pathlib import Path

from services.core.errors import Fault, InputError
from services.core.model import member_of
from services.core.spreadsheets import csv_text
from services.register.discovery.proposal import (
    RegisterProposal,
    omission,
    proposed_policy,
    register_files,
    slug,
    to_yaml,
    unused_id,
)
from services.register.discovery.xroad_lists import ListedServer, XRoadDirectory, read_into
from services.register.reading import read_target

_MESSAGES_PORT = 5500  # of a security server towards others
_CONTROL = "tcp://192.0.2.1:443"  # an unused address (RFC 5737), to be replaced


def import_xroad(files: Sequence[Path], epoch: date) -> RegisterProposal:
    """Propose a register with this epoch from the lists in ``files``.

    Raises InputError with the fault of each bad file.
    """
    directory = read_lists(files)
    ids = _ids(directory)
    instance = min(directory.members).partition("/")[0]
    return RegisterProposal(_files(directory, ids, instance, epoch), tuple(_unknown(directory, files[0].name)))


def read_lists(files: Sequence[Path]) -> XRoadDirectory:
    """Merge the lists in ``files``. Raises InputError with the fault of each bad file."""
    directory = XRoadDirectory()
    faults = []
    for file in files:
        try:
            read_into(directory, file.read_bytes())
        except IsADirectoryError:
            faults.append(Fault(str(file), 0, 0, "it is a directory: name the lists in it"))
        except FileNotFoundError:
            faults.append(Fault(str(file), 0, 0, "the file is missing"))
        except OSError as error:
            faults.append(Fault(str(file), 0, 0, f"the file cannot be read: {error.strerror}"))
        except ValueError as error:
            faults.append(Fault(str(file), 0, 0, str(error)))
    if not faults and not directory.members:
        reason = "it names no member: name an answer of listClients, or shared-params.xml"
        faults = [Fault(str(file), 0, 0, reason) for file in files]
    if faults:
        raise InputError("the import from X-Road", faults)
    return directory


def _ids(directory: XRoadDirectory) -> dict[str, str]:
    """Return an agency id for each member: its name or, when that is taken or empty, its class and code."""
    members: dict[str, str] = {}
    for member, name in sorted(directory.members.items()):
        code = member.partition("/")[2]
        otherwise = f"member-{blake2b(member.encode(), digest_size=8).hexdigest()}"
        members[unused_id(members, name, f"{slug(name)}-{slug(code)}", code, otherwise)] = member
    return {member: agency for agency, member in members.items()}


def _files(directory: XRoadDirectory, ids: dict[str, str], instance: str, epoch: date) -> dict[str, str]:
    servers = sorted(directory.servers)
    offers = sorted(
        (ids[member_of(offer.client)] if offer.client else "", offer.client, offer.service)
        for offer in directory.offers
    )
    names = _server_ids(servers, ids)
    government = {"id": slug(instance) or "government", "name_en": instance}
    files = register_files(
        agencies=(
            (ids[member], name or ids[member], "", slug(member.split("/")[1]) or "other")
            for member, name in sorted(directory.members.items())
        ),
        endpoints=(
            (names[server], ids[server.owner], "", "connects", _target(server)) for server in servers if _target(server)
        ),
        probes={"connects": {"kind": "tcp", "timeout": "5s"}},
        policy=proposed_policy(government, epoch, [_CONTROL]),
    )
    files["members.csv"] = csv_text(
        [("member", "agency"), *((member, ids[member]) for member in sorted(directory.members))]
    )
    if servers:
        sources = [{"id": names[server], "kind": "xroad", "server": server.id} for server in servers]
        files["sources.yaml"] = to_yaml({"sources": sources})
    if offers:
        rows = ((consumer, client, ids[member_of(service)], service) for consumer, client, service in offers)
        files["xroad_services.csv"] = csv_text([("consumer", "client", "provider", "service"), *rows])
    return files


def _server_ids(servers: Sequence[ListedServer], ids: dict[str, str]) -> dict[ListedServer, str]:
    named: dict[str, ListedServer] = {}
    for server in servers:
        named[unused_id(named, f"{ids[server.owner][:40]}-{server.id.rpartition('/')[2]}")] = server
    return {server: name for name, server in named.items()}


def _target(server: ListedServer) -> str:
    """Return the target of a security server; empty when its address cannot be connected to."""
    try:
        return read_target(f"tcp://{_host(server.address)}:{_MESSAGES_PORT}", "tcp")
    except ValueError:
        return ""


def _host(address: str) -> str:
    """Return the address as in a URL: IPv6 between brackets."""
    try:
        return f"[{IPv6Address(address)}]"
    except ValueError:
        return address


def _unknown(directory: XRoadDirectory, file: str) -> Iterator[Fault]:
    """Yield what the lists do not contain, and what to do about it."""
    for member, name in sorted(directory.members.items()):
        if not name:
            yield omission(file, 0, member, "its name is not listed: give one in agencies.csv")
    for server in sorted(directory.servers):
        if not _target(server):
            yield omission(
                file, 0, server.id, "its address cannot be connected to: in sources.yaml, but without an endpoint"
            )
    yield omission(file, 0, "sectors", "X-Road knows member classes alone: review sector in agencies.csv")
    yield omission(file, 0, "services", "what agencies offer to people is not listed: write services.csv")
    yield omission(file, 0, "links", "what the law requires is not listed: write links.csv")
    reason = f"policy.yaml names {_CONTROL}, which never answers: name addresses that your network must reach"
    yield omission(file, 0, "control targets", reason)
    if directory.offers:
        yield omission(
            file, 0, "xroad_services.csv", "lists services and their permitted clients: start links.csv from it"
        )
    else:
        yield omission(file, 0, "X-Road services", "none are listed: add answers of listMethods and allowedMethods")
    if directory.servers:
        yield omission(file, 0, "sources.yaml", "names the servers: add the client that asks them, and its URL")
