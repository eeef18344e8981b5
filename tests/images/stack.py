"""deploy/compose.yaml run for real: its containers, what they say and how they are asked."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.bench.loads.register import write_register
from tests.images.check import Failure
from tests.images.engine import Engine
from tests.images.images import HERE, IMAGES
from tests.support.paths import ROOT
from tests.support.ports import free_port

__all__ = [
    "LINKS",
    "PEYVAND",
    "SLOT_SECONDS",
    "VANTAGES",
    "WEBHOOKS",
    "Stack",
    "prepare",
    "running_stack",
    "seconds_of",
]

VANTAGES = ("north", "south")
LINKS, SLOT_SECONDS, TIMEOUT_SECONDS = 1000, 20, 3
LEFT_OUT = ("grafana",)
WEBHOOKS = ("pages", "tickets")
_HEALTHY_SECONDS = 240.0
_POLL_SECONDS = 0.5
PEYVAND = str(ROOT / ".venv" / "bin" / "peyvand")


@dataclass
class Stack:
    """The stack by its project name, its ports and its register."""

    engine: Engine
    environ: dict[str, str]
    began: float = 0.0
    killed: list[str] = field(default_factory=list)

    @property
    def register(self) -> Path:
        return Path(self.environ["PEYVAND_REGISTER"])

    def compose(self, *words: str, timeout: float = 300, check: bool = True) -> str:
        """Run docker compose on the stack."""
        files = ("-f", str(ROOT / "deploy" / "compose.yaml"), "-f", str(HERE / "compose.yaml"))
        command = ("docker", "compose", *files, "-p", "peyvand-test", "--profile", "asked", *words)
        return self.engine.run(*command, timeout=timeout, environ=self.environ, check=check)

    def services(self) -> list[str]:
        """What runs all the time."""
        names = self.compose("config", "--services").split()
        return sorted(name for name in names if name not in (*LEFT_OUT, "dump"))

    def states(self) -> dict[str, dict[str, Any]]:
        """What the engine says of each container, by service."""
        lines = self.compose("ps", "--all", "--format", "json").splitlines()
        return {row["Service"]: row for row in map(json.loads, lines)}

    def unhealthy(self) -> dict[str, str]:
        """Services that are not as they should be, with what they are."""
        found, states = {}, self.states()
        for name in self.services():
            state = states.get(name, {"State": "missing", "Health": "", "ExitCode": 0})
            if name == "bus":
                good = state["State"] == "exited" and state["ExitCode"] == 0
            else:
                good = state["State"] == "running" and state["Health"] in ("", "healthy")
            if not good:
                found[name] = f"{state['State']} {state['Health']} exit {state['ExitCode']}"
        return found

    def inspect(self, service: str, field_: str) -> str:
        """One fact of a service's container."""
        name = self.states()[service]["Name"]
        return self.engine.run("docker", "inspect", "-f", "{{" + field_ + "}}", name).strip()

    def kill(self, service: str) -> None:
        """End a container's process as a crash does: the engine is not asked, and starts it again by itself."""
        os.kill(int(self.inspect(service, ".State.Pid")), signal.SIGKILL)
        self.killed.append(service)

    def logs(self, service: str) -> str:
        return self.compose("logs", "--no-color", "--tail", "20", service, check=False)

    def up(self) -> str:
        """Start everything and wait until it is healthy."""
        started = time.monotonic()
        self.compose("up", "--detach", "--no-build", *self.services(), timeout=_HEALTHY_SECONDS)
        self.until_healthy()
        self.began = time.time()
        return f"{len(self.services())} services healthy after {time.monotonic() - started:.0f} s"

    def until_healthy(self) -> None:
        """Wait until every service is as it should be. Raises Failure with those that are not."""
        end = time.monotonic() + _HEALTHY_SECONDS
        while bad := self.unhealthy():
            if time.monotonic() > end:
                words = "\n".join(self.logs(name) for name in bad)
                raise Failure(f"not healthy in {_HEALTHY_SECONDS:.0f} s: {bad}\n{words}")
            time.sleep(_POLL_SECONDS)

    def ask(self, service: str, path: str, post: Any = None) -> Any:
        """JSON that Prometheus or Alertmanager answers with, to what is posted where something is; None when it says nothing."""
        port = self.environ[f"{service.upper()}_PORT"]
        body = None if post is None else json.dumps(post).encode()
        request = Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or "null")
        except (URLError, OSError, ValueError) as error:
            raise Failure(f"{service} did not answer {path}: {error}") from error

    def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """What Prometheus answers to an expression."""
        answer = self.ask("prometheus", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def told(self) -> list[str]:
        """What was posted to the webhooks, a line each that begins with `POST`, path and head."""
        # Not by compose, which begins each line with what clears a terminal's.
        lines = self.engine.run("docker", "logs", "peyvand-test-target-1").splitlines()
        return [line for line in lines if line.startswith("POST ")]

    def indicator(self) -> dict[str, Any]:
        """The government's index of the first window, as the api tells it; empty while it does not."""
        words = self.compose("exec", "-T", "api", "peyvand", "indicator", "government", "--json", check=False)
        rows = [json.loads(line) for line in words.splitlines() if line.startswith("{")]
        return min(rows, key=lambda row: int(row["window_days"])) if rows else {}

    def until_scored(self, moment: float) -> dict[str, Any]:
        """Wait until the index counts every slot that ends by ``moment``, and return it."""
        end = time.monotonic() + _HEALTHY_SECONDS
        while True:
            found = self.indicator()
            if found and seconds_of(found["as_of"]) >= moment:
                return found
            if time.monotonic() > end:
                raise Failure(
                    f"the index as of {found.get('as_of')} does not reach {moment:.0f}: {self.logs('scorer')}"
                )
            time.sleep(_POLL_SECONDS)

    def leader(self) -> str:
        """The bus server that leads the stream of measurements."""
        url = "http://127.0.0.1:8222/jsz?accounts=true&streams=true"
        found = json.loads(self.compose("exec", "-T", "nats-1", "wget", "-q", "-O", "-", url))
        for account in found["account_details"]:
            for stream in account["stream_detail"]:
                if stream["name"] == "MEASUREMENTS":
                    return str(stream["cluster"]["leader"])
        raise Failure("nats-1 knows no stream MEASUREMENTS")

    def measurements(self) -> Path:
        """Every measurement that the bus keeps, as JSON lines."""
        path = self.engine.folder / "measurements.ndjson"
        path.write_text(self.compose("run", "--rm", "-T", "--no-deps", "dump", "dump", "measurements"))
        return path

    def score(self, indicator: Mapping[str, Any], measurements: Path) -> dict[str, Any]:
        """Score the dump as an auditor does, as of the published index, in a container of the same image."""
        mounts = (f"{self.register}:/register:ro", f"{measurements}:/measurements.ndjson:ro")
        flags = ("--at", indicator["as_of"], "--sequence", str(indicator["evidence_sequence"]))
        words = self.engine.run(
            "docker", "run", "--rm", "--network", "none", *(w for mount in mounts for w in ("-v", mount)),
            IMAGES["PEYVAND_IMAGE"], "score", "--register", "/register", "--measurements", "/measurements.ndjson",
            "--json", *flags,
        )  # fmt: skip
        rows = [json.loads(line) for line in words.splitlines()]
        return next(
            row for row in rows if row["kind"] == indicator["kind"] and row["window_days"] == indicator["window_days"]
        )

    def stop(self) -> str:
        """Stop every container; each of ours drains and ends by itself."""
        self.compose("stop", timeout=120)
        codes = {name: state["ExitCode"] for name, state in self.states().items()}
        ours = ("register", "scorer", "collector", "api", *(f"prober-{n}" for n in ("1a", "1b", "2a", "2b")))
        if bad := {name: codes[name] for name in ours if codes[name]}:
            raise Failure(f"exit codes after SIGTERM: {bad}")
        return f"{len(ours)} containers exit 0 on SIGTERM"


def seconds_of(time_: str) -> float:
    """The epoch seconds of a time in the form of ISO 8601."""
    return dt.datetime.fromisoformat(time_).timestamp()


def prepare(engine: Engine, secrets: Path) -> None:
    """Make certificates, seeds, users and passwords, or bring them up to date."""
    environ = {f"{name.upper()}_URL": f"http://target:8080/{name}" for name in WEBHOOKS}
    environ |= {"PEYVAND": PEYVAND, "VANTAGES": " ".join(VANTAGES), "OWNER": "10001:10001"}
    engine.run(str(ROOT / "deploy" / "prepare.sh"), str(secrets), environ=environ)


def _register(folder: Path) -> Path:
    """A register of links that the container ``target`` answers, from two vantages, counting from now on."""
    directory = write_register(
        folder, "http://target:8080", "tcp://target:8080", None, LINKS, SLOT_SECONDS, timeout_seconds=TIMEOUT_SECONDS
    )
    policy = json.loads((directory / "policy.yaml").read_text())
    policy["epoch"] = dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()
    policy["vantages"] = [{"id": name, "control_targets": ["tcp://target:8080"]} for name in VANTAGES]
    policy["egress"] = {"allow": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]}  # an engine's own networks
    (directory / "policy.yaml").write_text(json.dumps(policy))
    return directory


@contextmanager
def running_stack(engine: Engine) -> Iterator[Stack]:
    """The stack, prepared and removed with everything it kept; ``up`` starts it."""
    folder = engine.folder
    shutil.copy(HERE / "target.py", folder)
    environ = {
        **IMAGES,
        "PEYVAND_TEST": str(folder),
        "PEYVAND_SECRETS": str(folder / "secrets"),
        "PEYVAND_REGISTER": str(_register(folder / "register")),
        "VANTAGE_1": VANTAGES[0],
        "VANTAGE_2": VANTAGES[1],
        **{f"{name}_PORT": str(free_port()) for name in ("API", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")},
    }
    prepare(engine, Path(environ["PEYVAND_SECRETS"]))
    stack = Stack(engine, environ)
    try:
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)
