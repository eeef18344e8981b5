"""The chart deploy/helm/peyvand renders with Helm to documents that fit the schemas of Kubernetes and its operator."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.cases.chart import EVERYTHING, LEAST, documents, of_kind
from tests.support.helm_chart import CHART, Document, render
from tests.support.paths import ROOT
from tests.support.programs import module

__all__ = ["documents"]  # the fixture

OLDEST, NEWEST = "1.25", "1.37"
"""The oldest Kubernetes that Chart.yaml accepts, and the newest that has schemas here."""


def test_helm_finds_no_fault() -> None:
    """`helm lint --strict` reports only that there is no icon."""
    for values in (LEAST, EVERYTHING):
        report = module("helm_python").lint(CHART, values, strict=True)
        assert [one["error"] for one in report["messages"]] == ["icon is recommended"]


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[ModuleType]:
    """The validator of documents, with a cache: by itself it reads a megabyte of definitions for each document."""
    validator = module("kubernetes_validate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validator.utils, "schema_contents", cache(validator.utils.schema_contents))
        yield validator


def _validate(kubernetes: ModuleType, documents: list[Document], version: str) -> None:
    for one in documents:
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes.validate(one, version, strict=True)


def test_kubernetes_takes_every_document(kubernetes: ModuleType, documents: list[Document]) -> None:
    """Each document is valid for the newest Kubernetes, has no unknown field, and has a name of its own."""
    _validate(kubernetes, documents, NEWEST)
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names) > 1


def test_the_oldest_kubernetes_takes_everything(kubernetes: ModuleType) -> None:
    """Each document is valid for the oldest Kubernetes that Chart.yaml accepts."""
    assert f'kubeVersion: ">={OLDEST}.' in (CHART / "Chart.yaml").read_text("utf-8")
    _validate(kubernetes, render(EVERYTHING), OLDEST)


def test_the_operator_takes_what_is_its_own() -> None:
    """ServiceMonitor and PrometheusRules fit the operator's models and have no unknown field."""
    models = module("cloudcoil.models.prometheus_operator.v1")
    found = [one for one in render(EVERYTHING) if one["apiVersion"] == "monitoring.coreos.com/v1"]
    assert len(found) == 4
    for one in found:
        read = getattr(models, one["kind"]).model_validate(one)
        assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) == one


def test_what_is_wrong_is_told(kubernetes: ModuleType) -> None:
    """Both checks reject a misspelt field."""
    documents = render(EVERYTHING)
    workload = of_kind(documents, "StatefulSet")[0]
    workload["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = "Always"
    with pytest.raises(kubernetes.ValidationError, match="imagePolicy"):
        kubernetes.validate(workload, NEWEST, strict=True)
    models = module("cloudcoil.models.prometheus_operator.v1")
    (monitor,) = of_kind(documents, "ServiceMonitor")
    monitor["spec"]["endpoints"][0]["everySoOften"] = "15s"
    read = models.ServiceMonitor.model_validate(monitor)
    assert read.model_dump(mode="json", by_alias=True, exclude_unset=True) != monitor


def test_nothing_holds_a_secret(documents: list[Document]) -> None:
    """The chart creates no Secret and refers to Secrets only by name."""
    assert of_kind(documents, "Secret") == []
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    assert re.findall(r'"(password|token|seed|key)"', json.dumps(schema["properties"])) == [
        "key",
        "key",
    ]  # nats.ca.key and archive.key, which are names


def test_rules_and_dashboards_are_those_of_deploy() -> None:
    """The chart renders the rules and dashboards of deploy/ unchanged, except the expression of ComponentMissing."""
    documents = render(EVERYTHING)
    rules = [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted((ROOT / "deploy/prometheus/rules").glob("*.yaml"))
    ]
    rendered = [one["spec"] for one in of_kind(documents, "PrometheusRule")]
    for rule in _rules(*rules, *rendered):
        if rule.get("alert") == "ComponentMissing":
            del rule["expr"]
    assert rendered == rules
    boards = {path.name: path.read_text("utf-8") for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    given = [one["data"] for one in of_kind(documents, "ConfigMap")]
    assert {name: text for data in given for name, text in data.items()} == boards


def _rules(*specs: Document) -> list[Document]:
    return [rule for spec in specs for group in spec["groups"] for rule in group["rules"]]


def test_what_may_be_missing_is_what_is_installed(documents: list[Document]) -> None:
    """Every monitored release has every alert, and ComponentMissing names exactly the jobs of its own components. So a
    vantage elsewhere gets no alert about a scorer, and a country without an api none about an api.
    """
    if not of_kind(documents, "ServiceMonitor"):
        assert of_kind(documents, "PrometheusRule") == []
        return
    rules = _rules(*(one["spec"] for one in of_kind(documents, "PrometheusRule")))
    alerts = {rule["alert"]: rule["expr"] for rule in rules if "alert" in rule}
    assert {"ComponentDown", "VantageBlind", "SpoolDropped", "OwnCredential", "CertificateExpiresNow"} <= alerts.keys()
    services = [one["metadata"]["labels"] for one in of_kind(documents, "Service")]
    jobs = {one["app.kubernetes.io/component"] for one in services if one.get("peyvand/metrics")}
    assert set(alerts["ComponentMissing"].split(" or ")) == {f'absent(up{{job="{job}"}})' for job in jobs}


@pytest.mark.parametrize("base", ["https://git.example/peyvand", "https://git.example/peyvand/"])
def test_alerts_lead_to_where_pages_are_served(base: str) -> None:
    """With `monitoring.runbooks` every runbook URL begins with it, and nothing else differs."""
    rules = of_kind(render({**LEAST, "monitoring": {"enabled": True, "runbooks": base}}), "PrometheusRule")
    plain = of_kind(render({**LEAST, "monitoring": {"enabled": True}}), "PrometheusRule")
    urls = re.findall(r'"runbook_url": "([^"]*)"', json.dumps(rules))
    assert len(urls) > 20
    assert all(url.startswith("https://git.example/peyvand/docs/alerts.md#") for url in urls)
    assert json.loads(json.dumps(rules).replace("https://git.example/peyvand/", "")) == plain


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
        ({"scorer": {"replicas": 3}}, "replicas"),
        ({"buses": [{"name": "xroad", "secret": "s"}]}, "sources"),
        ({"register": {"volume": {}}}, "register.volume: say where the register directory is"),
        ({"api": {"clients": {"secret": "c"}}}, "api.clients asks for api.tls"),
        ({"vantages": [{"name": "m" * 40, "secret": "s"}]}, "is too long a name for Kubernetes"),
        ({"monitoring": {"runbooks": "git.example"}}, "runbooks"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_values_are_refused(change: Mapping[str, Any], words: str) -> None:
    """A missing, misspelt or impossible value stops the installation with words that name it."""
    with pytest.raises(module("helm_python").HelmError) as refused:
        render({**LEAST, **change})
    assert words in str(refused.value)


def test_every_value_is_described() -> None:
    """values.yaml has exactly the keys that the schema allows, so that all can be read in one place."""
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
    """The packaged archive has files in place of links and renders to the same documents."""
    helm = module("helm_python")
    archive = Path(helm.package(CHART, destination=tmp_path))
    with tarfile.open(archive) as packed:
        members = {member.name: member for member in packed}
    assert all(member.isfile() for member in members.values())
    assert {"peyvand/rules/targets.yaml", "peyvand/dashboards/link.json"} <= members.keys()
    with helm.Chart.load(archive) as chart, helm.Chart.load(CHART) as folder:
        assert chart.render(EVERYTHING, name="one") == folder.render(EVERYTHING, name="one")
