"""Every command, flag, setting, unit, file and link on the operators' pages exists."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import pytest
import yaml

from services.core.metrics.table import TABLE
from services.core.model.outcome import Reason
from services.core.settings import Settings, environment_variable
from tests.support.commands import command_lines, faults, refused
from tests.support.helm_chart import render
from tests.support.paths import ROOT
from tests.support.programs import module

SETTINGS = [setting.name for setting in fields(Settings)]

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("alerts", "operating")}
TOOLS = {
    "cd", "chown", "cp", "curl", "do", "docker", "done", "echo", "export", "for", "grep", "helm", "install", "kubectl", "make", "mkdir", "mv",
    "prometheus", "prometheus-alertmanager", "python3", "rm", "systemctl", "systemd-sysusers",
}  # fmt: skip
"""Tools in blocks besides our own commands."""
STACK_VARIABLES = {"PEYVAND_REGISTER", "PEYVAND_RULES"}
UNITS = {file.name.removesuffix(".service") for file in (ROOT / "deploy" / "systemd").iterdir()}

page = pytest.mark.parametrize("name", PAGES)


@page
def test_commands_exist(name: str) -> None:
    """Every `peyvand …` is a command with those options, every unit and make target exists, and each tool is known."""
    ours = 0
    for words in command_lines(PAGES[name]):
        tool = re.sub(r"^\w+=\$\(", "", words[0]).rpartition("/")[2]
        if tool == "peyvand":
            assert faults(words[1:]) == [], words
            ours += 1
        elif tool == "prepare.sh":
            assert words[0] == "deploy/prepare.sh"
        else:
            assert tool in TOOLS, words
        if words[:2] == ["docker", "compose"] and "peyvand" in words:
            assert faults(words[words.index("peyvand") + 1 :]) == [], words
        if tool == "kubectl" and "--" in words and words[words.index("--") + 1] == "peyvand":
            assert faults(words[words.index("--") + 2 :]) == [], words
        if tool == "systemctl" and words[1] != "daemon-reload":
            named = [word for word in words[2:] if word.startswith("peyvand")]
            assert [one for one in named if re.sub("@.*", "@", one) not in UNITS] == []
        if tool == "make" and len(words) > 1:
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert ours > 10


def test_the_runbook_s_commands_are_accepted() -> None:
    """The command line accepts every `peyvand …` of the runbook as written, with names in place of capitals."""
    ours = [words[1:] for words in command_lines(PAGES["alerts"]) if words[0] == "peyvand"]
    assert {" ".join(words): said for words in ours if (said := refused(words))} == {}
    assert len(ours) > 15


@page
def test_flags_and_variables_are_settings(name: str) -> None:
    """Every flag is a setting or an option of the command named with it, and every PEYVAND_* is a setting."""
    known = {f"--{setting.replace('_', '-')}" for setting in SETTINGS}
    options = {"--replicas", "--storage", "--dry-run=client"}
    assert set(re.findall(r"`(--[a-z0-9=-]+)", PAGES[name])) - known - options == set()
    variables = {environment_variable(setting) for setting in SETTINGS}
    assert set(re.findall(r"\bPEYVAND_[A-Z_0-9]+", PAGES[name])) - variables - STACK_VARIABLES == set()


@page
def test_what_components_write_is_named_rightly(name: str) -> None:
    """Every metric, reason, log event, column and setting that the page names is in a table or in the code."""
    reasons = {reason.label for reason in Reason}
    code = "".join(file.read_text("utf-8") for file in (ROOT / "services").rglob("*.py"))
    for word in set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGES[name])):
        if word.startswith("peyvand_"):
            assert word in TABLE, word
        elif word not in {"runbook_url", "keep_firing_for", "node_filesystem_avail_bytes", *reasons}:
            assert re.search(rf"\b{word}\b", code), word


@page
def test_files_and_links_lead_somewhere(name: str) -> None:
    """Every file of ours that a page names exists, and every link leads to an existing page and heading."""
    for path in set(re.findall(r"\b((?:deploy|tests|docs)/[\w./-]*\w)", PAGES[name])) - {"deploy/secrets"}:
        assert path.startswith("deploy/secrets/") or (ROOT / path).exists(), path
    for target in set(re.findall(r"\]\(([^)]+)\)", PAGES[name])):
        file, _, anchor = target.partition("#")
        there = ROOT / "docs" / file if file else ROOT / "docs" / f"{name}.md"
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}, target


def test_the_guide_names_alerts_that_exist() -> None:
    """Alerts that the operating guide names have a section in the runbook."""
    named = re.findall(r"^\| ([A-Z][\w, ]+) \| ", PAGES["operating"], re.MULTILINE)
    alerts = set(re.findall(r"^### (\w+)$", PAGES["alerts"], re.MULTILINE))
    assert {one for row in named for one in row.split(", ")} <= alerts
    assert len(named) > 3


def _yaml_with(words: str) -> Any:
    """Return the parsed YAML block of the operating guide that contains these words."""
    (block,) = [one for one in re.findall(r"```yaml\n(.*?)```", PAGES["operating"], re.DOTALL) if words in one]
    return yaml.safe_load(block)


def test_the_guide_s_keeper_finds_what_the_chart_made() -> None:
    """The guide's backup pod is valid, and its claim, Secrets, bus and workloads are those of the guide's values."""
    keeper, values = _yaml_with("kind: Pod"), _yaml_with("vantages:")
    kubernetes = module("kubernetes_validate")
    for version in ("1.25", "1.37"):
        kubernetes.validate(keeper, version, strict=True)
    documents = render(values, name="peyvand")
    workloads = {(one["kind"].lower(), one["metadata"]["name"]): one["spec"] for one in documents if "spec" in one}
    scorer = workloads["statefulset", "peyvand-scorer"]
    volumes = {one["name"]: one for one in keeper["spec"]["volumes"]}
    (claim,) = scorer["volumeClaimTemplates"]
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == f"{claim['metadata']['name']}-peyvand-scorer-0"
    (container,), (theirs,) = keeper["spec"]["containers"], scorer["template"]["spec"]["containers"]
    assert {json.dumps(one, sort_keys=True) for one in theirs["volumeMounts"] if one["name"] != "tmp"} == {
        json.dumps(one, sort_keys=True) for one in container["volumeMounts"] if one["name"] != "backup"
    }
    assert container["env"] == [one for one in theirs["env"] if one["name"].startswith("PEYVAND_NATS")]
    assert volumes["credentials"]["secret"]["secretName"] == "peyvand-admin"
    assert volumes["authority"]["secret"]["secretName"] == values["nats"]["ca"]["secret"]
    scaled = {
        tuple(words[4:6]): int(words[-1]) for words in command_lines(PAGES["operating"]) if words[3:4] == ["scale"]
    }
    del scaled["statefulset,deployment", "--selector"]
    assert scaled == {key: workloads[key]["replicas"] for key in workloads if key[0] in ("statefulset", "deployment")}


def _section(title: str, page: str) -> str:
    return re.findall(rf"^## {title}$\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)[0]


def test_an_upgrade_leaves_nothing_of_the_version_before() -> None:
    """An upgrade repeats what the first start installs, reloads it before the streams, and restarts every unit."""
    first = list(command_lines(_section("First start: a single host, by systemd", PAGES["operating"])))
    lines = list(command_lines(_section("Upgrading", PAGES["operating"])))
    before = lines[: lines.index(["peyvand", "bus", "init", "--credentials", "/etc/peyvand/users/admin"])]
    kept = {"/usr/lib/sysusers.d/peyvand.conf", "/etc/peyvand/peyvand.env", "/etc/peyvand/register"}
    told = [words for words in first if words[0] in ("install", "chown", "deploy/prepare.sh") and words[-1] not in kept]
    reloads = [["systemctl", "daemon-reload"], ["systemctl", "restart", "peyvand-nats"]]
    assert len(told) == 4
    assert [words for words in [*told, *reloads] if words not in before] == []
    assert max(before.index(words) for words in told) < before.index(reloads[1])
    after = lines[len(before) :]
    restarted = [words[2] for words in after if words[:2] == ["systemctl", "restart"] and words[2] != "peyvand-nats"]
    units = {unit for unit in UNITS if "." not in unit}
    assert {re.sub("@.*", "@", one) for one in restarted} == units - {
        "peyvand-bus",
        "peyvand-nats",
        "peyvand-nats-check",
    }
    assert restarted[-1] == "peyvand-register"


def test_an_upgrade_of_the_stack_reaches_every_service() -> None:
    """Services are recreated one by one, those of the bus before its streams. Third-party services are restarted."""
    stack = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))["services"]
    lines = list(command_lines(_section("Upgrading", PAGES["operating"])))
    servers, services = [words[3:-1] for words in lines if words[0] == "for"]
    (others,) = [words[5:] for words in lines if words[4:5] == ["restart"]]
    assert sorted([*servers, *services, *others, "bus"]) == sorted(stack)


def test_a_restore_starts_all_that_it_stopped() -> None:
    """A restore on a single host ends with the target that it stopped, so that no unit stays down."""
    lines = [" ".join(words) for words in command_lines(_section("Backup and restore", PAGES["operating"]))]
    restore = lines[lines.index("systemctl stop peyvand.target") :]
    assert [line for line in restore if line.startswith("systemctl start")][-1] == "systemctl start peyvand.target"


def test_the_guide_empties_volumes_of_the_stack() -> None:
    """A restore removes exactly the stack's volumes of the bus, the scorer and the archive."""
    stack = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    (removed,) = [words[3:] for words in command_lines(PAGES["operating"]) if words[:3] == ["docker", "volume", "rm"]]
    emptied = [name for name in stack["volumes"] if name.startswith("nats-") or name in {"scorer", "archive"}]
    assert removed == [f"{stack['name']}_{name}" for name in emptied]


