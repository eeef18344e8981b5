"""Definitions of SOAP and X-Road probes and expected documents are read, and each fault has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.probe import Expect, XmlExpectation
from services.register.directory.load import load_register
from tests.support.registers import register_files, write_register

PROBES = register_files()["probes.yaml"]
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def faults(directory: Path) -> list[str]:
    """Return the faults of a register without its path."""
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults]


def of_probes(tmp_path: Path, probes: str) -> list[str]:
    """Return the faults of definitions after the usual ones, with lines counted from their first."""
    before = PROBES.count("\n")
    found = (fault.split(":", 2) for fault in faults(write_register(tmp_path, probes_yaml=PROBES + probes)))
    return [f"{int(line) - before}:{rest}" for _, line, rest in found]


GOOD = f"""\
soap-probe:
  kind: soap
  soap: "1.1"
  action: urn:ask/${{year}}
  body: '<e:Envelope xmlns:e="{SOAP}"><e:Body><q at="${{year}}">${{national_id}} costs $$5</q></e:Body></e:Envelope>'
  expect:
    namespaces: {{t: "urn:t"}}
    xml: [{{path: "//t:id", equals: "${{national_id}}"}}, {{path: "//t:ok"}}]
    record: {{"//t:year": "${{year}}", "//t:sum": 5, "//t:open": true}}
    fresh: {{xpath: "//t:on"}}
rest-probe:
  kind: xroad-rest
  client: IR/GOV/${{code}}/portal
  user_id: IR${{national_id}}
  expect:
    schema: {{type: object, properties: {{a: {{$ref: "#/$defs/a"}}}}, $defs: {{a: {{pattern: "^x"}}}}}}
    xml: [{{path: "/r"}}]
    fresh: {{xpath: "/r/@on"}}
bus-probe:
  kind: xroad-soap
  client: IR/GOV/1001
  service: IR/GOV/2002/registry/getPerson/v1
  body: '<q:getPerson xmlns:q="urn:q"><id>${{national_id}}</id></q:getPerson>'
"""


def test_definitions_that_are_right(tmp_path: Path) -> None:
    """The definitions of the reference are read as they are meant."""
    register = load_register(write_register(tmp_path, probes_yaml=PROBES + GOOD))
    soap, rest, bus = (register.probes[name] for name in ("soap-probe", "rest-probe", "bus-probe"))
    assert (soap.kind, soap.soap, soap.action) == ("soap", "1.1", "urn:ask/${year}")
    assert soap.expect.xml == (XmlExpectation("//t:id", "${national_id}"), XmlExpectation("//t:ok"))
    assert soap.expect.record == {"//t:year": "${year}", "//t:sum": 5, "//t:open": True}
    assert (rest.client, rest.user_id) == ("IR/GOV/${code}/portal", "IR${national_id}")
    assert (bus.client, bus.service) == ("IR/GOV/1001", "IR/GOV/2002/registry/getPerson/v1")
    assert bus.expect == Expect()


def test_messages(tmp_path: Path) -> None:
    """A body that is not a message of its kind is refused with the reason."""
    envelope = f'<e:Envelope xmlns:e="{SOAP}"><e:Body/></e:Envelope>'
    probes = f"""\
