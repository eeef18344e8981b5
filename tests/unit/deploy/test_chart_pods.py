"""The pods that the chart renders are hardened, complete and reachable."""

from __future__ import annotations

import json

import pytest

from services.core.metrics.table import TABLE
from services.core.settings import METRICS_PORTS
from services.prober.transport.egress import _REFUSED
from tests.support.cases.chart import EVERYTHING, LEAST, documents, of_kind, pods_of, selects
from tests.support.commands import faults, settings_of, unknown_variables
from tests.support.helm_chart import CHART, Document, render

__all__ = ["documents"]  # the fixture


_NO_PLACE = ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fec0::/10", "ff00::/8")
"""Refused addresses that belong to no network: unspecified, multicast, reserved."""


def test_no_pod_reaches_what_a_prober_refuses() -> None:
    """The NetworkPolicy of probers and collectors excludes every network that the prober itself refuses."""
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(render(LEAST), "NetworkPolicy")}
    (outside,) = (spec for name, spec in policies.items() if name.endswith("-outside"))
    (egress,) = outside["egress"]
    left_out = {cidr for peer in egress["to"] for cidr in peer["ipBlock"]["except"]}
    assert left_out == {str(network) for network in _REFUSED} - {*_NO_PLACE}


def test_pods_may_do_nothing_but_their_work(documents: list[Document]) -> None:
    """No pod has root, a capability or a cluster token. It writes only state and /tmp, and its memory is limited."""
    for name, pod in pods_of(documents):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}
        written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert written <= {"/tmp", "/var/lib/peyvand"}
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            *(volume["name"] for volume in spec["volumes"]),
            *(["state"] if "/var/lib/peyvand" in written else []),
        }


def test_pods_are_asked_for_their_health(documents: list[Document]) -> None:
    """Readiness follows /health. Liveness follows /metrics, so that an absent bus gets no component killed."""
    for _, pod in pods_of(documents):
        (container,) = pod["spec"]["containers"]
        if container["name"] in METRICS_PORTS:
            assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
            assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            own = {"api": {"grpc": 7410}, "console": {"http": 7411}}.get(container["name"], {})
            assert ports == {"metrics": 7420, **own}


def test_pods_name_what_exists(documents: list[Document]) -> None:
    """Commands, flags and variables of every pod exist, and the files that variables name are mounted."""
    names = set()
    for _, pod in pods_of(documents):
        (container,) = pod["spec"]["containers"]
        assert faults(container["args"]) == []
        given = {one["name"]: one.get("value", "") for one in container["env"] if one["name"].startswith("PEYVAND_")}
        component = container["args"][0]
        assert unknown_variables(component, given) == []
        folders = [mount["mountPath"] for mount in container["volumeMounts"]]
        files = [value for value in given.values() if value.startswith("/")]
        assert all(any(f"{file}/".startswith(f"{folder}/") for folder in folders) for file in files)
        names.add(component)
    assert "prober" in names


ITS_OWN = {"nats", "nats_ca", "nats_certificate", "nats_key", "credentials", "data", "metrics"} | {
    *("vantage", "prober", "bus", "sources"),  # set by the chart itself
    *("archive_key", "listen", "certificate", "key", "client_ca", "clients", "client_crl"),  # own values of the chart
    *("replay", "replay_seconds", "alias"),  # for trials
    *(
        "console",
        "api",
        "api_ca",
        "api_certificate",
        "api_key",
        "oidc_secret",
        "session_key",
    ),  # own values of the console
    *("rounds", "open_data"),  # volumes
}
"""Settings that the chart does not offer under `settings`."""


def test_what_is_frozen_and_exported_is_shown() -> None:
    """Volumes of rounds and open data are mounted where the settings of api and console look for them."""
    shown = {}
    for name, pod in pods_of(render(EVERYTHING)):
        (container,) = pod["spec"]["containers"]
        volumes = {one["name"]: one.get("persistentVolumeClaim") for one in pod["spec"]["volumes"]}
        claims = {one["mountPath"]: volumes.get(one["name"]) for one in container["volumeMounts"]}
        shown[name.rpartition("-")[2]] = {
            one["name"]: claims[one["value"]]
            for one in container["env"]
            if one["name"] in ("PEYVAND_ROUNDS", "PEYVAND_OPEN_DATA")
        }
    rounds, open_data = ({"claimName": name, "readOnly": True} for name in ("rounds", "open-data"))
    assert shown["api"] == {"PEYVAND_ROUNDS": rounds}
    assert shown["console"] == {"PEYVAND_ROUNDS": rounds, "PEYVAND_OPEN_DATA": open_data}
    assert not any(given for name, given in shown.items() if name not in ("api", "console"))


