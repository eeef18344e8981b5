"""A bad register is refused as a whole, with the file, line, column and reason of every fault."""

from __future__ import annotations

from pathlib import Path

from services.register.directory.load import load_register
from tests.support.cases.registers.faults import faults
from tests.support.registers import register_files, write_register


def test_ids_names_and_owners(tmp_path: Path) -> None:
    """Bad, repeated and unknown ids each have a fault. A reference to a row with another fault has none."""
    agencies = """\
id,name_en,name_fa,sector,staff,until,merged_into
tax-office,Tax,,economy,many,,
Tax Office,Tax,,economy,,,
customs,,,economy,-5,2026-02-30,
customs,Customs,,eco nomy,,1403-05-01,nobody
civil-registry,Civil,,justice,,,civil-registry
land-registry,Land,,,,,
"""
    directory = write_register(tmp_path, agencies_csv=agencies, services_csv=("birth-certificate,civil-registry", ","))
    links = (directory / "links.csv").read_text()
    (directory / "links.csv").write_text(
        links.replace("deed-civil,title-deed,civil-registry", "deed-civil,title-deed,land-registry")
    )
    assert faults(directory) == [
        "agencies.csv:2:25: staff: `many` is not a whole number",
        "agencies.csv:3:1: id: `Tax Office` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "agencies.csv:4:9: name_en: is empty, and so is name_fa: one of them must be given",
        "agencies.csv:4:19: staff: `-5` is negative",
        "agencies.csv:4:22: until: `2026-02-30` does not exist in the calendar",
        "agencies.csv:5:1: id: `customs` is already the id of line 4",
        "agencies.csv:6:33: merged_into: an agency cannot merge into itself",
        "agencies.csv:7:21: sector: is empty",
        "links.csv:2:11: service: `birth-certificate` is not in services.csv",
        "links.csv:3:23: provider: `land-registry` owns service `title-deed` itself: a link needs another agency",
        "services.csv:2:1: id: is empty",
    ]


def test_links(tmp_path: Path) -> None:
    """Every fault of a link is reported, each at its own cell."""
    links = """\
id,service,provider,data_item,required_from,required_until,live_from,probe,target,params,vantages,latency_ms,max_age_s,slo,weight
a,title-deed,tax-office,x,2026-02-01,2026-02-01,always,page,http://h/,,,,,,
b,title-deed,nobody,x,,,soon,page,http://h/,,,,,,
c,no-service,tax-office,x,,,always,,,,,,,,
d,title-deed,tax-office,d,,,always,no-probe,ftp://h/,,east,0,-1,1,-2
e,title-deed,tax-office,e,,,always,inquiry,http://h/${code},"{""code"": ""1"", ""code"": 2}",,,,,
f,title-deed,tax-office,f,,,always,inquiry,http://h/${code},"{""national_id"": [1]}",,,,,
g,title-deed,tax-office,g,,,always,inquiry,http://h/,"{""national_id"": [1]}",,,,,
h,title-deed,tax-office,h,,,always,page,http://h/$,[1],,3000,,,
i,title-deed,,,,,,,,{,,,,,
j,title-deed,tax-office,x,2026-01-01,2026-03-01,,,,,,,,,NaN
"""
    assert faults(write_register(tmp_path, links_csv=links)) == [
        "links.csv:2:38: required_until: is not after required_from",
        "links.csv:3:14: provider: `nobody` is not in agencies.csv",
        "links.csv:3:25: live_from: `soon` is not a date: write YYYY-MM-DD",
        "links.csv:4:3: service: `no-service` is not in services.csv",
        "links.csv:4:36: probe: is empty: what is live must be probed",
        "links.csv:4:37: target: is empty: what is live must be probed",
        "links.csv:5:36: probe: `no-probe` is not in probes.yaml",
        "links.csv:5:45: target: `ftp://h/` does not begin with http:// or https:// or grpc:// or grpcs:// or tcp:// or tls:// or dns://",
        "links.csv:5:55: vantages: `east` is not a vantage of policy.yaml",
        "links.csv:5:60: latency_ms: `0` is not above 0",
        "links.csv:5:62: max_age_s: `-1` is negative",
        "links.csv:5:65: slo: `1` is not between 0 and 1",
        "links.csv:5:67: weight: `-2` is negative",
        "links.csv:6:61: params: not JSON we can use: a key is there twice",
        "links.csv:7:61: params: `code` is missing, but the target or probe contains `${code}`",
        "links.csv:8:54: params: `national_id` is not a text, a number, true or false",
        "links.csv:9:41: target: a `$` must begin `${name}`: write `$$` for a dollar",
        "links.csv:9:52: params: is neither a JSON object nor a list of them",
        "links.csv:9:57: latency_ms: the timeout of probe `page`, 5 s, is below twice the latency limit of 3000 ms",
        "links.csv:10:14: provider: is empty",
        "links.csv:10:15: data_item: is empty",
        "links.csv:10:21: params: not JSON: Expecting property name enclosed in double quotes at character 2",
        "links.csv:11:1: id: service, provider and data_item are those of link `a`, and so are some days",
        "links.csv:11:57: weight: `NaN` is not a number",
    ]


