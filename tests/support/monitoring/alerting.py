"""Real Prometheus and Alertmanager with the files of deploy/prometheus, and a webhook that records notifications.

The files are those that are deployed. Only addresses are filled in and durations scaled, because slots here are shorter
than the five minutes that the rules assume. `for`, `keep_firing_for`, ranges and Alertmanager's waits are all scaled by
the same factor.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from tests.support.monitoring.prometheus import ask, prometheus
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.programs import program

__all__ = ["Alerting", "alerting", "deployed", "scaled"]

_FOLDER = ROOT / "deploy" / "prometheus"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"((?:for|_wait|_interval): |\[)(\d+)([smhd])(?=\]|\s|$)", re.MULTILINE)
_LEAST_RANGE = 4.0  # seconds: a rate needs some scrapes, which happen every second


def scaled(text: str, factor: float) -> str:
    """Scale the durations of rules or routes to shorter slots."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found[2]) * _SECONDS[found[3]] * factor
        if found[1] == "[":
            seconds = max(seconds, _LEAST_RANGE)
        return f"{found[1]}{round(seconds * 1000)}ms"

    return _DURATION.sub(shorter, text)


@dataclass
class Alerting:
    """The notifications that the webhook received, in order: path and content."""

    prometheus: str
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def alerts(self, **labels: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (path, alert) of every firing alert with these labels that the webhook received."""
        return [
            (path, alert)
            for path, message in list(self.told)
            for alert in message["alerts"]
            if alert["status"] == "firing" and labels.items() <= alert["labels"].items()
        ]

    def asked(self, query: str) -> list[dict[str, Any]] | None:
        """Return the result of a query, or None while Prometheus does not answer."""
        answer = ask(self.prometheus, "query", query=query)
        return None if answer is None else answer["result"]


@contextmanager
def _webhook(told: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def deployed(folder: Path, factor: float, places: Mapping[str, list[str]], webhook: str = "") -> None:
    """Write the deployed files with scaled durations and these targets: HOST:PORT by job."""
    shutil.copytree(_FOLDER, folder, ignore=shutil.ignore_patterns("secrets", "tests"))
    for file in (*(folder / "rules").glob("*.yaml"), folder / "alertmanager.yml"):
        file.write_text(scaled(file.read_text("utf-8"), factor), "utf-8")
    config = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    for file in (folder / "targets").glob("*.yaml"):
        file.write_text(yaml.safe_dump([{"targets": places.get(file.stem, [])}]), "utf-8")
    (folder / "secrets").mkdir()
    for receiver in ("pages", "tickets"):
        (folder / "secrets" / f"{receiver}-url").write_text(f"{webhook}/{receiver}", "utf-8")


@contextmanager
def _alertmanager(folder: Path, where: str) -> Iterator[None]:
    """Run Alertmanager in the folder of its file, as deploy/compose.yaml does."""
    command = [
        program("prometheus-alertmanager", "prometheus-alertmanager"),
        "--config.file=alertmanager.yml",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={where}",
        "--cluster.listen-address=",
    ]
    with (folder / "prometheus-alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def alerting(folder: Path, places: Mapping[str, str], *, factor: float) -> Iterator[Alerting]:
    """Run Prometheus, Alertmanager and a webhook. ``places`` is HOST:PORT of /metrics by component."""
    manager = f"127.0.0.1:{free_port()}"
    told: list[tuple[str, dict[str, Any]]] = []
    jobs = {**{job: [place] for job, place in places.items()}, "alertmanager": [manager]}
    with ExitStack() as stack:
        webhook = stack.enter_context(_webhook(told))
        deployed(folder, factor, jobs, webhook)
        stack.enter_context(_alertmanager(folder, manager))
        where = stack.enter_context(prometheus(folder / "prometheus.yml", "--rules.alert.resend-delay=2s"))
        yield Alerting(where, told)