a: {{kind: soap}}
b: {{kind: soap, body: '<q>${{id}}'}}
c: {{kind: soap, body: '<${{name}}/>'}}
d: {{kind: soap, body: '<q/>'}}
e: {{kind: soap, soap: "1.2", body: '{envelope}'}}
f: {{kind: soap, body: '<?xml version="1.0" encoding="iso-8859-1"?>{envelope}'}}
g: {{kind: soap, body: '<!DOCTYPE q [<!ENTITY x "y">]><q>&x;</q>'}}
h: {{kind: soap, soap: "2.0", body: '{envelope}', action: 'a"b', version: "2"}}
i: {{kind: xroad-soap, client: A/B/C, service: A/B/C/ask, body: '{envelope}'}}
j: {{kind: xroad-soap, client: A/B/C, service: A/B/C/D/ask/v1, body: '<q:tell xmlns:q="urn:q"/>'}}
k: {{kind: xroad-soap, client: A/B/C, service: "A/B/C/D/${{what}}", body: '<tell/>'}}
"""
    assert of_probes(tmp_path, probes) == [
        "1:4: key `body` is missing",
        "2:23: body: is not XML (line 1, column 9)",
        "3:23: body: is not XML (line 1, column 2)",
        f"4:23: body: is not an envelope of SOAP 1.1: Envelope with Body, of namespace {SOAP}",
        "5:36: body: is not an envelope of SOAP 1.2: Envelope with Body, of namespace http://www.w3.org/2003/05/soap-envelope",
        "6:23: body: declares the encoding iso-8859-1: it is sent as UTF-8",
        "7:23: body: declares entities, which are not read",
        "8:23: soap: `2.0` is not one of 1.1, 1.2",
        "8:134: action: holds a quote, a backslash or a control character",
        "8:141: key `version` is unknown with kind soap; known are kind, soap, action, headers, body, auth, tls, proxy, ip, redirects, timeout, body_limit, expect",
        "9:64: body: is what stands in soap:Body, without the envelope: that is added",
        "10:69: body: its element `tell` is not named as the service, `ask`",
    ]


def test_identifiers(tmp_path: Path) -> None:
    """Identifiers of the bus have their parts, and none is empty. A name from the params counts as one part."""
    probes = """\
