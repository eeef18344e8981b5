"""A running system switches to a new register without losing or doubling a slot."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from peyvand.v1 import indicator_pb2
from tests.support.oracles import index as oracle
from tests.support.oracles.witness import Client, late_slots, overloaded_slots, read_register, read_truth
from tests.support.paths import ROOT

SLOT = 2
EXACT = 1e-12


def _change(register) -> str:
    """Remove the last link of a register and the exchanges that serve it; return the id of that link."""
    removed = _rows(register / "links.csv")[-1][0]
    for name in ("links.csv", "exchange.csv"):
        path = register / name
        rows = [row for row in _rows(path) if removed not in row]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return removed


def _rows(path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _now(client: Client) -> indicator_pb2.Indicator:
    found = client.government()
    assert found is not None
    return found


@pytest.mark.slow
def test_a_new_register_takes_force_without_a_lost_or_doubled_slot(system) -> None:
    """A version that is published mid-run scores its whole window, and every slot before and after is known and true, unless the
    machine was too busy.
    """
    running = system("--slot", f"{SLOT}s", "--seed", "5")
    client = Client(running.api)
    running.until(lambda: client.government() is not None, what="a first index was published")
    old = _now(client)
    sandbox = running.data / "sandbox"
    removed = _change(sandbox / "register")
    where = ("--nats", running.nats, "--credentials", str(running.credentials))
    publish = [sys.executable, "-m", "services.cli", "register", "publish", str(sandbox / "register"), *where]
    subprocess.run(publish, cwd=ROOT, check=True, timeout=60)

    def in_force() -> bool:
        now = client.government()
        return now is not None and now.register_version != old.register_version

    running.until(in_force, what="the new register was in force")
    since = _now(client).as_of.seconds
    running.until(lambda: _now(client).as_of.seconds >= since + 3 * SLOT, what="three slots under it passed")

    register = read_register(sandbox / "register")
    assert removed not in {link["id"] for link in register["links"]}
    truth = read_truth(sandbox / "truth.ndjson")
    government = _now(client)
    end = government.as_of.seconds // SLOT
    live = [link["id"] for link in register["links"] if link["live_from"] is not None]
    told = {link: client.verdicts(link, truth.first_slot, end, SLOT) for link in live}
    stages = {(False, link, s): stage for link, of in told.items() for s, stage in of.items() if stage is not None}
    late = late_slots(running.data / "logs" / "sandbox.log", range(truth.first_slot, end))
    overloaded = overloaded_slots(client, told, SLOT, running.data / "logs" / "prober.log")
    unknown = {(link, s) for link, of in told.items() for s, stage in of.items() if stage is None} - overloaded
    shown = [(link, s - truth.first_slot, client.reason(link, s, SLOT)) for link, s in sorted(unknown)[:10]]
    assert not unknown, f"{len(unknown)} slots are unknown (link, slot, reason): {shown}"
    wrong = [key for key, stage in stages.items() if key[2] not in late and stage != truth.stage(key[1], key[2])]
    assert not wrong, f"{len(wrong)} verdicts are not the truth: {wrong[:10]}"
    true = oracle.index(register, stages, days=28, end_slot=end)["government", register["government"]]
    assert government.links_required == len(register["links"])
    assert government.known_share == pytest.approx(float(true.known_share), abs=EXACT)
    assert true.point is not None
    assert government.point == pytest.approx(float(true.point), abs=EXACT)
    client.close()
