"""deploy/helm/peyvand, rendered by Helm itself and held to the schemas of Kubernetes and of the Prometheus Operator."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.core.metrics import TABLE
from services.core.settings import METRICS_PORTS
from tests.charts import CHART, Document, render
from tests.commands import faults, settings_of, unknown_variables
from tests.programs import module

ROOT = Path(__file__).parents[3]
OLDEST, NEWEST = "1.25", "1.37"
"""Of Kubernetes: what Chart.yaml takes, and whose schemas there are."""

LEAST = {
    "nats": {"url": "tls://nats:4222"},
    "register": {"volume": {"configMap": {"name": "register"}}},
    "vantages": [{"name": "main", "secret": "peyvand-prober-main"}],
}
EVERYTHING = {
    "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": ["registry"]},
    "nats": {
        "url": "tls://nats-1:4222,tls://nats-2:4222",
        "ca": {"secret": "bus-ca"},
        "certificate": {"secret": "bus-client"},
        "peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    },
    "register": {"volume": {"persistentVolumeClaim": {"claimName": "register", "readOnly": True}}},
    "vantages": [
        {"name": "north", "secret": "prober-north", "replicas": 3, "nodeSelector": {"zone": "north"}},
        {"name": "south", "secret": "prober-south", "replicas": 1, "settings": {"spool_limit": 1 << 30, "inflight": 500}},
    ],
    "prober": {
        "settings": {"prefer_x25519": True, "log_level": "debug"},
        "spool": {"size": "2Gi", "storageClass": "fast"},
        "env": [{"name": "TAX_TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "tax"}}}],
        "volumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
        "volumeMounts": [{"name": "keys", "mountPath": "/etc/keys", "readOnly": True}],
        "tolerations": [{"key": "probing", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    "scorer": {"settings": {"accept_gap": True}},
    "buses": [{"name": "xroad", "secret": "collector", "sources": {"secret": {"secretName": "sources"}}}],
    "api": {"tls": {"secret": "api-tls"}, "clients": {"secret": "api-clients"}, "service": {"annotations": {"a": "b"}}},
    "monitoring": {"enabled": True, "dashboards": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "m"}}}], "apiFrom": [{"podSelector": {}}]},
    "priorityClassName": "high",
    "podAnnotations": {"note": "x"},
    "podLabels": {"team": "data-bus"},
}  # fmt: skip
OFF = ("busInit", "register", "scorer", "api", "monitoring", "networkPolicy", "podDisruptionBudget")
CASES = {
    "least": LEAST,
    "everything": EVERYTHING,
    **{f"without {name}": {**EVERYTHING, name: {"enabled": False}} for name in OFF},
    "all off": {**LEAST, **{name: {"enabled": False} for name in OFF}},
}


def _of(documents: list[Document], kind: str) -> list[Document]:
    return [one for one in documents if one["kind"] == kind]


def _pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    for one in documents:
        if "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.fixture(params=CASES, scope="module")
def documents(request: pytest.FixtureRequest) -> list[Document]:
    """What each case renders to."""
    return render(CASES[request.param])


def test_helm_finds_no_fault() -> None:
    """`helm lint --strict` has nothing to say but that there is no icon."""
    for values in (LEAST, EVERYTHING):
        report = module("helm_python").lint(CHART, values, strict=True)
        assert [one["error"] for one in report["messages"]] == ["icon is recommended"]


def _validate(documents: list[Document], version: str) -> None:
    kubernetes = module("kubernetes_validate")
    for one in documents:
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes.validate(one, version, strict=True)


def test_kubernetes_takes_every_document(documents: list[Document]) -> None:
    """Each document is as the newest Kubernetes asks, with no field that it does not know, and has a name of its own."""
    _validate(documents, NEWEST)
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names) > 1


def test_the_oldest_kubernetes_takes_everything() -> None:
    """Each document is as the oldest Kubernetes asks that Chart.yaml takes."""
    assert f'kubeVersion: ">={OLDEST}.' in (CHART / "Chart.yaml").read_text("utf-8")
    _validate(render(EVERYTHING), OLDEST)


def test_the_operator_takes_what_is_its_own() -> None:
    """ServiceMonitor and PrometheusRules are as its models ask, and none has a field that they leave out."""
    models = module("cloudcoil.models.prometheus_operator.v1")
    found = [one for one in render(EVERYTHING) if one["apiVersion"] == "monitoring.coreos.com/v1"]
    assert len(found) == 4
    for one in found:
        read = getattr(models, one["kind"]).model_validate(one)
        assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == one


def test_what_is_wrong_is_told() -> None:
    """Neither check passes a field that is misspelt."""
    documents = render(EVERYTHING)
    workload = _of(documents, "StatefulSet")[0]
    workload["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    kubernetes = module("kubernetes_validate")
    with pytest.raises(kubernetes.ValidationError, match="imagePolicy"):
        kubernetes.validate(workload, NEWEST, strict=True)
    models = module("cloudcoil.models.prometheus_operator.v1")
    (monitor,) = _of(documents, "ServiceMonitor")
    monitor["spec"]["endpoints"][0]["everySoOften"] = "15s"
    read = models.ServiceMonitor.model_validate(monitor)
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) != monitor


def test_nothing_holds_a_secret(documents: list[Document]) -> None:
    """The chart makes no Secret, and takes none but by name."""
    assert _of(documents, "Secret") == []
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert re.findall(r'"(password|token|seed|key)"', json.dumps(schema["properties"])) == [
        "key"
    ]  # nats.ca.key: a name


def test_pods_may_do_nothing_but_their_work(documents: list[Document]) -> None:
    """No user root, no capability, no token of the cluster, nothing written but state and /tmp, memory within limits."""
    for name, pod in _pods(documents):
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
    """Components are ready by /health; none is killed for a bus that is away, of which /metrics knows nothing."""
    for _, pod in _pods(documents):
        (container,) = pod["spec"]["containers"]
        if container["name"] in METRICS_PORTS:
            assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
            assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert ports == {"metrics": 7420, **({"grpc": 7410} if container["name"] == "api" else {})}


def test_pods_name_what_exists(documents: list[Document]) -> None:
    """Commands, flags and variables of every pod are real ones, and files that variables name are mounted."""
    names = set()
    for _, pod in _pods(documents):
        (container,) = pod["spec"]["containers"]
        assert faults(container["args"]) == []
        given = {one["name"]: one.get("value", "") for one in container["env"] if one["name"].startswith("PEYVAND_")}
        component = container["args"][0]
        assert unknown_variables(component, given) == []
        folders = [mount["mountPath"] for mount in container["volumeMounts"]]
        files = [value for value in given.values() if value.startswith("/")]
        assert all(any(file.startswith(f"{folder}/") for folder in folders) for file in files)
        names.add(component)
    assert "prober" in names


def test_settings_of_the_chart_exist() -> None:
    """What a component may be given under `settings` is a setting of that component's, and is read as what it was."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    for component in ("prober", "scorer", "collector", "api"):
        allowed = schema["properties"][component]["properties"]["settings"]["properties"]
        assert set(allowed) <= settings_of(component)
    pods = dict(_pods(render(EVERYTHING)))
    given = {
        one["name"]: one.get("value") for one in pods["bus-watch-peyvand-prober-south"]["spec"]["containers"][0]["env"]
    }
    assert given["PEYVAND_SPOOL_LIMIT"] == "1073741824"
    assert given["PEYVAND_PREFER_X25519"] == "true"
    assert given["PEYVAND_VANTAGE"] == "south"


