"""The commands, settings and files that deploy/compose.yaml and deploy/Dockerfile name exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.core.settings import METRICS_PORTS
from tests.support.commands import faults, unknown_variables
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"] == "${PEYVAND_IMAGE:-peyvand}"}


@pytest.mark.parametrize("name", OURS)
def test_services_name_what_exists(name: str) -> None:
    """The command, flags and variables of each of our containers exist."""
    service = OURS[name]
    assert faults(service["command"]) == []
    assert unknown_variables(service["command"][0], service["environment"]) == []


def test_every_component_runs() -> None:
    """All components but the sandbox are in the stack."""
    assert METRICS_PORTS.keys() - {"sandbox"} <= {one["command"][0] for one in OURS.values()}


def _networks(name: str) -> set[str]:
    return set(SERVICES[name]["networks"])


def test_who_reads_what_others_send_reaches_nobody_else() -> None:
    """A compromised prober or collector reaches only the bus, Prometheus and others of its kind."""
    exposed = {name for name, one in OURS.items() if one["command"][0] in ("prober", "collector")}
    assert len(exposed) == 5
    for name in exposed:
        reached = {other for other in SERVICES if other != name and _networks(name) & _networks(other)}
        assert reached <= exposed | {"nats-1", "nats-2", "nats-3", "prometheus"}


def test_nothing_is_changed_over_http() -> None:
    """Prometheus accepts no commands, and every port is published on this host only."""
    assert not [flag for flag in SERVICES["prometheus"]["command"] if flag.startswith(("--web.enable", "--web.listen"))]
    published = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_containers_are_hardened() -> None:
    """No container may write to its image, has a capability or gains privileges. Each has a memory limit."""
    for name, one in SERVICES.items():
        assert one["read_only"], name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in one, name
        assert "cap_add" not in one, name
        assert "privileged" not in one, name


def test_nats_ends_when_a_full_disk_has_stopped_it() -> None:
    """A server's health check is the script that ends it, and the engine restarts it."""
    for name in ("nats-1", "nats-2", "nats-3"):
        one = SERVICES[name]
        assert one["healthcheck"]["test"] == ["CMD", "sh", "/etc/peyvand/health.sh"]
        assert "./nats/health.sh:/etc/peyvand/health.sh:ro" in one["volumes"]
        assert one["restart"] == "unless-stopped"


def test_what_is_mounted_exists() -> None:
    """Every file and folder of ours that is mounted into a container exists in deploy/."""
    named = [mount for one in SERVICES.values() for mount in one.get("volumes", [])]
    given = re.compile(r"\$\{\w+:-(\./(?!secrets)[^}]*)\}")  # unless a variable says otherwise
    mounts = [mount for mount in (given.sub(r"\1", one) for one in named) if mount.startswith("./")]
    assert "./prometheus/rules:/etc/prometheus/rules:ro" in mounts
    assert len(mounts) > 5
    assert [mount for mount in mounts if not (FOLDER / mount.split(":")[0]).exists()] == []


def test_what_is_frozen_and_exported_is_shown() -> None:
    """Rounds and open data are written, beside the archive, where the settings of api and console look for them."""
    mounts = {name: [mount.split(":") for mount in one.get("volumes", [])] for name, one in OURS.items()}
    written = {place: volume for volume, place, *mode in mounts["archive"] if place.startswith("/srv/") and not mode}
    assert written == {"/srv/rounds": "rounds", "/srv/open-data": "open-data"}
    variables = {"api": {"PEYVAND_ROUNDS"}, "console": {"PEYVAND_ROUNDS", "PEYVAND_OPEN_DATA"}}
    for name, settings in variables.items():
        shown = {place: volume for volume, place, *mode in mounts[name] if mode == ["ro"]}
        assert {shown[OURS[name]["environment"][setting]] for setting in settings} <= set(written.values())
    image = (FOLDER / "Dockerfile").read_text("utf-8")
    assert f"install -d -o peyvand -g peyvand {' '.join(written)}\n" in image  # otherwise root would own the volumes


def test_alertmanager_finds_its_webhooks() -> None:
    """Alertmanager's configuration names the files that prepare.sh writes, and its state is in its volume."""
    service = SERVICES["alertmanager"]
    plain = (mount.replace("${PEYVAND_SECRETS:-./secrets}", "secrets") for mount in service["volumes"])
    mounts = {place: source for source, place, *_ in (mount.split(":") for mount in plain)}
    flags = dict(flag.split("=", 1) for flag in service["command"])
    config = yaml.safe_load((FOLDER / mounts[flags["--config.file"]]).read_text("utf-8"))
    named = [Path(hook["url_file"]) for one in config["receivers"] for hook in one["webhook_configs"]]
    found = [f"{mounts.get(str(service['working_dir'] / file.parent))}/{file.name}" for file in named]
    assert found == ["secrets/alertmanager/pages-url", "secrets/alertmanager/tickets-url"]
    assert mounts[flags["--storage.path"]] == "alertmanager"


def test_grafana_is_given_its_dashboards() -> None:
    """Grafana reads dashboards where they are mounted, and its interval is Prometheus's scrape interval."""
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    provisioning = FOLDER / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "peyvand.yaml").read_text("utf-8"))["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    scraping = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text("utf-8"))["global"]
    assert source["jsonData"]["timeInterval"] == scraping["scrape_interval"]


def test_the_image_names_what_exists() -> None:
    """Every setting of the image belongs to all components, or to the api (gRPC) or console (pages) that listens."""
    names = re.findall(r"\b(PEYVAND_[A-Z_]+)=", (FOLDER / "Dockerfile").read_text("utf-8"))
    assert len(names) > 2
    listening = {"PEYVAND_CONSOLE": "console", "PEYVAND_LISTEN": "api"}
    assert {
        name: one for one in METRICS_PORTS for name in names if name in listening and not unknown_variables(one, [name])
    } == listening
    assert {name for one in METRICS_PORTS for name in unknown_variables(one, names)} == listening.keys()