a: {kind: xroad-rest}
b: {kind: xroad-rest, client: IR/GOV}
c: {kind: xroad-rest, client: IR/GOV/1/S/x}
d: {kind: xroad-rest, client: "IR/GOV/ /S"}
e: {kind: xroad-rest, client: "${client}"}
f: {kind: xroad-rest, client: IR/GOV/$, version: "1.1"}
g: {kind: xroad-soap, client: A/B/C, service: A/B/C, body: <c/>}
h: {kind: xroad-soap, client: A/B/C, service: A/B/C/D/e/f/g, body: <e/>}
i: {kind: xroad-soap, client: A/B/C, service: A/B/C//e, body: <e/>}
j: {kind: xroad-soap}
"""
    form = "INSTANCE/CLASS/CODE or INSTANCE/CLASS/CODE/SUBSYSTEM"
    service = "INSTANCE/CLASS/CODE/SUBSYSTEM/service, with /version after it or without SUBSYSTEM"
    assert of_probes(tmp_path, probes) == [
        "1:4: key `client` is missing",
        f"2:31: client: `IR/GOV` is not {form}",
        f"3:31: client: `IR/GOV/1/S/x` is not {form}",
        f"4:31: client: `IR/GOV/ /S` is not {form}",
        f"5:31: client: `${{client}}` is not {form}",
        "6:31: client: a `$` must begin `${name}`: write `$$` for a dollar",
        "6:41: key `version` is unknown with kind xroad-rest; known are kind, client, user_id, method, headers, body, auth, tls, proxy, ip, redirects, timeout, body_limit, expect",
        f"7:47: service: `A/B/C` is not {service}",
        f"8:47: service: `A/B/C/D/e/f/g` is not {service}",
        f"9:47: service: `A/B/C//e` is not {service}",
        "10:4: key `body` is missing",
        "10:4: key `client` is missing",
        "10:4: key `service` is missing",
    ]


def test_documents(tmp_path: Path) -> None:
    """XPaths, namespaces, schemas and records that cannot be run as written are refused."""
    probes = f"""\
a:
  kind: soap
  body: '<e:Envelope xmlns:e="{SOAP}"><e:Body/></e:Envelope>'
  expect:
    xml: [{{path: "//["}}, {{path: "//t:a"}}, {{path: "re:test('a', 'b')"}}, {{equals: x}}, {{path: "/a", equals: "$"}}]
    record: {{"//b[": 1, "//c": [1], "//d": null, "//e": "$"}}
    fresh: {{path: "$.a"}}
    json: []
b: {{kind: http, expect: {{namespaces: {{1t: "a", u: ""}}, xml: [{{path: "//u:a"}}], fresh: {{path: "$.a", xpath: "/a"}}}}}}
c: {{kind: http, expect: {{schema: {{type: text}}}}}}
d: {{kind: http, expect: {{schema: {{pattern: "a(?=b)"}}}}}}
e: {{kind: http, expect: {{schema: {{patternProperties: {{"(?!a)": {{}}}}}}}}}}
f: {{kind: http, expect: {{schema: {{properties: {{a: {{$ref: "other.json"}}}}}}}}}}
g: {{kind: http, expect: {{schema: {{$ref: "#/$defs/a"}}}}}}
h: {{kind: http, expect: {{schema: {{$id: "urn:a"}}}}}}
i: {{kind: http, expect: {{schema: {{patternProperties: {{}}, unevaluatedProperties: false}}}}}}
j: {{kind: http, expect: {{schema: {{enum: [{{pattern: "a(?=b)", $ref: x, $id: y}}]}}}}}}
k: {{kind: http, expect: {{schema: {{minLength: 1, $ref: "#/minLength/a"}}}}}}
l: {{kind: http, expect: {{schema: {{title: text, $ref: "#/title/a"}}}}}}
"""
    assert of_probes(tmp_path, probes) == [
        "5:18: path: `//[` is not XPath: invalid expression",
        "5:33: path: `//t:a` is not XPath: prefix `t` is not among `namespaces`",
        "5:50: path: `re:test('a', 'b')` is not XPath 1.0: it has no function `re:test`",
        "5:72: key `path` is missing",
        "5:106: equals: a `$` must begin `${name}`: write `$$` for a dollar",
        "6:13: record: `//c` must be a text, a number, true or false: what it is compared with is text",
        "6:13: record: `//d` must be a text, a number, true or false: what it is compared with is text",
        "6:14: record: `//b[` is not XPath: invalid expression",
        "6:57: //e: a `$` must begin `${name}`: write `$$` for a dollar",
        "7:12: fresh: needs one of `xpath`, `header`",
        "7:13: key `path` is unknown; known are xpath, header",
        "8:5: key `json` is unknown; known are refused, status, headers, body, xml, namespaces, record, fresh, tls, certificate",
        "9:39: `1t` is not a prefix of XPath",
        "9:51: u: is empty",
        "9:69: path: `//u:a` is not XPath: prefix `u` is not among `namespaces`",
        "9:87: fresh: needs one of `path`, `xpath`, `header`",
        "10:34: schema: is not JSON Schema: 'text' is not valid under any of the given schemas at $.type",
        "11:34: schema: `a(?=b)` is not RE2: invalid perl operator: (?=",
        "12:34: schema: `(?!a)` is not RE2: invalid perl operator: (?!",
        "13:34: schema: refers to `other.json`, another document: put it under `$defs`",
        "14:34: schema: refers to `#/$defs/a`, which is not there",
        "15:34: schema: holds `$id`: a schema is known by its place alone",
        "16:34: schema: holds `unevaluatedProperties` beside `patternProperties`: write `additionalProperties`",
        "18:34: schema: refers to `#/minLength/a`, which is not there",
        "19:34: schema: refers to `#/title/a`, which is not there",
    ]


def test_params_that_break_a_message(tmp_path: Path) -> None:
    """The message must still be XML with its params filled in, and params for XML must be texts."""
    probes = PROBES.replace("inquiry:\n", "other:\n") + (
        "inquiry:\n  kind: soap\n"
        f"  body: '<e:Envelope xmlns:e=\"{SOAP}\"><e:Body>${{national_id}}</e:Body></e:Envelope>'\n"
        '  expect: {xml: [{path: "//x", equals: "${more}"}], record: {"//y": "${even}"}}\n'
    )
    links = register_files()["links.csv"].replace('""}"', '"", ""more"": 1, ""even"": true}"')
    load_register(write_register(tmp_path, probes_yaml=probes, links_csv=links))
    wrong = links.replace('""0000000002"", ""more"": 1', '""A & B"", ""more"": 1')
    wrong = wrong.replace('""0000000001"", ""more"": 1, ""even"": true', '""1"", ""more"": [1], ""even"": [2]')
    assert faults(write_register(tmp_path, probes_yaml=probes, links_csv=wrong)) == [
        "links.csv:5:115: params: `even` is not a text, a number, true or false",
        "links.csv:5:115: params: `more` is not a text, a number, true or false",
        "links.csv:9:108: params: they make the body of probe `inquiry` something that is not XML",
    ]
