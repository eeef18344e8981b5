"""Behaviours 23-24: expiries, facts of certificates that are not believed. Not a test itself."""

from __future__ import annotations

import ssl

from services.core.model.outcome import Reason
from tests.conformance.case import FAILS, PASSES, YEAR_ONE, Case, Place
from tests.conformance.servers import Context, leaf, secured
from tests.support.servers.authority import Authority, _certificate

__all__ = ["CASES"]

_OURS = "kind: http\ntls: {ca: file:ca.pem}"
_THEIRS = "prober: http\nhttp: {tls_config: {ca_file: ca.pem}}"
_LOOSE = "kind: http\ntls: {verify: false}"
_THEIRS_LOOSE = "prober: http\nhttp: {tls_config: {insecure_skip_verify: true}}"


def _spare(place: Place) -> ssl.SSLContext:
    """A chain of one intermediate, and a stray certificate that has expired."""
    intermediate = place.authority.below("Intermediate", days=(-9, 25))
    stray = place.authority.below("Stray", days=(-9, -2))
    return intermediate.context("127.0.0.1", days=(-1, 20), chain=(intermediate, stray))


def _twice_signed(place: Place) -> ssl.SSLContext:
    """An intermediate with two certificates for its one key, so that there are two chains."""
    old = place.authority.below("Intermediate", days=(-9, 5))
    renewed = _certificate("Intermediate", old.key, place.authority, ca=True, days=(-9, 40))
    return old.context("127.0.0.1", days=(-1, 20), chain=(old, Authority(renewed, old.key, place.folder)))


def _old_intermediate(place: Place) -> ssl.SSLContext:
    """A chain whose intermediate has expired."""
    intermediate = place.authority.below("Intermediate", days=(-9, -2))
    return intermediate.context("127.0.0.1", days=(-5, 20), chain=(intermediate,))


def _no_intermediate(place: Place) -> ssl.SSLContext:
    """A chain that lacks its intermediate."""
    return place.authority.below("Intermediate").context("127.0.0.1", days=(-1, 20))


_EXPIRIES = (
    Case(
        23,
        "the server's own certificate is the earliest",
        secured(leaf()),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 30, "chain_expiry": 30},
    ),
    Case(
        23,
        "a stray certificate is the earliest",
        secured(_spare),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"earliest_expiry": -2, "chain_expiry": 20},
    ),
    Case(
        23,
        "the longest-lived of two chains",
        secured(_twice_signed),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 5, "chain_expiry": 20},
    ),
    Case(
        23,
        "an authority that expires before what it signed",
        secured(leaf(days=(-1, 4000))),
        _OURS,
        _THEIRS,
        Reason.OK,
        PASSES,
        {"earliest_expiry": 4000, "chain_expiry": 3650},
    ),
    Case(
        23,
        "an intermediate that has expired",
        secured(_old_intermediate),
        _OURS,
        _THEIRS,
        Reason.CERTIFICATE_EXPIRED,
        FAILS,
        our_facts={"earliest_expiry": -2},
        their_facts={"earliest_expiry": None},
        differs="facts are known of certificates that are not believed; blackbox_exporter has none then",
    ),
    Case(
        23,
        "an intermediate that is not sent",
        secured(_no_intermediate),
        _OURS,
        _THEIRS,
        Reason.CERTIFICATE_UNTRUSTED,
        FAILS,
    ),
)

_UNBELIEVED = "facts are known of certificates that are not believed: when one has expired is what one wants to know"


def _unbelieved(name: str, tls: Context, reason: Reason, expiry: int) -> Case:
    return Case(
        24,
        name,
        secured(tls),
        _OURS,
        _THEIRS,
        reason,
        FAILS,
        our_facts={"earliest_expiry": expiry, "chain_expiry": None},
        their_facts={"earliest_expiry": None, "chain_expiry": None},
        differs=_UNBELIEVED,
    )


_FACTS = (
    _unbelieved("expired", leaf(days=(-30, -2)), Reason.CERTIFICATE_EXPIRED, -2),
    _unbelieved("not yet valid", leaf(days=(2, 30)), Reason.CERTIFICATE_NOT_YET_VALID, 30),
    _unbelieved("for another name", leaf("other.example"), Reason.CERTIFICATE_NAME_MISMATCH, 30),
    _unbelieved("untrusted", leaf(self_signed=True), Reason.CERTIFICATE_UNTRUSTED, 30),
    Case(
        24,
        "expired and not verified",
        secured(leaf(days=(-30, -2))),
        _LOOSE,
        _THEIRS_LOOSE,
        Reason.OK,
        PASSES,
        {"earliest_expiry": -2},
        {"chain_expiry": None},
        {"chain_expiry": YEAR_ONE},
        "where no chain was verified its expiry is absent; blackbox_exporter reports the year 1",
    ),
)

CASES = (*_EXPIRIES, *_FACTS)