def test_the_guide_publishes_every_server_of_the_bus() -> None:
    """Each server has a port on a reachable network, and the certificate and the probers' URLs name it."""
    stack = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    over = _yaml_with("nats-1: {")
    assert list(over["services"]) == [name for name in stack["services"] if name.startswith("nats-")]
    (port,) = set(re.findall(r"tls://nats-\d:(\d+)", stack["services"]["scorer"]["environment"]["PEYVAND_NATS"]))
    published = []
    for service in over["services"].values():
        (network,), (mapped,) = service["networks"], service["ports"]
        assert not (over["networks"][network] or {}).get("internal")
        assert mapped.endswith(f":{port}")
        published.append(mapped.partition(":")[0])
    (hosts,) = re.findall(r'HOSTS="([^"]+)" VANTAGES', PAGES["operating"])
    *ours, host = hosts.split()
    script = (ROOT / "deploy" / "prepare.sh").read_text("utf-8")
    assert f"${{HOSTS:-{' '.join(ours)}}}" in script
    assert f"`PEYVAND_NATS={','.join(f'tls://{host}:{one}' for one in published)}`" in PAGES["operating"]


def test_the_guide_s_values_can_be_installed() -> None:
    """The values of the operating guide render, with Secrets that its commands create."""
    documents = render(_yaml_with("vantages:"), name="peyvand")
    used = set(re.findall(r'"secretName": "([^"]+)"', json.dumps(documents)))
    made = {f"peyvand-{user}" for user in re.findall(r"for user in ([^;]+);", PAGES["operating"])[0].split()}
    assert used == made | {"peyvand-bus-ca", "peyvand-archive-key"}
    assert {one["kind"] for one in documents} >= {"StatefulSet", "ServiceMonitor", "PrometheusRule", "Job"}


