"""Reads X-Road's lists: listClients, shared-params.xml, listMethods and allowedMethods (docs/exchange.md).

Pure. The lists are XML or JSON. Identifiers are written as in logs: parts with slashes between them, a slash within a
part as %2F.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from lxml import etree

from services.core.model import escape_code
from services.core.xml import XmlError, parse_xml

_BOM = b"\xef\xbb\xbf"
_WANTED = "name an answer of listClients, listMethods or allowedMethods, or shared-params.xml"
_MEMBER = ("xRoadInstance", "memberClass", "memberCode")
_CLIENT = (*_MEMBER, "subsystemCode")
_SERVICE = (*_CLIENT, "serviceCode")
_JSON = {
    "xRoadInstance": "xroad_instance",
    "memberClass": "member_class",
    "memberCode": "member_code",
    "subsystemCode": "subsystem_code",
    "serviceCode": "service_code",
}


@dataclass(frozen=True, slots=True, order=True)
class ListedServer:
    """A security server: its identifier (owner/SERVER) and its address."""

    id: str
    owner: str
    address: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An X-Road service, and the client that may call it; the client is empty where the list does not name one."""

    service: str
    client: str


@dataclass(slots=True)
class XRoadDirectory:
    """All lists merged: names by member, subsystems by member, servers, offers and instances.

    ``instances`` are those whose members and subsystems are all listed.
    """

    members: dict[str, str] = field(default_factory=dict)
    subsystems: dict[str, set[str]] = field(default_factory=dict)
    servers: set[ListedServer] = field(default_factory=set)
    offers: set[Offer] = field(default_factory=set)
    instances: set[str] = field(default_factory=set)

    def add(self, parts: Sequence[str], name: str = "") -> str:
        """Add a member, or a subsystem with its member; return its identifier. Raises ValueError."""
        if not 3 <= len(parts) <= 4 or not all(part.strip() for part in parts):
            raise ValueError("it holds an identifier without instance, member class or member code")
        if not all(part.isprintable() and len(part) <= 255 for part in parts):
            raise ValueError("it holds an identifier with control characters, or too long a one")
        member = "/".join(map(_escaped, parts[:3]))
        self.members[member] = self.members.get(member) or " ".join(name.split())
        if len(parts) == 4:
            self.subsystems.setdefault(member, set()).add(_escaped(parts[3]))
        return "/".join(map(_escaped, parts))

    def add_client(self, parts: Sequence[str], name: str = "") -> None:
        """Add a member or subsystem from a list of all clients of its instance. Raises ValueError."""
        self.instances.add(self.add(parts, name).partition("/")[0])


def read_into(directory: XRoadDirectory, content: bytes) -> None:
    """Add the content of one list. Raises ValueError when it is none of the four, or cannot be read."""
    content = content.removeprefix(_BOM).strip()
    if not content:
        raise ValueError(f"the file is empty: {_WANTED}")
    if content.startswith((b"{", b"[")):
        _json(directory, content)
        return
    try:
        root = parse_xml(content)
    except XmlError as error:
        reason = str(error) if content.startswith(b"<") else "is neither XML nor JSON"
        raise ValueError(f"the file {reason}: {_WANTED}") from None
    count = 0
    for name, read in (
        ("clientList", _clients),
        ("conf", _shared),
        ("listMethodsResponse", _methods),
        ("allowedMethodsResponse", _methods),
    ):
        for element in root.iter(f"{{*}}{name}"):
            read(directory, element, root if name == "allowedMethodsResponse" else None)
            count += 1
    if not count:
        raise ValueError(f"the file is another kind of XML: {_WANTED}")


def _escaped(part: str) -> str:
    return escape_code(part.strip())


def _parts(element: etree._Element | None, names: Sequence[str]) -> list[str]:
    texts = [] if element is None else [element.findtext(f"{{*}}{name}") for name in names]
    return [text for text in texts if text is not None]


def _clients(directory: XRoadDirectory, element: etree._Element, _: etree._Element | None) -> None:
    for member in element.iterfind("{*}member"):
        directory.add_client(_parts(member.find("{*}id"), _CLIENT), member.findtext("{*}name") or "")


def _methods(directory: XRoadDirectory, element: etree._Element, envelope: etree._Element | None) -> None:
    """Read services; the message header of allowedMethods names the client that may call them."""
    client = ""
    if envelope is not None and (parts := _parts(envelope.find(".//{*}Header/{*}client"), _CLIENT)):
        client = directory.add(parts)
    for service in element.iterfind("{*}service"):
        _offer(directory, _parts(service, _SERVICE), client)


def _offer(directory: XRoadDirectory, parts: Sequence[str], client: str) -> None:
    directory.offers.add(Offer(f"{directory.add(parts[:-1])}/{_escaped(parts[-1])}", client))


def _shared(directory: XRoadDirectory, element: etree._Element, _: etree._Element | None) -> None:
    """Read the members of shared-params.xml with their subsystems, and the security servers."""
    instance = element.findtext("{*}instanceIdentifier") or ""
    owners: dict[str, tuple[str, ...]] = {}
    for member in element.iterfind("{*}member"):
        parts = (instance, member.findtext("{*}memberClass/{*}code") or "", member.findtext("{*}memberCode") or "")
        directory.add_client(parts, member.findtext("{*}name") or "")
        owners[member.get("id") or ""] = parts
        for subsystem in member.iterfind("{*}subsystem"):
            directory.add((*parts, subsystem.findtext("{*}subsystemCode") or ""))
    for server in element.iterfind("{*}securityServer"):
        owner = owners.get(server.findtext("{*}owner") or "")
        code = server.findtext("{*}serverCode") or ""
        if owner is None or not code.strip():
            raise ValueError("it holds a security server without a code or a known owner")
        name = directory.add(owner)
        address = (server.findtext("{*}address") or "").strip()
        directory.servers.add(ListedServer(f"{name}/{_escaped(code)}", name, address))


def _json(directory: XRoadDirectory, content: bytes) -> None:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        place = f"(line {error.lineno}, column {error.colno})"
        raise ValueError(f"the file is not JSON {place}: {_WANTED}") from None
    members, services = (value.get("member"), value.get("service")) if isinstance(value, dict) else (None, None)
    if not isinstance(members, list) and not isinstance(services, list):
        raise ValueError(f"the file is another kind of JSON: {_WANTED}")  # noqa: TRY004  # a fault of the file
    for member in _objects(members):
        name = member.get("name")
        directory.add_client(_codes(member.get("id"), _CLIENT), name if isinstance(name, str) else "")
    for service in _objects(services):
        _offer(directory, _codes(service, _SERVICE), "")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, dict):
            raise ValueError("it holds an entry that is no object")  # noqa: TRY004  # likewise
        yield item


def _codes(value: Any, names: Sequence[str]) -> list[str]:
    codes = [value.get(_JSON[name]) for name in names] if isinstance(value, dict) else []
    return [code for code in codes if isinstance(code, str)]
