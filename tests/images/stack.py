"""deploy/compose.yaml run for real: until healthy, under load, with a bus server and a prober killed."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import time
import urllib.parse
from collections import Counter
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

__all__ = ["PEYVAND", "VANTAGES", "Stack", "nothing_is_lost", "prepare", "running_stack", "watched"]

VANTAGES = ("north", "south")
LINKS, SLOT_SECONDS, TIMEOUT_SECONDS = 1000, 20, 3
LEFT_OUT = ("grafana",)
WEBHOOKS = ("pages", "tickets")
_HEALTHY_SECONDS = 240.0
_POLL_SECONDS = 0.5
PEYVAND = str(ROOT / ".venv" / "bin" / "peyvand")
# A prober that died is missed after 6 s of silence, and what it had not probed is probed at once: early in a slot that is
# in time for the slot itself.
_EARLY_SECONDS = 3.0


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
            if found and _seconds(found["as_of"]) >= moment:
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


def _seconds(time_: str) -> float:
    return dt.datetime.fromisoformat(time_).timestamp()


def _next_slot() -> float:
    return (time.time() // SLOT_SECONDS + 1) * SLOT_SECONDS


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def watched(stack: Stack) -> str:
    """Prometheus scrapes every component, has loaded the rules and reaches Alertmanager, which tells the webhooks."""
    end = time.monotonic() + 90
    alerts = [{"labels": {"alertname": "Tried", "severity": severity}} for severity in ("page", "ticket")]
    stack.ask("alertmanager", "/api/v2/alerts", alerts)
    expected = Counter({"prober": 4, "scorer": 1, "collector": 1, "api": 1})
    while True:
        up = Counter(metric["job"] for metric, value in stack.query("up") if value == 1)
        managers = stack.ask("prometheus", "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
        if expected <= up and managers:
            break
        if time.monotonic() > end:
            raise Failure(f"Prometheus reaches {dict(up)} and {len(managers)} Alertmanager")
        time.sleep(1)
    groups = stack.ask("prometheus", "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    if bad := [rule["name"] for rule in rules if rule["health"] == "err"]:
        raise Failure(f"rules with errors: {', '.join(bad)}")
    if not rules:
        raise Failure("no rules are loaded")
    while silent := [one for one in WEBHOOKS if not any(_tells(line, one) for line in stack.told())]:
        if time.monotonic() > end:
            raise Failure(f"Alertmanager did not tell {', '.join(silent)}: {stack.logs('alertmanager')}")
        time.sleep(1)
    status = stack.ask("alertmanager", "/api/v2/status")
    version = status["versionInfo"]["version"]
    return f"{sum(expected.values())} targets up, {len(rules)} rules, Alertmanager {version} tells {' and '.join(WEBHOOKS)}"


def _tells(line: str, webhook: str) -> bool:
    """Whether this was posted to the webhook and tells of the alert that was tried."""
    return line.startswith(f"POST /{webhook} ") and '"alertname":"Tried"' in line


def nothing_is_lost(stack: Stack) -> str:
    """Kill a prober and the server that leads the measurements under load; every slot of every link is there after."""
    first = _next_slot()
    stack.until_scored(first)
    for victim in ("prober-1a", stack.leader()):
        _sleep_until(_next_slot() + _EARLY_SECONDS)
        stack.kill(victim)
        stack.until_healthy()
    last = _next_slot() + SLOT_SECONDS
    indicator = stack.until_scored(last)
    dumped = stack.measurements()
    _every_slot(dumped, first, last)
    counted = stack.score(indicator, dumped)
    if counted != indicator:
        differ = [name for name in {*counted, *indicator} if counted.get(name) != indicator.get(name)]
        raise Failure(f"the published index and the one of the dump differ in {', '.join(sorted(differ))}")
    dropped = sum(value for _, value in stack.query("peyvand_spool_dropped_total"))
    if dropped:
        raise Failure(f"spools dropped {dropped:.0f} batches")
    for victim in stack.killed:
        if stack.inspect(victim, ".RestartCount") == "0":
            raise Failure(f"{victim} was not killed")
    slots = int(last - first) // SLOT_SECONDS
    return (
        f"{' and '.join(stack.killed)} killed; {slots} slots of {LINKS} links from {len(VANTAGES)} vantages all there, "
        f"index {indicator['lower']:.4f} to {indicator['upper']:.4f} equal to that of the dump"
    )


def prepare(engine: Engine, secrets: Path) -> None:
    """Make certificates, seeds, users and passwords, or bring them up to date."""
    environ = {f"{name.upper()}_URL": f"http://target:8080/{name}" for name in WEBHOOKS}
    environ |= {"PEYVAND": PEYVAND, "VANTAGES": " ".join(VANTAGES), "OWNER": "10001:10001"}
    engine.run(str(ROOT / "deploy" / "prepare.sh"), str(secrets), environ=environ)


def _every_slot(dumped: Path, first: float, last: float) -> None:
    """Whether each link has a measurement of each slot and vantage, and none blames a target that always answered."""
    seen: set[tuple[str, str, float]] = set()
    outcomes: Counter[str] = Counter()
    with dumped.open() as lines:
        for line in lines:
            row = json.loads(line)
            slot = _seconds(row["slot_start"])
            if first <= slot < last:
                seen.add((row["link"], row["vantage"], slot))
                outcomes[row["outcome"]] += 1
    slots = [first + n * SLOT_SECONDS for n in range(int(last - first) // SLOT_SECONDS)]
    wanted = {(f"link-{n}", vantage, slot) for n in range(LINKS) for vantage in VANTAGES for slot in slots}
    if missing := wanted - seen:
        places = Counter((vantage, int(slot - first) // SLOT_SECONDS) for _, vantage, slot in missing)
        raise Failure(f"{len(missing)} of {len(wanted)} measurements are missing, by vantage and slot: {dict(places)}")
    blamed = {name: n for name, n in outcomes.items() if name not in ("OUTCOME_OK", "OUTCOME_UNKNOWN")}
    if blamed:
        raise Failure(f"targets that always answered read as {blamed}")
    if outcomes["OUTCOME_UNKNOWN"] > 0.05 * sum(outcomes.values()):
        raise Failure(f"more than 5 % are unknown: {dict(outcomes)}")


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