def test_probes(tmp_path: Path) -> None:
    """Every fault of a probe definition is reported, each at its own value."""
    probes = r"""
inquiry:
  kind: http
  methood: GET
  method: FETCH
  headers:
    Authorization: Bearer abc
    Bad Name: x
    X-A: "${"
  body: 'costs $5'
  auth: {kind: basic, username: u, password: hunter2, key: "env:K"}
  tls: {ca: ca.pem, verify: maybe, server_name: tax..example}
  redirects: sometimes
  timeout: 5
  body_limit: 1MB
  expect:
    status: [200, 99]
    headers: {content-type: "a(b"}
    body: {must: ["(?=x)"], must_not: no}
    json:
      - {path: "$.a[", equals: 1}
      - {equals: null, type: text}
    record: {"a..": 1}
    fresh: {path: "$.updated", header: age}
page:
  kind: dns
  timeout: 150s
Old Probe:
  kind: smtp
empty: {}
page:
  kind: http
"""
    assert faults(write_register(tmp_path, probes_yaml=probes)) == [
        "probes.yaml:4:3: key `methood` is unknown with kind http; known are kind, version, method, headers, body, auth, tls, proxy, ip, redirects, timeout, body_limit, expect",
        "probes.yaml:5:11: method: `FETCH` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        "probes.yaml:7:20: Authorization: credentials stand under `auth`, by reference",
        "probes.yaml:8:15: Bad Name: `Bad Name` is not a header name",
        "probes.yaml:9:10: X-A: a `$` must begin `${name}`: write `$$` for a dollar",
        "probes.yaml:10:9: body: a `$` must begin `${name}`: write `$$` for a dollar",
        "probes.yaml:11:46: password: a secret stands only by reference: write env:NAME or file:PATH",
        "probes.yaml:11:55: key `key` is unknown with kind basic; known are kind, username, password",
        "probes.yaml:12:13: ca: `ca.pem` is not a reference: write file:PATH",
        "probes.yaml:12:29: verify: `maybe` is not one of true, false",
        "probes.yaml:12:49: server_name: `tax..example` is not a server's name",
        "probes.yaml:13:14: redirects: `sometimes` is not one of follow, none",
        "probes.yaml:14:12: timeout: `5` is not a duration: write a number and ms, s, m, h or d, such as 5s",
        "probes.yaml:15:15: body_limit: `1MB` is not a size: write a number and B, KiB, MiB or GiB, such as 1MiB",
        "probes.yaml:17:19: status: `99` is not an HTTP status, nor a range of them such as 200-299",
        "probes.yaml:18:29: content-type: `a(b` is not RE2: missing ): a(b",
        "probes.yaml:19:19: must: `(?=x)` is not RE2: invalid perl operator: (?=",
        "probes.yaml:19:39: must_not: is not a list",
        "probes.yaml:21:16: path: `$.a[` is not JSONPath: unbalanced brackets",
        "probes.yaml:22:9: key `path` is missing",
        "probes.yaml:22:18: equals: null cannot be compared: write `type: null`",
        "probes.yaml:22:30: type: `text` is not one of string, number, integer, boolean, object, array, null",
        "probes.yaml:23:14: record: `$.a..` is not JSONPath: bald descendant segment",
        "probes.yaml:24:12: fresh: needs one of `path`, `xpath`, `header`",
        "probes.yaml:26:3: key `query` is missing",
        "probes.yaml:27:12: timeout: 150 s is not below half the slot of 300 s",
        "probes.yaml:28:1: probe: `Old Probe` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "probes.yaml:29:9: kind: `smtp` is not one of http, soap, xroad-rest, xroad-soap, grpc, tcp, tls, dns, journey",
        "probes.yaml:30:8: key `kind` is missing",
        "probes.yaml:31:1: key `page` is there twice",
    ]