def test_settings_of_the_chart_are_those_of_components() -> None:
    """Under `settings`, a component, vantage or bus takes all but the chart's own settings, each with its type."""
    whole = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    schema = whole["properties"]
    for component in ("prober", "scorer", "archive", "collector", "api", "console"):
        allowed = schema[component]["properties"]["settings"]
        if "$ref" in allowed:
            allowed = whole["definitions"][allowed["$ref"].rpartition("/")[2]]
        assert set(allowed["properties"]) == settings_of(component) - ITS_OWN
    assert schema["vantages"]["items"]["properties"]["settings"] == schema["prober"]["properties"]["settings"]
    assert schema["buses"]["items"]["properties"]["settings"] == schema["collector"]["properties"]["settings"]
    pods = dict(pods_of(render(EVERYTHING)))
    given = {
        one["name"]: one.get("value") for one in pods["bus-watch-peyvand-prober-south"]["spec"]["containers"][0]["env"]
    }
    assert given["PEYVAND_SPOOL_LIMIT"] == "1073741824"
    assert given["PEYVAND_PREFER_X25519"] == "true"
    assert given["PEYVAND_VANTAGE"] == "south"
    given = {
        one["name"]: one.get("value")
        for one in pods["bus-watch-peyvand-collector-xroad"]["spec"]["containers"][0]["env"]
    }
    assert given["PEYVAND_SPAN_DAYS"] == "2.5"
    given = {one["name"]: one.get("value") for one in pods["bus-watch-peyvand-api"]["spec"]["containers"][0]["env"]}
    assert given["PEYVAND_CLIENT_CRL"] == "/etc/peyvand/clients/crl.pem"


@pytest.mark.parametrize(
    ("nats", "ports"),
    [
        ({"url": "tls://nats:4222"}, [4222]),
        ({"url": "tls://nats"}, [4222]),
        ({"url": "tls://nats:7422/"}, [7422]),
        ({"url": "tls://a:7422,tls://[2001:db8::1],tls://[2001:db8::2]:7422"}, [7422, 4222]),
        ({"url": "tls://nats:443", "port": 4222}, [4222]),
    ],
)
def test_pods_may_reach_the_bus_where_its_address_is(nats: dict[str, str | int], ports: list[int]) -> None:
    """The NetworkPolicy allows egress to the ports of the bus's URLs, or to the port that is given instead."""
    policies = {
        one["metadata"]["name"]: one["spec"] for one in of_kind(render({**LEAST, "nats": nats}), "NetworkPolicy")
    }
    _, to_the_bus = policies["bus-watch-peyvand"]["egress"]
    assert to_the_bus["ports"] == [{"port": port, "protocol": "TCP"} for port in ports]


@pytest.mark.parametrize(
    ("console", "ports"),
    [
        ({}, [[7410]]),
        ({"api": {"address": "tls://api.example:443"}}, [[7410, 443]]),
        ({"api": {"address": "tls://[2001:db8::7]:7410"}}, [[7410]]),
        ({"settings": {"audience": "signed", "oidc_issuer": "https://id.example/realms/a"}}, [[7410], [443]]),
        ({"settings": {"audience": "signed", "oidc_issuer": "https://id.example:8443/realms/a"}}, [[7410], [8443]]),
    ],
)
def test_the_console_may_reach_what_it_asks(console: dict[str, dict[str, str]], ports: list[list[int]]) -> None:
    """The NetworkPolicy allows egress to the ports of the api and of the provider of identities."""
    values = {**LEAST, "console": {**console, "signIn": {"secret": "sign-in"}}}
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(render(values), "NetworkPolicy")}
    egress = policies["bus-watch-peyvand-console"]["egress"]
    assert [[port["port"] for port in one["ports"]] for one in egress] == ports


