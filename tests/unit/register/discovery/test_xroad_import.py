"""Registers are proposed from X-Road's lists."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.cli.commands.register import app
from services.collector.config import XroadSource, read_sources
from services.core.errors import InputError, SettingsError
from services.register.directory.load import load_register
from services.register.discovery.proposal import write_files
from services.register.discovery.xroad_import import import_xroad
from services.register.discovery.xroad_lists import XRoadDirectory, read_into
from tests.support.cases.registers.xroad_lists import EPOCH, METHODS, rows

ALLOWED = """<E:Envelope xmlns:E="e" xmlns:x="x" xmlns:id="i"><E:Header>
<x:client><id:xRoadInstance>DEV</id:xRoadInstance><id:memberClass>ORG</id:memberClass><id:memberCode>1111111-1</id:memberCode>
<id:subsystemCode>BLAH</id:subsystemCode></x:client></E:Header><E:Body><x:allowedMethodsResponse><x:service>
<id:xRoadInstance>DEV</id:xRoadInstance><id:memberClass>ORG</id:memberClass><id:memberCode>1234567-8</id:memberCode>
<id:subsystemCode>TEST</id:subsystemCode><id:serviceCode>person</id:serviceCode><id:serviceVersion>v1</id:serviceVersion>
</x:service></x:allowedMethodsResponse></E:Body></E:Envelope>"""


def test_the_listed_clients_are_agencies(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """The real answer of listClients gives 7 agencies, one per member, whatever its name and code hold."""
    found = import_xroad([data_file("xroad_listClients_FI_sample.xml")], EPOCH)
    write_files(found.files, tmp_path / "fi")
    register = load_register(tmp_path / "fi")
    assert len(register.agencies) == len(register.members) == 7
    assert register.agencies["gofore"].name_en == "Gofore"
    named = {member.id: member.agency for member in register.members}
    assert named["FI/GOV/1710128-9"] == "gofore"
    assert named['FI/GOV/PWNED<script>console.log("OWNED!")<%2Fscript>'] == "a-href-hacker-a"
    assert (register.links, register.services, register.endpoints) == ({}, {}, {})
    told = [item.reason.partition(": ")[0] for item in found.left_out]
    assert told == ["sectors", "services", "links", "control targets", "X-Road services"]


def test_the_global_configuration_gives_servers_too(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """The real shared-params.xml gives 2 agencies, endpoints for their security servers, and sources to complete."""
    found = import_xroad([data_file("xroad_shared-params.xml")], EPOCH)
    write_files(found.files, tmp_path / "dev")
    register = load_register(tmp_path / "dev")
    assert {agency.name_en for agency in register.agencies.values()} == {"TEST", "TEST2"}
    assert {endpoint.target for endpoint in register.endpoints.values()} == {
        "tcp://x-road-ss:5500",
        "tcp://x-road-ss-test:5500",
    }
    sources = tmp_path / "dev" / "sources.yaml"
    sources.write_text("xroad: {client: DEV/ORG/1234567-8/TEST, url: http://127.0.0.1/}\n" + sources.read_text())
    assert [source.server for source in read_sources(sources) if isinstance(source, XroadSource)] == [
        "DEV/ORG/1111111-1/ss2",
        "DEV/ORG/1234567-8/ss1",
    ]


def test_every_security_server_is_a_source(tmp_path: Path) -> None:
    """A server with an IPv6 literal is an endpoint with brackets around it. A server without an address, or with a bad
    one, is reported and has no endpoint. It is still a source.
    """
    addresses = ["2001:db8::1", "[2001:db8::2]", "10.0.0.1", "ss_1.example.org", "", "not an address"]
    servers = "".join(
        f"<securityServer><owner>m</owner><serverCode>ss{number}</serverCode><address>{address}</address></securityServer>"
        for number, address in enumerate(addresses)
    )
    (tmp_path / "shared-params.xml").write_text(
        "<conf><instanceIdentifier>IR</instanceIdentifier><member id='m'><memberClass><code>GOV</code></memberClass>"
        f"<memberCode>1</memberCode><name>Tax</name></member>{servers}</conf>"
    )
    found = import_xroad([tmp_path / "shared-params.xml"], EPOCH)
    write_files(found.files, tmp_path / "ir")
    assert [(row[0], row[4]) for row in rows(tmp_path / "ir", "endpoints.csv")] == [
        ("tax-ss0", "tcp://[2001:db8::1]:5500"),
        ("tax-ss1", "tcp://[2001:db8::2]:5500"),
        ("tax-ss2", "tcp://10.0.0.1:5500"),
        ("tax-ss3", "tcp://ss_1.example.org:5500"),
    ]
    assert len(load_register(tmp_path / "ir").endpoints) == 4
    sources = tmp_path / "ir" / "sources.yaml"
    sources.write_text("xroad: {client: IR/GOV/1, url: http://127.0.0.1/}\n" + sources.read_text())
    assert [source.server for source in read_sources(sources) if isinstance(source, XroadSource)] == [
        f"IR/GOV/1/ss{number}" for number in range(6)
    ]
    assert [item.reason.partition(": ")[0] for item in found.left_out][:2] == ["IR/GOV/1/ss4", "IR/GOV/1/ss5"]


@pytest.mark.parametrize("content", [json.dumps(METHODS), ALLOWED])
def test_a_byte_order_mark_is_no_content(content: str) -> None:
    """A byte order mark at the beginning of a list makes no difference, in XML and in JSON."""
    marked, plain = XRoadDirectory(), XRoadDirectory()
    read_into(marked, content.encode("utf-8-sig"))
    read_into(plain, content.encode())
    assert marked == plain


def test_who_may_call_what_is_listed_to_start_from(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """AllowedMethods gives client and service, and listMethods only the service, both under the agencies' ids."""
    (tmp_path / "allowed.xml").write_text(ALLOWED)
    (tmp_path / "methods.json").write_text(json.dumps(METHODS))
    files = [data_file("xroad_shared-params.xml"), tmp_path / "allowed.xml", tmp_path / "methods.json"]
    write_files(import_xroad(files, EPOCH).files, tmp_path / "dev")
    load_register(tmp_path / "dev")
    assert rows(tmp_path / "dev", "xroad_services.csv") == [
        ["", "", "test", "DEV/ORG/1234567-8/TEST/a%2Fb"],
        ["test2", "DEV/ORG/1111111-1/BLAH", "test", "DEV/ORG/1234567-8/TEST/person"],
    ]