def test_what_selects_finds_its_pods(documents: list[Document]) -> None:
    """Every controller, Service, PodDisruptionBudget and NetworkPolicy selects pods that are there, by ports they have."""
    pods = [pod for _, pod in _pods(documents)]
    for one in documents:
        spec = one.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector"))
        if one["kind"] == "ServiceMonitor" or selector is None:
            continue
        chosen = [pod for pod in pods if _selects(selector.get("matchLabels", selector), pod["metadata"]["labels"])]
        assert chosen, one["metadata"]["name"]
        if one["kind"] in ("StatefulSet", "Deployment"):
            assert chosen == [spec["template"]]
        if one["kind"] == "Service":
            for port in spec["ports"]:
                assert all(
                    port["targetPort"] in {p["name"] for p in pod["spec"]["containers"][0]["ports"]} for pod in chosen
                )
    services = {one["metadata"]["name"] for one in _of(documents, "Service")}
    assert {one["spec"]["serviceName"] for one in _of(documents, "StatefulSet")} <= services


def test_jobs_are_what_the_rules_know() -> None:
    """The ServiceMonitor finds a Service per component, whose label is the job; labels that we measure are ours."""
    documents = render(EVERYTHING)
    (monitor,) = _of(documents, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = [
        one["metadata"]["labels"] for one in _of(documents, "Service") if _selects(wanted, one["metadata"]["labels"])
    ]
    assert sorted(labels[monitor["spec"]["jobLabel"]] for labels in found) == sorted(METRICS_PORTS.keys() - {"sandbox"})
    (endpoint,) = monitor["spec"]["endpoints"]
    added_by_the_operator = {"namespace", "service", "pod", "container", "endpoint"}
    assert added_by_the_operator & {label for metric in TABLE.values() for label in metric.labels}
    assert endpoint["honorLabels"] is True


def test_rules_and_dashboards_are_those_of_deploy() -> None:
    """The chart holds no copy: what it renders is what stands in deploy/prometheus/rules and deploy/grafana/dashboards."""
    documents = render(EVERYTHING)
    rules = [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
    ]
    assert [one["spec"] for one in _of(documents, "PrometheusRule")] == rules
    boards = {path.name: path.read_text("utf-8") for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    given = [one["data"] for one in _of(documents, "ConfigMap")]
    assert {name: text for data in given for name, text in data.items()} == boards


def test_the_work_is_divided_as_said() -> None:
    """A vantage is a StatefulSet with its own secret and number; what it says goes before what all say."""
    sets = {one["metadata"]["name"]: one["spec"] for one in _of(render(EVERYTHING), "StatefulSet")}
    north, south = (sets[f"bus-watch-peyvand-prober-{name}"] for name in ("north", "south"))
    assert (north["replicas"], south["replicas"]) == (3, 1)
    assert north["template"]["spec"]["nodeSelector"] == {"zone": "north"}
    assert "nodeSelector" not in south["template"]["spec"]
    secrets = [one["template"]["spec"]["volumes"][0]["secret"]["secretName"] for one in (north, south)]
    assert secrets == ["prober-north", "prober-south"]
    assert north["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "2Gi"}}
    budgets = {one["metadata"]["name"] for one in _of(render(EVERYTHING), "PodDisruptionBudget")}
    assert budgets == {"bus-watch-peyvand-prober-north", "bus-watch-peyvand-api"}


def test_a_vantage_elsewhere_is_probers_alone() -> None:
    """Where bus, register, scorer and api are those of another place, nothing but probers runs."""
    here = {
        **EVERYTHING,
        "buses": [],
        **{name: {"enabled": False} for name in ("busInit", "register", "scorer", "api")},
    }
    documents = render(here)
    assert {pod["spec"]["containers"][0]["name"] for _, pod in _pods(documents)} == {"prober"}
    assert len(_of(documents, "StatefulSet")) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nats": {"url": ""}}, "url"),
        ({"nats": {"url": "http://nats:4222"}}, "url"),
        ({"vantages": []}, "vantages"),
        ({"vantages": [{"name": "Main", "secret": "s"}]}, "name"),
        ({"vantages": [{"name": "main"}]}, "secret"),
        ({"prober": {"settings": {"vantage": "north"}}}, "vantage"),
        ({"prober": {"replica": 3}}, "replica"),
        ({"scorer": {"replicas": 2}}, "replicas"),
        ({"buses": [{"name": "xroad", "secret": "s"}]}, "sources"),
        ({"register": {"volume": {}}}, "register.volume: say where the register directory is"),
        ({"api": {"clients": {"secret": "c"}}}, "api.clients asks for api.tls"),
        ({"vantages": [{"name": "m" * 40, "secret": "s"}]}, "is too long a name for Kubernetes"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_values_are_refused(change: Mapping[str, Any], words: str) -> None:
    """A value that is missing, misspelt or impossible ends the installation with words that name it."""
    with pytest.raises(module("helm_python").HelmError) as refused:
        render({**LEAST, **change})
    assert words in str(refused.value)


def test_every_value_is_described() -> None:
    """values.yaml holds every key that the schema allows, and no other, so that a person reads all of them in one place."""
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))

    def compare(given: Any, allowed: Mapping[str, Any], place: str) -> None:
        if "$ref" in allowed:
            allowed = schema["definitions"][allowed["$ref"].rpartition("/")[2]]
        if "properties" not in allowed or place.endswith(".settings"):
            return
        assert sorted(given) == sorted(name for name in allowed["properties"] if name != "global"), place
        for name in given:
            compare(given[name], allowed["properties"][name], f"{place}.{name}")

    compare(values, schema, "values")


def test_a_package_holds_rules_and_dashboards(tmp_path: Path) -> None:
    """The archive that is handed on has the files in place of links, and renders to the same."""
    helm = module("helm_python")
    archive = Path(helm.package(CHART, destination=tmp_path))
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed}
    assert all(member.isfile() for member in members.values())
    assert {"peyvand/rules/targets.yaml", "peyvand/dashboards/link.json"} <= members.keys()
    with helm.Chart.load(archive) as chart, helm.Chart.load(CHART) as folder:
        assert chart.render(EVERYTHING, name="one") == folder.render(EVERYTHING, name="one")
