"""Errors of the operating system are mapped to causes."""

from __future__ import annotations

import errno

import pytest

from services.prober.observation import Cause, Failure, Phase
from services.prober.transport.kernel import lacks_family, most_telling, os_error_cause


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.EPERM, Cause.LOCAL_RESOURCES),
        (errno.ENOBUFS, Cause.LOCAL_RESOURCES),
        (errno.ENOMEM, Cause.LOCAL_RESOURCES),
        (errno.EMFILE, Cause.LOCAL_RESOURCES),
        (errno.EADDRNOTAVAIL, Cause.LOCAL_RESOURCES),
        (errno.EAFNOSUPPORT, Cause.LOCAL_RESOURCES),
        (errno.ENETUNREACH, Cause.UNREACHABLE),
        (errno.EHOSTUNREACH, Cause.UNREACHABLE),
        (errno.ETIMEDOUT, Cause.TIMEOUT),
        (errno.ECONNREFUSED, Cause.REFUSED),
    ],
)
def test_whose_fault_a_failed_connection_is(number: int, cause: Cause) -> None:
    """A full connection-tracking table and any other lack on this machine are our own fault. Other errors are not."""
    assert os_error_cause(OSError(number, "")) is cause


@pytest.mark.parametrize(
    ("causes", "speaks"),
    [
        ((Cause.REFUSED, Cause.UNREACHABLE), 0),
        ((Cause.UNREACHABLE, Cause.REFUSED), 1),
        ((Cause.LOCAL_RESOURCES, Cause.REFUSED), 1),
        ((Cause.TIMEOUT, Cause.UNREACHABLE), 0),
        ((Cause.REFUSED, Cause.REFUSED), 0),
        ((Cause.LOCAL_RESOURCES,), 0),
    ],
)
def test_28_which_address_speaks_for_all(causes: tuple[Cause, ...], speaks: int) -> None:
    """A refusal tells more than a missing route, in any order. Of equals, the preferred IP version's failure counts."""
    failures = [Failure(Phase.CONNECT, cause, str(number)) for number, cause in enumerate(causes)]
    assert most_telling(failures) is failures[speaks]


@pytest.mark.parametrize(
    ("number", "address", "lacks"),
    [
        (errno.EADDRNOTAVAIL, "2001:db8::1", True),
        (errno.EAFNOSUPPORT, "2001:db8::1", True),
        (errno.EADDRNOTAVAIL, "192.0.2.1", False),
        (errno.EMFILE, "2001:db8::1", False),
    ],
)
def test_28_a_machine_without_ipv6_goes_on(number: int, address: str, lacks: bool) -> None:
    """Errors of an IPv6 address on a kernel without IPv6 do not end the attempts. Other local errors do."""
    assert lacks_family(OSError(number, ""), address) is lacks
