"""Behaviour 25: STARTTLS, TLS without HTTP, talks in lines. Not a test itself."""

from __future__ import annotations

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, Case
from tests.conformance.servers import leaf
from tests.conformance.talkers import Peer, imap, postgres, smtp, talker

__all__ = ["CASES"]


_SMTP = "kind: tls\nstarttls: smtp\ntls: {ca: file:ca.pem}"
_THEIR_SMTP = r"""
prober: tcp
tcp:
  tls_config: {ca_file: ca.pem}
  query_response:
    - expect: "^220 "
    - send: "EHLO prober\r"
    - expect: "^250[ -]STARTTLS"
    - send: "STARTTLS\r"
    - expect: "^220 "
    - starttls: true
"""
_LINES = r"""
kind: tcp
tls: {ca: file:ca.pem}
lines:
  - {expect: "^220 ", send: "EHLO prober\r"}
  - {expect: "^250[ -]STARTTLS"}
  - {expect: "^250 ", send: "STARTTLS\r"}
  - {expect: "^220 ", starttls: true}
  - {send: "EHLO prober\r"}
  - {expect: "^250 ", send: "QUIT\r"}
  - {expect: "^221 "}
"""
_THEIR_LINES = r"""
prober: tcp
tcp:
  tls_config: {ca_file: ca.pem}
  query_response:
    - {expect: "^220 ", send: "EHLO prober\r"}
    - {expect: "^250[ -]STARTTLS"}
    - {expect: "^250 ", send: "STARTTLS\r"}
    - {expect: "^220 ", starttls: true}
    - {send: "EHLO prober\r"}
    - {expect: "^250 ", send: "QUIT\r"}
    - {expect: "^221 "}
"""
_THEIR_IMAP = r"""
prober: tcp
tcp:
  tls_config: {ca_file: ca.pem}
  query_response:
    - expect: "OK.*STARTTLS"
    - send: "a STARTTLS\r"
    - expect: "^a OK"
    - starttls: true
"""
_THEIR_POSTGRES = r"""
prober: tcp
tcp:
  tls_config: {ca_file: ca.pem}
  query_response:
    - send: "\x00\x00\x00\x08\x04\xd2\x16\x2f"
    - expect: "^S"
    - starttls: true
"""

_STARTTLS = (
    Case(
        25,
        "STARTTLS of a mail server",
        talker(smtp(), leaf()),
        _SMTP,
        _THEIR_SMTP,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30, "chain_expiry": 30},
    ),
    Case(
        25,
        "STARTTLS written out line by line",
        talker(smtp(), leaf(), scheme="tcp"),
        _LINES,
        _THEIR_LINES,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30, "chain_expiry": 30},
    ),
    Case(
        25,
        "STARTTLS of a mailbox",
        talker(imap, leaf()),
        _SMTP.replace("smtp", "imap"),
        _THEIR_IMAP,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30},
    ),
    Case(
        25,
        "STARTTLS that is not agreed to",
        talker(smtp(agrees=False), leaf()),
        _SMTP,
        _THEIR_SMTP,
        Reason.STARTTLS_REFUSED,
        FAILS,
        {"earliest_expiry": None},
    ),
    Case(
        25,
        "STARTTLS that is not offered",
        talker(smtp(offers=False, agrees=False), leaf()),
        _SMTP,
        _THEIR_SMTP.replace('    - expect: "^250[ -]STARTTLS"\n', ""),
        Reason.STARTTLS_REFUSED,
        FAILS,
        {"earliest_expiry": None},
    ),
    Case(
        25,
        "STARTTLS to an expired certificate",
        talker(smtp(), leaf(days=(-30, -2))),
        _SMTP,
        _THEIR_SMTP,
        Reason.CERTIFICATE_EXPIRED,
        FAILS,
        our_facts={"earliest_expiry": -2},
        their_facts={"earliest_expiry": None},
        differs="facts are known of certificates that are not believed; blackbox_exporter has none then",
    ),
    Case(
        25,
        "STARTTLS to a self-signed certificate that is not verified",
        talker(smtp(), leaf(self_signed=True)),
        "kind: tls\nstarttls: smtp\ntls: {verify: false}",
        _THEIR_SMTP.replace("ca_file: ca.pem", "insecure_skip_verify: true"),
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30},
    ),
    Case(
        25,
        "STARTTLS of PostgreSQL",
        talker(postgres, leaf()),
        _SMTP.replace("smtp", "postgres"),
        _THEIR_POSTGRES,
        Reason.OK,
        FAILS,
        our_facts={"earliest_expiry": 30},
        their_facts={"earliest_expiry": None},
        differs="PostgreSQL is not asked in lines; the line feed that blackbox_exporter adds spoils the handshake",
    ),
)


def _silent(peer: Peer) -> None:
    peer.leave()


def _secure(peer: Peer) -> None:
    peer.secure()
    peer.leave()


def _hello(peer: Peer) -> None:
    peer.say(b"ready\n")
    peer.say(b"pong\n" if peer.line() == b"ping\n" else b"what?\n")


def _chat(peer: Peer) -> None:
    peer.say(b"PING :4711\n")
    peer.say(b"welcome\n" if peer.line() == b"PONG 4711\n" else b"what?\n")


_TLS = "kind: tls\ntls: {ca: file:ca.pem}"
_THEIR_TLS = "prober: tcp\ntcp: {tls: true, tls_config: {ca_file: ca.pem}}"
_PING = "[{expect: ^ready$, send: ping}, {expect: ^pong$}]"
_PANG = _PING.replace("pong", "pang")

_OVER_TCP = (
    Case(
        25,
        "TLS at once",
        talker(_secure, leaf()),
        _TLS,
        _THEIR_TLS,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30, "chain_expiry": 30},
    ),
    Case(25, "TLS to what speaks none", talker(_hello), _TLS, _THEIR_TLS, Reason.TLS_NOT_SPOKEN, FAILS),
    Case(25, "a connection and no more", talker(_silent, scheme="tcp"), "kind: tcp", "prober: tcp", Reason.OK, PASSES),
    Case(
        25,
        "a talk as expected",
        talker(_hello, scheme="tcp"),
        f"kind: tcp\nlines: {_PING}",
        f"prober: tcp\ntcp: {{query_response: {_PING}}}",
        Reason.OK,
        PASSES,
    ),
    Case(
        25,
        "a talk with another line",
        talker(_hello, scheme="tcp"),
        f"kind: tcp\nlines: {_PANG}",
        f"prober: tcp\ntcp: {{query_response: {_PANG}}}",
        Reason.LINE,
        FAILS,
    ),
    Case(
        25,
        "what was said is repeated",
        talker(_chat, scheme="tcp"),
        "kind: tcp\n" r"lines: [{expect: 'PING :(\d+)', send: 'PONG \1'}, {expect: ^welcome$}]",
        "prober: tcp\ntcp: {query_response: [{expect: 'PING :(.+)', send: 'PONG ${1}'}, {expect: ^welcome$}]}",
        Reason.OK,
        PASSES,
    ),
    Case(
        25,
        "what was not said is repeated",
        talker(_chat, scheme="tcp"),
        "kind: tcp\n" r"lines: [{expect: 'PING :(\d)', send: 'PONG \1'}, {expect: ^welcome$}]",
        "prober: tcp\ntcp: {query_response: [{expect: 'PING :(.)', send: 'PONG ${1}'}, {expect: ^welcome$}]}",
        Reason.LINE,
        FAILS,
    ),
)

CASES = (*_STARTTLS, *_OVER_TCP)
