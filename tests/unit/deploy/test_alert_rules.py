"""The rules and alerts of Prometheus are valid, tested both ways, about existing metrics, and explained."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.support.monitoring.promql import faults, labels_of
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.waiting import DEADLINE

FOLDER = ROOT / "deploy" / "prometheus"
PAGE = (ROOT / "docs" / "alerts.md").read_text("utf-8")
FILES = sorted((FOLDER / "rules").glob("*.yaml"))
TESTS = sorted((FOLDER / "tests").glob("*.yaml"))


def _rules() -> list[dict[str, Any]]:
    read = (yaml.safe_load(file.read_text("utf-8")) for file in FILES)
    return [rule for one in read for group in one["groups"] for rule in group["rules"]]


RULES = _rules()
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
LABELS = {name: set(re.findall(r"by \(([^)]*)\)", text)[0].split(", ")) for name, text in RECORDS.items()}
"""The labels of each recorded series: those of its first aggregation."""


def _run(*command: str | Path) -> str:
    seldom = {**os.environ, "GOGC": "400"}  # garbage is collected seldom: a fifth of the CPU of a test of rules
    done = subprocess.run(
        command, env=seldom, capture_output=True, text=True, check=False, timeout=DEADLINE, cwd=FOLDER
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules() -> None:
    """Prometheus and its lints find no fault in any rule."""
    _run(program("promtool", "prometheus"), "check", "rules", "--lint=all", "--lint-fatal", *FILES)


def test_prometheus_takes_the_configuration() -> None:
    """Prometheus finds no fault in prometheus.yml, which reads all rules and names existing files of targets."""
    promtool = program("promtool", "prometheus")
    _run(promtool, "check", "config", "prometheus.yml")
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text("utf-8"))
    assert config["rule_files"] == ["rules/*.yaml"]
    discovered = [one["file_sd_configs"] for one in config["scrape_configs"]]
    discovered += [one["file_sd_configs"] for one in config["alerting"]["alertmanagers"]]
    assert all((FOLDER / file).exists() for one in discovered for (each,) in [one] for file in each["files"])


def test_alertmanager_takes_its_configuration() -> None:
    """Alertmanager finds no fault, and its inhibition rules name existing alerts and values of `about`."""
    _run(program("amtool", "prometheus-alertmanager"), "check-config", "alertmanager.yml")
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text("utf-8"))
    for rule in config["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            [(label, operator, value)] = re.findall(r'^(\w+) (=~?) "(.*)"$', matcher)
            if label == "alertname":
                for name in value.split("|"):
                    assert [one for one in ALERTS if re.fullmatch(name if operator == "=~" else re.escape(name), one)]
            if label == "about":
                assert value in {one["labels"]["about"] for one in ALERTS.values()}


def test_one_process_of_several_mutes_no_alert_about_the_whole() -> None:
    """An alert about one process inhibits only alerts about the same process, because others may still run."""
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text("utf-8"))
    for rule in config["inhibit_rules"]:
        if re.search(r"ComponentDown|ComponentNotServing|BusUnreachable", rule["source_matchers"][0]):
            assert "instance" in rule["equal"], rule


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_and_stay_silent(file: Path) -> None:
    """The unit tests of the rules pass in Prometheus."""
    assert "SUCCESS" in _run(program("promtool", "prometheus"), "test", "rules", file)


@cache
def _cases() -> list[dict[str, Any]]:
    """Return the unit tests of the rules, read once."""
    return [case for file in TESTS for case in yaml.safe_load(file.read_text("utf-8"))["tests"]]


def _fired(case: dict[str, Any]) -> Iterator[str]:
    for one in case["promql_expr_test"]:
        for sample in one["exp_samples"]:
            yield re.findall(r'alertname="(\w+)"', sample["labels"])[0]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_both_ways(alert: str) -> None:
    """Each alert has a test in which it fires, and a test named silent in which it does not."""
    fires = [case for case in _cases() if alert in _fired(case)]
    quiet = [case for case in _cases() if alert in case["name"].partition(": ")[0].split(", ")]
    silent = [case for case in quiet if ": silent " in case["name"] and alert not in _fired(case)]
    assert fires
    assert silent


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_exists(rule: dict[str, Any]) -> None:
    """Every metric in a rule is in the metrics table and has the labels that the rule uses."""
    assert faults(rule["expr"], LABELS) == []


def test_faults_are_found() -> None:
    """A renamed metric, a label that a metric does not have, and an unknown job are reported."""
    assert faults("peyvand_renamed > 0") == ["nobody exposes peyvand_renamed"]
    assert faults('rate(peyvand_measurements_total{vantage="x"}[5m])') == [
        "peyvand_measurements_total has no label vantage"
    ]
    assert faults('up{job="probe"}') == ["no component is called probe"]
    assert faults("sum by (sector) (peyvand_serving)") == ["nothing in it has the label sector"]
    assert faults("histogram_quantile(0.9, rate(peyvand_publish_seconds_bucket[5m]))") == []
    assert faults("peyvand_publish_seconds") == ["nobody exposes peyvand_publish_seconds"]


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_names_say_level_metric_and_operations(name: str) -> None:
    """A recorded name is level:metric:operations, where the level is labels that the series keep. A rule uses it."""
    level, metric, operations = name.split(":")
    assert metric.startswith("peyvand_")
    assert re.fullmatch(r"[a-z0-9_]+", operations)
    kept = LABELS[name]
    assert set(level.split("_")) <= kept
    others = [text for other, text in RECORDS.items() if other != name]
    assert any(name in text for text in (*(rule["expr"] for rule in ALERTS.values()), *others))
    assert promql_parser.parse(RECORDS[name])


@pytest.mark.parametrize("alert", ALERTS)
def test_alerts_say_what_a_person_needs(alert: str) -> None:
    """Each alert has a severity, a subject, a summary, a description and its own section of the runbook page."""
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["labels"]["about"] in ("target", "exchange", "monitor")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert all(text.strip() for text in rule["annotations"].values())
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{alert.lower()}"
    section = re.search(rf"^### {alert}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert section[1].startswith(f"*{rule['labels']['severity']}.* ")
    used = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())))
    assert used <= {label for part in _labels_of(rule["expr"]) for label in part}


def _labels_of(text: str) -> list[set[str]]:
    """Labels that an alert's series may have: those of its own aggregation or of its metrics."""
    names = set(re.findall(r"[a-z_]+(?::[a-z0-9_]+)*", text))
    return [labels for name in names if (labels := labels_of(name, LABELS)) is not None]


def test_every_section_has_an_alert() -> None:
    """The runbook page explains exactly the alerts that exist."""
    assert sorted(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == sorted(ALERTS)
    anchors = {name.lower() for name in ALERTS}
    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors
