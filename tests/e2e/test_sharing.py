"""Several probers of one vantage measure the same as one: nothing is lost and nothing counts twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.oracles.witness import (
    Client,
    assert_the_index_counts_each_verdict_once,
    late_slots,
    overloaded_slots,
    read_register,
    read_truth,
)
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.processes import logged
from tests.support.system import System
from tests.support.waiting import DEADLINE

SLOT = 3
FLUSH_SECONDS = 1.0
SETTLED_SLOTS = 3


@dataclass
class Prober:
    """One more prober process of a running system."""

    system: System
    folder: Path
    prober: str
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it with a folder of its own."""
        flags = {
            "nats": self.system.nats,
            "credentials": self.system.credentials,
            "data": self.folder,
            "metrics": f"127.0.0.1:{self.port}",
            "prober": self.prober,
            "probe-files": self.system.data / "sandbox" / "register",
        }
        argv = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
        self.folder.mkdir()
        with (self.folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "services.prober", *argv]
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    def metrics(self) -> dict[str, float]:
        """Return what it exposes about its peers and its share; empty while nothing answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                return shares_in(answer.read().decode())
        except OSError:
            return {}

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def shares_in(text: str) -> dict[str, float]:
    """Return the number of live peers and of links in the share, from an exposition."""
    wanted = ("peyvand_probe_peers", 'peyvand_probe_targets{kind="link"}')
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(wanted))
    return {name.partition("{")[0]: float(value) for name, value in pairs}


@pytest.fixture
def more(tmp_path: Path):
    """Start more probers: `more(system, "name", "id")`; none outlives the test."""
    started = []

    def start(system: System, name: str, prober: str = "") -> Prober:
        one = Prober(system, tmp_path / name, prober or name)
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        if one.process is not None:
            one.process.kill()
            one.process.wait()


def _answers(path: Path) -> Counter[tuple[str, int]]:
    """Return how often each link was answered in each slot, from the sandbox's own log."""
    return Counter((row["link"], row["slot"]) for row in logged(path))


@pytest.mark.slow
def test_probers_that_share_lose_nothing_and_double_nothing(system, more) -> None:
    """Every known verdict is true while probers join, probe side by side under one id, leave and are killed. Only the
    share of the last killed prober is unknown, until that prober is missed, and the few probes that a busy machine took
    from a prober. The index counts each verdict once.
    """
    running = system("--slot", f"{SLOT}s", "--seed", "9")
    client = Client(running.api)
    running.until(lambda: client.government() is not None, what="a first index was published")
    register = read_register(running.data / "sandbox" / "register")
    truth_path = running.data / "sandbox" / "truth.ndjson"
    live = [link["id"] for link in register["links"] if link["live_from"] is not None]

    def shared(*others: Prober, peers: int) -> bool:
        every = [shares_in(running.page("prober", "/metrics")[1]), *(other.metrics() for other in others)]
        targets = sum(one.get("peyvand_probe_targets", 0) for one in every)
        return targets == len(live) and all(one.get("peyvand_probe_peers") == peers for one in every)

    second = more(running, "second")
    running.until(lambda: shared(second, peers=2), what="two probers shared the links")
    third = more(running, "third")
    running.until(lambda: shared(second, third, peers=3), what="three probers shared the links")
    twin = more(running, "twin", "second")
    running.until(lambda: "prober_doubled" in second.log and "prober_doubled" in twin.log, what="the twin was noticed")
    side_by_side = int(time.time()) // SLOT + 1
    running.until(lambda: time.time() > (side_by_side + 3) * SLOT, what="three slots passed")
    left = int(time.time()) // SLOT
    assert third.end(signal.SIGTERM) == 0
    second.end(signal.SIGKILL)  # its twin has the same share
    running.until(lambda: time.time() > (side_by_side + 6) * SLOT, what="three more slots passed")
    killed = time.time()
    twin.end(signal.SIGKILL)
    running.until(lambda: shared(peers=1), what="the last prober took everything")
    alone = time.time()
    end = int(alone) // SLOT + 2

    def settled() -> bool:
        government = client.government()
        return government is not None and government.as_of.seconds // SLOT >= end + SETTLED_SLOTS

    running.until(settled, what="everything was published")
    truth = read_truth(truth_path)
    late = late_slots(running.data / "logs" / "sandbox.log", range(truth.first_slot, end))
    told = {link: client.verdicts(link, truth.first_slot, end, SLOT) for link in live}
    wrong = [
        (link, s, stage, truth.stage(link, s))
        for link, of in told.items()
        for s, stage in of.items()
        if s not in late and stage not in (None, truth.stage(link, s))
    ]
    assert not wrong, f"{len(wrong)} known verdicts are not the truth (link, slot, told, true): {wrong[:10]}"
    overloaded = overloaded_slots(client, told, SLOT, running.data / "logs" / "prober.log")
    # PROBER_ERROR is also the reason of a probe that a stopped prober gave up.
    overloaded -= {one for one in overloaded if one[1] == left and client.reason(*one, SLOT) == "REASON_PROBER_ERROR"}
    unknown = {(link, s) for link, of in told.items() for s, stage in of.items() if stage is None} - overloaded
    held = range(int(killed - FLUSH_SECONDS) // SLOT, int(alone) // SLOT + 1)
    lost = sorted(one for one in unknown if one[1] not in held)
    shown = [(*one, client.slot(*one, SLOT)) for one in lost[:10]]
    assert not lost, f"{len(lost)} slots are unknown though somebody was to probe them: {shown}"
    answers = _answers(running.data / "sandbox" / "access.ndjson")
    twice = {key for key, count in answers.items() if count == 2 and side_by_side <= key[1] < side_by_side + 3}
    assert len(twice) > len(live) / 6, "the twins did not probe side by side"
    assert_the_index_counts_each_verdict_once(client, register, live, truth.first_slot, SLOT)
    client.close()