def test_values_of_the_chart_exist() -> None:
    """Every chart value that a page names as such is in deploy/helm/peyvand/values.yaml."""
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "peyvand" / "values.yaml").read_text("utf-8"))
    pages = " ".join(" ".join(page.read_text("utf-8").split()) for page in (ROOT / "docs").glob("*.md"))
    named = re.findall(r"\bthe chart(?:'s value| has) `([\w.]+)`", pages)
    assert len(named) > 1
    for name in named:
        found = values
        for key in name.split("."):
            assert key in found, name
            found = found[key]


def test_nobody_misses_a_collector() -> None:
    """A host without a data bus has no collector target, as the guide says, and no alert misses it. The alert expects a
    collector only while exchanges are counted.
    """
    assert (ROOT / "deploy" / "prometheus" / "targets" / "collector.yaml").exists()
    assert '`echo "[]" > deploy/prometheus/targets/collector.yaml`' in PAGES["operating"]
    rules = [
        yaml.safe_load(file.read_text("utf-8")) for file in (ROOT / "deploy" / "prometheus" / "rules").glob("*.yaml")
    ]
    alerts = {rule.get("alert"): rule["expr"] for one in rules for group in one["groups"] for rule in group["rules"]}
    assert "prober" in alerts["ComponentMissing"]
    asked = alerts["ComponentMissing"].partition('absent(up{job="collector"})')[2]
    assert asked.split()[:4] == ["and", "on", "()", "("]
    assert "peyvand_bus_exchanges" in asked