@pytest.mark.parametrize("component", ["archive", "scorer", "api"])
def test_who_reads_the_dataset_gets_an_account_for_it(component: str) -> None:
    """Each component that takes the address of a dataset takes the variables and files that its store asks for."""
    account = {"name": "AWS_PROFILE", "value": "reader"}
    volume = {"name": "aws", "secret": {"secretName": "aws"}}
    mount = {"name": "aws", "mountPath": "/etc/aws", "readOnly": True}
    given = {
        "settings": {"archive": "s3://evidence/peyvand"},
        "env": [account],
        "volumes": [volume],
        "volumeMounts": [mount],
    }
    pod = dict(pods_of(render({**LEAST, component: given})))[f"bus-watch-peyvand-{component}"]["spec"]
    (container,) = pod["containers"]
    assert {"name": "PEYVAND_ARCHIVE", "value": "s3://evidence/peyvand"} in container["env"]
    assert account in container["env"]
    assert volume in pod["volumes"]
    assert mount in container["volumeMounts"]


def test_what_selects_finds_its_pods(documents: list[Document]) -> None:
    """Every controller, Service, PodDisruptionBudget and NetworkPolicy selects existing pods and existing ports."""
    pods = [pod for _, pod in pods_of(documents)]
    for one in documents:
        spec = one.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if one["kind"] == "ServiceMonitor" or selector is None:
            continue
        chosen = [pod for pod in pods if selects(selector.get("matchLabels", selector), pod["metadata"]["labels"])]
        assert chosen, one["metadata"]["name"]
        if one["kind"] in ("StatefulSet", "Deployment"):
            assert chosen == [spec["template"]]
        if one["kind"] == "Service":
            for port in spec["ports"]:
                assert all(
                    port["targetPort"] in {p["name"] for p in pod["spec"]["containers"][0]["ports"]} for pod in chosen
                )
    services = {one["metadata"]["name"] for one in of_kind(documents, "Service")}
    assert {one["spec"]["serviceName"] for one in of_kind(documents, "StatefulSet")} <= services


def test_jobs_are_what_the_rules_know() -> None:
    """The ServiceMonitor finds a Service per component, labelled with the job. Our labels win over the operator's."""
    documents = render(EVERYTHING)
    (monitor,) = of_kind(documents, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = [
        one["metadata"]["labels"] for one in of_kind(documents, "Service") if selects(wanted, one["metadata"]["labels"])
    ]
    assert sorted(labels[monitor["spec"]["jobLabel"]] for labels in found) == sorted(METRICS_PORTS.keys() - {"sandbox"})
    (endpoint,) = monitor["spec"]["endpoints"]
    added_by_the_operator = {"namespace", "service", "pod", "container", "endpoint"}
    assert added_by_the_operator & {label for metric in TABLE.values() for label in metric.labels}
    assert endpoint["honorLabels"] is True


def test_the_work_is_divided_as_said() -> None:
    """A vantage is a StatefulSet with its own secret and number of replicas. Its values override the common ones."""
    sets = {one["metadata"]["name"]: one["spec"] for one in of_kind(render(EVERYTHING), "StatefulSet")}
    north, south = (sets[f"bus-watch-peyvand-prober-{name}"] for name in ("north", "south"))
    assert (north["replicas"], south["replicas"]) == (3, 1)
    assert north["template"]["spec"]["nodeSelector"] == {"zone": "north"}
    assert "nodeSelector" not in south["template"]["spec"]
    secrets = [one["template"]["spec"]["volumes"][0]["secret"]["secretName"] for one in (north, south)]
    assert secrets == ["prober-north", "prober-south"]
    assert north["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "2Gi"}}
    budgets = {one["metadata"]["name"] for one in of_kind(render(EVERYTHING), "PodDisruptionBudget")}
    assert budgets == {f"bus-watch-peyvand-{name}" for name in ("prober-north", "scorer", "api", "console")}


def test_a_vantage_elsewhere_is_probers_alone() -> None:
    """Only probers run where the bus, register, scorer, api and console are elsewhere."""
    here = {
        **EVERYTHING,
        "buses": [],
        **{name: {"enabled": False} for name in ("busInit", "register", "scorer", "archive", "api", "console")},
    }
    documents = render(here)
    assert {pod["spec"]["containers"][0]["name"] for _, pod in pods_of(documents)} == {"prober"}
    assert len(of_kind(documents, "StatefulSet")) == 2
