"""Unwise values of a register are warnings; unusable limits and headers that break requests are faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.register.directory.load import read_directory
from tests.support.registers import PROBES, register_files, write_register


def warnings(directory: Path) -> list[str]:
    """Return the warnings of a good register without its path."""
    return [str(warning).removeprefix(f"{directory}/") for warning in read_directory(directory).warnings]


def faults(directory: Path) -> list[str]:
    """Return the faults of a register without its path."""
    with pytest.raises(InputError) as refused:
        read_directory(directory)
    return [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults]


def _endpoints(*rows: str) -> str:
    return "id,agency,probe,target,params\nbus,customs,page,http://127.0.0.1/,\n" + "".join(f"{row}\n" for row in rows)


UNENCRYPTED = "warning: target: the secret of probe `{}` goes over the network unencrypted: use TLS"
GUARDED = """\
guarded:
  kind: http
  auth: {kind: bearer, token: "env:PROBE_TOKEN"}
called:
  kind: grpc
  auth: {kind: bearer, token: "env:PROBE_TOKEN"}
travelled:
  kind: journey
  steps:
    - {name: one, kind: http, target: "${target}/", capture: {a: {json: $.a}, b: {json: $.b}}}
    - {name: two, kind: http, target: "${target}/${a}", auth: {kind: bearer, token: "env:PROBE_TOKEN"}}
    - {name: three, kind: http, target: "http://pay.example/${a}", auth: {kind: bearer, token: "env:PROBE_TOKEN"}}
    - {name: four, kind: http, target: "${b}", auth: {kind: bearer, token: "env:PROBE_TOKEN"}}
"""


def test_secrets_that_go_unencrypted(tmp_path: Path) -> None:
    """A secret of a probe or step whose target has no TLS gives one warning, at the target."""
    rows = (
        'a,customs,guarded,http://${host}/,"[{""host"": ""tax.example""}, {""host"": ""127.0.0.1""}]"',
        "b,customs,called,grpc://tax.example:1,",
        "c,customs,travelled,http://tax.example,",
        "d,customs,guarded,https://tax.example/,",
        "e,customs,called,grpcs://tax.example:1,",
        "f,customs,page,http://tax.example/,",
    )
    directory = write_register(tmp_path, probes_yaml=PROBES + GUARDED, endpoints_csv=_endpoints(*rows))
    assert warnings(directory) == [
        f"endpoints.csv:3:19: {UNENCRYPTED.format('guarded')}",
        f"endpoints.csv:4:18: {UNENCRYPTED.format('called')}",
        f"endpoints.csv:5:21: {UNENCRYPTED.format('three')}",
        f"endpoints.csv:5:21: {UNENCRYPTED.format('two')}",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.9.9.9", "[::1]", "localhost:80", "LOCALHOST"])
def test_secrets_for_this_machine(tmp_path: Path, host: str) -> None:
    """A secret for loopback, as in the sandbox, gives no warning."""
    endpoints = _endpoints(f"a,customs,guarded,http://{host}/,")
    assert warnings(write_register(tmp_path, probes_yaml=PROBES + GUARDED, endpoints_csv=endpoints)) == []


def test_any_certificate_and_a_plain_issuer(tmp_path: Path) -> None:
    """`verify: false` and a token_url without TLS give warnings at their values."""
    probes = """
lenient: {kind: http, tls: {verify: false}}
trusting: {kind: http, tls: {verify: false}, auth: {kind: bearer, token: "env:PROBE_TOKEN"}}
issued: {kind: http, auth: {kind: oauth2, token_url: "http://sso.example/", client_id: a, client_secret: "env:PROBE_S"}}
local: {kind: http, auth: {kind: oauth2, token_url: "http://127.0.0.1/", client_id: a, client_secret: "env:PROBE_S"}}
"""
    anybody = "warning: verify: any certificate is accepted: anyone on the way can answer for the target"
    assert warnings(write_register(tmp_path, probes_yaml=PROBES + probes)) == [
        f"probes.yaml:15:37: {anybody}",
        f"probes.yaml:16:38: {anybody} and receive the secret of `auth`",
        "probes.yaml:17:54: warning: token_url: the secret of `auth` goes over the network unencrypted: use https",
    ]


def test_services_of_another_agency_than_the_provider_of_their_link(tmp_path: Path) -> None:
    """A mapped service whose member or subsystem is another agency's than the link's provider gives a warning.

    A subsystem takes precedence over its member, and a party that members.csv does not list is nobody's. A member that
    calls itself may have an alias as its provider.
    """
    directory = write_register(
        tmp_path,
        members_csv="member,agency\nIR/GOV/1,customs\nIR/GOV/1/Tax,tax-office\nIR/GOV/1/Land,land-registry\n",
        exchange_csv=(
            "client,service,link\n"
            "IR/GOV/9/A,IR/GOV/1/Tax/clearance,deed-tax\n"
            "IR/GOV/9/A,IR/GOV/1/Other/clearance,deed-tax\n"
            "IR/GOV/9/A,IR/GOV/2/Tax/clearance,deed-tax\n"
            "IR/GOV/1/Land,IR/GOV/1/Other/clearance,deed-tax\n"
        ),
    )
    assert warnings(directory) == [
        (
            "exchange.csv:3:12: warning: service: is of `customs` by members.csv, and the provider of link `deed-tax` is "
            "`tax-office`: check both, unless the two share an information system"
        )
    ]


def test_clients_of_another_agency_than_the_consumer_of_their_link(tmp_path: Path) -> None:
    """A mapped client whose member or subsystem is another agency's than the link's consumer gives a warning, also if
    the member calls itself. A party that members.csv does not list is nobody's.
    """
    directory = write_register(
        tmp_path,
        members_csv="member,agency\nIR/GOV/1,customs\nIR/GOV/1/Land,land-registry\nIR/GOV/2,tax-office\n",
        exchange_csv=(
            "client,service,link\n"
            "IR/GOV/1/Land,IR/GOV/2/Tax/clearance,deed-tax\n"
            "IR/GOV/1/Other,IR/GOV/2/Tax/clearance,deed-tax\n"
            "IR/GOV/9,IR/GOV/2/Tax/clearance,deed-tax\n"
            "IR/GOV/2,IR/GOV/2/Tax/clearance,deed-tax\n"
        ),
    )
    assert warnings(directory) == [
        f"exchange.csv:{line}:1: warning: client: is of `{agency}` by members.csv, and the consumer of link `deed-tax` is "
        "`land-registry`: check both, unless the two share an information system"
        for line, agency in ((3, "customs"), (5, "tax-office"))
    ]


def test_the_register_of_the_tests_has_none(tmp_path: Path) -> None:
    """A register without flaws has no warnings."""
    assert warnings(write_register(tmp_path)) == []


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "TE", "Trailer", "Connection", "Keep-Alive", "Upgrade"]
)
def test_headers_that_delimit_messages(tmp_path: Path, name: str) -> None:
    """Headers that delimit a request, or belong to one connection, are refused, also under `auth`."""
    probes = f"""
sent: {{kind: http, headers: {{{name}: "5"}}}}
shown: {{kind: http, auth: {{kind: api_key, header: {name}, key: "env:PROBE_KEY"}}}}
"""
    why = f"`{name}` cannot be set: it belongs to the connection, not to the request"
    assert faults(write_register(tmp_path, probes_yaml=PROBES + probes)) == [
        f"probes.yaml:15:{32 + len(name)}: {name}: {why}",
        f"probes.yaml:16:51: header: {why}",
    ]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("body_limit: 100GiB", "body_limit: `100GiB` is above 64 MiB"),
        (f"body_limit: {'9' * 400}GiB", f"body_limit: `{'9' * 400}GiB` is above 64 MiB"),
        (f"timeout: {'9' * 400}h", f"timeout: `{'9' * 400}h` is longer than ten years"),
        ("expect: {certificate: {days_left: 9999999d}}", "days_left: `9999999d` is longer than ten years"),
    ],
)
def test_limits_of_probes(tmp_path: Path, limit: str, said: str) -> None:
    """Sizes and durations that no prober could keep are refused at their values."""
    found = faults(write_register(tmp_path, probes_yaml=f"{PROBES}large:\n  kind: http\n  {limit}\n"))
    column = 3 + limit.rindex(": ") + 2
    assert found == [f"probes.yaml:16:{column}: {said}"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("grace_hours: 1000000000000000", "14: grace_hours: `1000000000000000` is not a whole number"),
        ("grace_hours: 169", "14: grace_hours: `169` is above 168, the hours for which the bus keeps measurements"),
        ("windows_days: [3661]", "16: windows_days: `3661` is above 3660, ten years"),
        (
            f"windows_days: [{', '.join(map(str, range(1, 14)))}]",
            "15: windows_days: needs from 1 to 12 numbers of days, each once",
        ),
    ],
)
def test_limits_of_the_policy(tmp_path: Path, limit: str, said: str) -> None:
    """Windows and a grace that no scorer could keep are refused at their values."""
    key, line = limit.partition(":")[0], 5 if limit.startswith("windows") else 7
    policy = register_files()["policy.yaml"].splitlines()
    assert policy[line - 1].startswith(key)
    policy[line - 1] = limit
    assert faults(write_register(tmp_path, policy_yaml="\n".join(policy))) == [f"policy.yaml:{line}:{said}"]


def test_weights_whose_sums_would_not_be_numbers(tmp_path: Path) -> None:
    """A weight near the largest number is refused, because two of them have no finite sum."""
    found = faults(write_register(tmp_path, links_csv=(",0.99,2", ",0.99,1e308")))
    assert found == ["links.csv:4:146: weight: `1e308` is above 1000000000"]