def _not_measured(figures: set[str]) -> list[str]:
    """Return the figures that are not in docs/performance.md."""
    measured = (ROOT / "docs" / "performance.md").read_text("utf-8")
    return [one for one in sorted(figures) if not re.search(rf"(?<![\d,.]){re.escape(one)}(?![\d])", measured)]


def test_the_guide_sizes_by_what_was_measured() -> None:
    """Every figure of the guide's sizes is in docs/performance.md. Figures in code were chosen."""
    [sizes] = re.findall(r"^## How large\n(.*?)^##", PAGES["operating"], re.MULTILINE | re.DOTALL)
    figures = set(re.findall(r"\d[\d,.]*\d|\d", re.sub(r"`[^`]*`|\]\([^)]*\)", "", sizes)))
    assert len(figures) > 40
    assert _not_measured(figures - {"33"}) == []  # 10,000 links in 300 s


@pytest.mark.parametrize("file", ["helm/peyvand/values.yaml", "compose.yaml"])
def test_limits_are_chosen_by_what_was_measured(file: str) -> None:
    """Every memory figure beside a limit is in docs/performance.md."""
    figures = set(re.findall(r"([\d,]+) MiB", (ROOT / "deploy" / file).read_text("utf-8")))
    assert len(figures) > 3
    assert _not_measured(figures) == []


def test_the_guide_says_what_the_limits_are() -> None:
    """The guide gives the limits of the stack and the chart."""
    said = " ".join(PAGES["operating"].split())
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))["services"]
    ours = {one["mem_limit"] for one in services.values() if one["image"] == "${PEYVAND_IMAGE:-peyvand}"}
    assert ours == {"1g", "${SCORER_MEMORY:-1g}", "${API_MEMORY:-1g}"}
    values = yaml.safe_load((ROOT / "deploy" / "helm" / "peyvand" / "values.yaml").read_text("utf-8"))
    scorer, api = (values[name]["resources"]["limits"]["memory"] for name in ("scorer", "api"))
    assert "deploy/compose.yaml limits each of our containers to `1g`." in said
    assert f"The chart limits the scorer to `{scorer}` and the api to `{api}`." in said
    assert f"The limit of nats-server, `{services['nats-1']['mem_limit']}`, was not measured" in said