def test_policy(tmp_path: Path) -> None:
    """Every fault of a policy is reported, each at its own value."""
    policy = """\
government: {id: Iran, name: Iran}
timezone: Asia/Tehren
epoch: yesterday
slot_seconds: 0
windows_days: [7, seven, 7]
publish_threshold: 1.2
grace_hours: -1
vantages:
  - {id: north, control_targets: [udp://x:1, "tcp://x", "http://u:p@x/", "http://10.0.0.256/"]}
  - {id: north}
egress: {allow: [10.0.0.1/8, everywhere], allow_loopback: perhaps}
bus: no-endpoint
default_latency_ms: 3s
levels: [0.99, 0.95]
colour: red
open_data: {publisher: Court, licence: CC-BY-4.0, url: "https://peyvand.example/data?x=1"}
"""
    assert faults(write_register(tmp_path, policy_yaml=policy)) == [
        "links.csv:9:144: vantages: `south` is not a vantage of policy.yaml",
        "policy.yaml:1:13: key `name_en` is missing",
        "policy.yaml:1:18: id: `Iran` is not an id: at most 63 of a-z, 0-9 and `-`, beginning with a letter or a digit",
        "policy.yaml:1:24: key `name` is unknown; known are id, name_en, name_fa",
        "policy.yaml:2:11: timezone: `Asia/Tehren` is not a time zone: write a name such as Asia/Tehran",
        "policy.yaml:3:8: epoch: `yesterday` is not a time: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+hh:mm",
        "policy.yaml:4:15: slot_seconds: `0` is not above 0",
        "policy.yaml:5:15: windows_days: needs from 1 to 12 numbers of days, each once",
        "policy.yaml:5:19: windows_days: `seven` is not a whole number",
        "policy.yaml:6:20: publish_threshold: `1.2` is not between 0 and 1",
        "policy.yaml:7:14: grace_hours: `-1` is negative",
        "policy.yaml:9:35: control_targets: `udp://x:1` does not begin with http:// or https:// or tcp://",
        "policy.yaml:9:46: control_targets: `tcp://x` names no port",
        "policy.yaml:9:57: control_targets: the URL holds credentials: give them by reference under `auth`",
        "policy.yaml:9:74: control_targets: `http://10.0.0.256/` names a host that is neither an address nor a name",
        "policy.yaml:10:5: control_targets: needs at least one: without it the vantage's own failures would count against targets",
        "policy.yaml:10:10: id: `north` is already the id of line 9",
        "policy.yaml:11:18: allow: `10.0.0.1/8` is not a network: 10.0.0.1/8 has host bits set",
        "policy.yaml:11:30: allow: `everywhere` is not a network: 'everywhere' does not appear to be an IPv4 or IPv6 network",
        "policy.yaml:11:59: allow_loopback: `perhaps` is not one of true, false",
        "policy.yaml:12:6: bus: `no-endpoint` is not in endpoints.csv",
        "policy.yaml:13:21: default_latency_ms: `3s` is not a whole number",
        "policy.yaml:14:9: levels: needs two shares, of level 3 and of level 4, the second not below the first",
        "policy.yaml:15:1: key `colour` is unknown; known are government, timezone, epoch, slot_seconds, windows_days, publish_threshold, grace_hours, vantages, egress, bus, default_latency_ms, default_max_age_s, levels, open_data, findings",
        "policy.yaml:16:13: key `publisher` is unknown; known are publisher_en, publisher_fa, licence, url",
        "policy.yaml:16:40: licence: `CC-BY-4.0` does not begin with http:// or https://",
        "policy.yaml:16:56: url: `https://peyvand.example/data?x=1` is not the address of a folder: it has a query or a fragment",
    ]


def test_whole_numbers_have_a_limit(tmp_path: Path) -> None:
    """A whole number that no message can hold is a fault."""
    links = register_files()["links.csv"].replace("liens,,,,,,,,,,,", "liens,,,,,,,,4294967296,4294967295,,")
    assert faults(write_register(tmp_path, links_csv=links)) == [
        "links.csv:6:54: latency_ms: `4294967296` is above 4294967295"
    ]


def test_null_is_no_value(tmp_path: Path) -> None:
    """A required value that is null is a fault, and no default replaces it."""
    policy = register_files()["policy.yaml"].replace("Asia/Tehran", "null").replace("2026-01-01", "~")
    probes = ("page:\n  kind: http\n", "page:\n  kind: http\n  expect: {json: [{path: null}]}\n")
    assert faults(write_register(tmp_path, policy_yaml=policy, probes_yaml=probes)) == [
        "policy.yaml:2:11: timezone: is empty",
        "policy.yaml:3:8: epoch: is empty",
        "probes.yaml:13:26: path: is empty",
    ]


def test_a_timeout_that_nobody_wrote(tmp_path: Path) -> None:
    """Slots too short for the default timeout are reported at the definition, with what to write."""
    probes = ("page:\n  kind: http\n  timeout: 5s", "page:\n  kind: http")
    directory = write_register(tmp_path, probes_yaml=probes, policy_yaml=("slot_seconds: 300", "slot_seconds: 10"))
    assert faults(directory) == [
        "probes.yaml:6:12: timeout: 5 s is not below half the slot of 10 s",
        "probes.yaml:11:1: timeout: the default of 5 s is not below half the slot of 10 s: write `timeout` with less than 5 s, or longer slots",
    ]


def test_a_late_live_from_column_is_no_surprise(tmp_path: Path) -> None:
    """Links with probes but no live_from column are refused, because all of them would silently count as absent."""
    links = "id,service,provider,data_item,probe,target\na,title-deed,tax-office,x,page,http://h/\n"
    assert faults(write_register(tmp_path, links_csv=links)) == [
        "links.csv:1:1: column `live_from` is missing: without it every link counts as absent, yet some have a probe"
    ]


def test_a_service_whose_links_weigh_nothing(tmp_path: Path) -> None:
    """All-zero weights are refused at the service's first link, because they give no shares."""
    links = register_files()["links.csv"].replace("north; south,,,,", "north; south,,,,0")
    assert faults(write_register(tmp_path, links_csv=links)) == [
        "links.csv:9:160: weight: every link of service `import-permit` has weight 0: give the service weight 0 instead"
    ]


def test_bus_and_routes_must_exist(tmp_path: Path) -> None:
    """Members, routes and announcements must refer to existing ids."""
    directory = write_register(
        tmp_path,
        members_csv="member,agency\nIR/GOV,tax-office\nIR/GOV/1,nobody\n",
        exchange_csv="client,service,link\nIR/GOV/1,IR/GOV/2/S,deed-x\n",
        maintenance_csv="subject,from,to,note\nwho,2026-01-02,2026-01-01,\nbus,2026-01-02,,\n",
    )
    assert faults(directory) == [
        "exchange.csv:2:10: service: `IR/GOV/2/S` is not INSTANCE/CLASS/CODE/SUBSYSTEM/service",
        "exchange.csv:2:21: link: `deed-x` is not in links.csv",
        "maintenance.csv:2:1: subject: `who` is not in the agencies, links and endpoints",
        "maintenance.csv:2:16: to: is not after `from`",
        "maintenance.csv:3:16: to: is empty",
        "members.csv:2:1: member: `IR/GOV` is not INSTANCE/CLASS/CODE or INSTANCE/CLASS/CODE/SUBSYSTEM",
        "members.csv:3:10: agency: `nobody` is not in agencies.csv",
    ]


def test_structures_cannot_stand_within_a_text(tmp_path: Path) -> None:
    """A param that is a list may be an expected value by itself, but not part of an expected text."""
    links = register_files()["links.csv"].replace('""0000000002""', "[1]")
    probes = register_files()["probes.yaml"].replace('  body: \'{"national_id": "${national_id}"}\'\n', "")
    load_register(write_register(tmp_path, links_csv=links, probes_yaml=probes))
    directory = write_register(
        tmp_path, links_csv=links, probes_yaml=probes.replace('"${national_id}"}', '"no ${national_id}"}')
    )
    assert faults(directory) == ["links.csv:9:108: params: `national_id` is not a text, a number, true or false"]