def test_names_that_fold_to_the_same_id_stay_apart(tmp_path: Path) -> None:
    """Equal names are distinguished by code. Names or codes that cannot form an id get a generated one."""
    members = [
        ("GOV", "1", "Tax"),
        ("GOV", "2", "tax!"),
        ("COM", "3", "مالیات"),
        ("سازمان", "ثبت", ""),
        ("GOV", "4", ""),
    ]
    told = [
        {"id": {"xroad_instance": "IR", "member_class": kind, "member_code": code}, "name": name}
        for kind, code, name in members
    ]
    (tmp_path / "clients.json").write_text(json.dumps({"member": told}))
    found = import_xroad([tmp_path / "clients.json"], EPOCH)
    write_files(found.files, tmp_path / "ir")
    ids = [row[0] for row in rows(tmp_path / "ir", "agencies.csv")]
    assert ids[:4] == ["com-3", "tax", "tax-gov-2", "gov-4"]
    assert ids[4].startswith("member-")
    assert len(load_register(tmp_path / "ir").agencies) == 5
    assert [item.reason.partition(": ")[0] for item in found.left_out[:2]] == ["IR/GOV/4", "IR/سازمان/ثبت"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty: name an answer of listClients"),
        ("<html/>", "the file is another kind of XML: name an answer of listClients"),
        ("<html>CANARY", "the file is not XML (line 1, column 13): name an answer of listClients"),
        ("{}", "the file is another kind of JSON: name an answer of listClients"),
        ("[]", "the file is another kind of JSON: name an answer of listClients"),
        ("{", "the file is not JSON (line 1, column 2): name an answer of listClients"),
        ("CANARY,agency\n", "the file is neither XML nor JSON: name an answer of listClients"),
        ("PK\x03\x04CANARY", "the file is neither XML nor JSON: name an answer of listClients"),
        ('{"member": [1]}', "it holds an entry that is no object"),
        ('{"member": [{"id": {"xroad_instance": "CANARY"}}]}', "it holds an identifier without instance"),
        ('{"service": [{"service_code": "CANARY"}]}', "it holds an identifier without instance"),
        ('<!DOCTYPE a [<!ENTITY e "x">]><clientList>&e;</clientList>', "the file declares entities"),
        ("<clientList/>", "it names no member: name an answer of listClients"),
        (
            "<conf><securityServer><serverCode>s</serverCode></securityServer></conf>",
            "it holds a security server without",
        ),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    """A file that is none of the four lists is refused with a reason that omits its content."""
    (tmp_path / "list").write_text(content)
    with pytest.raises(InputError) as caught:
        import_xroad([tmp_path / "list"], EPOCH)
    [fault] = caught.value.faults
    assert fault.reason.startswith(reason)
    assert "CANARY" not in fault.reason


def test_every_file_that_is_no_list_is_named(tmp_path: Path) -> None:
    """A directory and a missing file are told apart, and lists that name no member together are all named."""
    (tmp_path / "empty.xml").write_text("<clientList/>")
    with pytest.raises(InputError) as caught:
        import_xroad([tmp_path, tmp_path / "missing", tmp_path / "empty.xml"], EPOCH)
    assert [fault.reason for fault in caught.value.faults] == [
        "it is a directory: name the lists in it",
        "the file is missing",
    ]
    with pytest.raises(InputError, match="the import from X-Road is refused: 1 fault"):
        import_xroad([tmp_path / "empty.xml"], EPOCH)


@settings(max_examples=200)
@given(st.sampled_from([ALLOWED.encode(), json.dumps(METHODS).encode()]), st.data())
def test_a_damaged_list_is_read_or_refused(content: bytes, data: st.DataObject) -> None:
    """Cuts and insertions anywhere in a list raise a ValueError at worst."""
    at = data.draw(st.integers(0, len(content)))
    middle = data.draw(st.binary(max_size=6) | st.sampled_from([b"<", b"&", b"[]", b"null", b'"']))
    outcome = "it is read"
    try:
        read_into(XRoadDirectory(), content[:at] + middle + content[at + data.draw(st.integers(0, 20)) :])
    except ValueError as error:
        outcome = str(error)
    assert outcome, "it is refused without a reason"


def test_a_list_is_fetched_from_its_url(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    """A URL is fetched and read like a file. A failure is one sentence."""
    body = data_file("xroad_listClients_FI_sample.xml").read_bytes()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.startswith("/listClients") else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        arguments = ["import", "xroad", f"{url}/listClients?xRoadInstance=FI", "--out", str(tmp_path / "fi")]
        result = CliRunner().invoke(app, arguments)
        with pytest.raises(SettingsError) as caught:
            CliRunner().invoke(app, ["import", "xroad", f"{url}/x", "--out", "o"], catch_exceptions=False)
        server.shutdown()
    assert result.exit_code == 0
    assert "listClients: links: what the law requires is not listed" in result.stdout
    assert len(load_register(tmp_path / "fi").agencies) == 7
    assert str(caught.value) == (
        f"{url}/x cannot be fetched: it answered with HTTP status 404; check the address, or save the list and name its file"
    )
