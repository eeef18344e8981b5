"""Probe definitions below HTTP are read: line protocols, STARTTLS, DNS queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.probe import DnsQuery, Expect, LineStep, RecordPatterns
from services.core.model.register import Register
from services.register.directory.load import load_register
from tests.support.registers import PROBES, write_register


def _with(tmp_path: Path, probe: str, endpoint: str) -> Register:
    """Load a register with one more probe and one more endpoint."""
    directory = write_register(tmp_path, probes_yaml=PROBES + probe)
    with (directory / "endpoints.csv").open("a", encoding="utf-8") as file:
        file.write(endpoint)
    return load_register(directory)


def _faults(tmp_path: Path, probe: str, endpoint: str = "") -> list[str]:
    with pytest.raises(InputError) as refused:
        _with(tmp_path, probe, endpoint)
    return [str(fault).removeprefix(f"{tmp_path}/") for fault in refused.value.faults]


def test_a_talk_and_a_question_are_read(tmp_path: Path) -> None:
    """Line protocols keep order, carriage returns and placeholders; queries keep type, transport and expectations."""
    probe = r"""
mail:
  kind: tcp
  lines:
    - {expect: "^220"}
    - {send: "EHLO ${who}\r", expect: "^250"}
    - {starttls: true}
zone:
  kind: dns
  query: {name: "${zone}", type: soa, transport: tcp, recursion: false}
  expect: {rcode: [nxdomain], authority: {must: [SOA], must_not: [hostmaster]}}
"""
    endpoints = (
        'mail,tax-office,,mail,tcp://127.0.0.1:25,"{""who"": ""monitor.example""}",\n'
        'zone,tax-office,,zone,dns://127.0.0.1,"{""zone"": ""tax.example""}",\n'
    )
    probes = _with(tmp_path, probe, endpoints).probes
    assert probes["mail"].lines == (
        LineStep(expect="^220"),
        LineStep(expect="^250", send="EHLO ${who}\r"),
        LineStep(starttls=True),
    )
    assert probes["zone"].query == DnsQuery("${zone}", "SOA", "tcp", recursion=False)
    assert probes["zone"].expect == Expect(rcode=("NXDOMAIN",), authority=RecordPatterns(("SOA",), ("hostmaster",)))


def test_bad_talks_and_questions_are_faults(tmp_path: Path) -> None:
    """Bad types, names, transports, protocols, patterns and lines are faults, each at its place."""
    probe = r"""
talk:
  kind: tcp
  lines: [{}, {send: "a\nb"}, {expect: "(", starttls: true}, {starttls: true}, {say: x, send: y}, {expect: , send: ""}]
secure:
  kind: tls
  starttls: ftp
bad:
  kind: dns
  query: {name: "a..b", type: ADDRESS, transport: quic}
none:
  kind: dns
  query: {type: A}
"""
    assert _faults(tmp_path, probe) == [
        "probes.yaml:17:10: lines: switches to TLS twice",
        "probes.yaml:17:11: needs one of `expect`, `send`, `starttls`, `expect_hex`, `send_hex`",
        "probes.yaml:17:22: send: holds a line break: a line ends by itself, and each is an item of its own",
        "probes.yaml:17:40: expect: `(` is not RE2: missing ): (",
        "probes.yaml:17:81: key `say` is unknown; known are expect, send, starttls, prompt, expect_hex, send_hex",
        "probes.yaml:17:107: expect: is empty",
        "probes.yaml:17:116: send: is empty",
        "probes.yaml:20:13: starttls: `ftp` is not one of smtp, imap, postgres",
        "probes.yaml:23:17: name: `a..b` is not a domain name",
        "probes.yaml:23:31: type: `ADDRESS` is not a record type: one of A, AAAA, ANY, CAA, CDS, CERT, CNAME, DNAME, DNSKEY, DS, HTTPS, LOC, MX, NAPTR, NS, OPENPGPKEY, PTR, RP, RRSIG, SOA, SRV, SSHFP, SVCB, TLSA, TXT",
        "probes.yaml:23:51: transport: `quic` is not one of udp, tcp, tls",
        "probes.yaml:26:10: key `name` is missing",
    ]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"who": "a\\nQUIT", "zone": "b"}, "params: they put a line break into a line to send"),
        ({"who": "a\\n", "zone": "b"}, "params: they put a line break into a line to send"),
        ({"who": "a", "zone": "b..c"}, "params: `b..c` is not a domain name"),
    ],
)
def test_params_that_spoil_what_is_sent(tmp_path: Path, params: dict[str, str], reason: str) -> None:
    """Params that put a line break into a line, or make a query's name invalid, are faults at the params."""
    probe = """
mail:
  kind: tcp
  lines: [{send: "HELO ${who}"}]
zone:
  kind: dns
  query: {name: "${zone}"}
"""
    endpoints = (
        f'mail,tax-office,,mail,tcp://127.0.0.1:25,"{{""who"": ""{params["who"]}""}}",\n'
        f'zone,tax-office,,zone,dns://127.0.0.1,"{{""zone"": ""{params["zone"]}""}}",\n'
    )
    (fault,) = _faults(tmp_path, probe, endpoints)
    assert fault.endswith(reason)


def test_groups_prompts_and_bytes_are_read(tmp_path: Path) -> None:
    """Groups, prompts and bytes are read. Groups missing in the last pattern and conflicting keys are faults."""
    good = r"""
chat:
  kind: tcp
  lines:
    - {expect: "PING (.)", send: 'PONG \1'}
    - {send: 'again \1'}
    - {expect: "login: ", prompt: true}
    - {expect_hex: "53 5348", send_hex: "0A"}
"""
    endpoint = "chat,tax-office,,chat,tcp://127.0.0.1:25,,\n"
    lines = _with(tmp_path / "good", good, endpoint).probes["chat"].lines
    assert (lines[0].send, lines[2].prompt, lines[3].expect_hex, lines[3].send_hex) == (
        "PONG \\1",
        True,
        "535348",
        "0a",
    )
    bad = r"""
chat:
  kind: tcp
  lines:
    - {expect: "PING (.)", send: 'PONG \2', expect_hex: "5"}
    - {send: x, prompt: true}
"""
    assert [fault.partition(": ")[2] for fault in _faults(tmp_path / "bad", bad)] == [
        "send: uses group \\2, but the last `expect` has 1",
        "expect_hex: `5` is not bytes in hexadecimal digits, such as 53 53 48",
        "expect_hex: cannot be given with `expect`",
        "prompt: needs `expect`",
    ]


def test_what_a_name_server_must_say_is_read(tmp_path: Path) -> None:
    """Class, transport and patterns for every record are read. A section that must be empty allows nothing else."""
    good = """
zone:
  kind: dns
  query: {name: tax.example, class: ch, transport: tls}
  expect: {authoritative: true, answers: {every: [TXT]}, additional: {empty: true}}
"""
    probe = _with(tmp_path / "good", good, "zone,tax-office,,zone,dns://127.0.0.1,,\n").probes["zone"]
    assert probe.query == DnsQuery("tax.example", transport="tls", record_class="CH")
    assert probe.expect == Expect(
        authoritative=True, answers=RecordPatterns(every=("TXT",)), additional=RecordPatterns(empty=True)
    )
    bad = good.replace("{empty: true}", "{empty: true, every: [A]}")
    assert [fault.partition(": ")[2] for fault in _faults(tmp_path / "bad", bad)] == [
        "empty: cannot be given with `must` or `every`: it requires that there is no record"
    ]
