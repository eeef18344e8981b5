"""`peyvand up` as a newcomer meets it: it starts, says what is wrong, and ends."""

from __future__ import annotations

import json
import socketserver
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.support.forked import run
from tests.support.oracles.witness import Client
from tests.support.ports import free_first_port
from tests.support.processes import state
from tests.support.system import System, run_up
from tests.support.values.exchange_records import both_sides
from tests.support.waiting import until


def _refused(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run a `peyvand up` that ends before it starts anything, in a fork of a process that has imported it."""
    return run("services.cli", "up", *flags)


def _alive(pids) -> list[int]:
    return [pid for pid in pids if state(pid) != "Z"]


def _left_of(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


@pytest.mark.slow
def test_a_run_ends_by_kill_9_and_by_itself(system, tmp_path: Path) -> None:
    """While a run lasts, a second one on its folder is refused, and the log that `--exchanges` names is counted. Kill
    -9 leaves no process. The next run on the same folder prints an index, ends by itself with `--for` and leaves none.
    """
    log = tmp_path / "exchanges.ndjson"
    log.write_text("".join(f"{json.dumps(side)}\n" for side in both_sides()), "utf-8")
    began = time.monotonic()
    running = system("--slot", "2s", "--exchanges", str(log))
    client = Client(running.api)
    running.until(lambda: client.government() is not None, what="a first index was published")
    first_index = time.monotonic() - began
    client.close()
    running.until(lambda: "\npeyvand_exchanges{" in running.page("scorer", "/metrics")[1], what="the log was counted")
    refused = _refused("--sandbox", "--data", str(running.data), "--first-port", str(free_first_port()))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"peyvand: another `peyvand up` uses the folder {running.data}: end it, or name another folder with --data\n"
    )
    children = running.children()
    assert set(children) == {"nats-server", "prober", "scorer", "collector", "archive", "api", "console", "sandbox"}
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    until(lambda: _alive(children.values()) == [], what="the children of a killed `peyvand up` had ended")

    ports = ("--first-port", str(running.first_port), "--base-port", str(running.base_port))
    for patience in (1.5, 3, 6):  # the machine may be busier than it was before the first index of the first run
        seconds = f"{patience * first_index:.0f}s"
        ended = run_up("--sandbox", "--slot", "2s", "--for", seconds, "--data", str(running.data), *ports)
        assert (ended.returncode, ended.stderr) == (0, "")
        lines = [line for line in ended.stdout.splitlines() if "index" in line and "bounds" in line]
        if lines:
            break
    assert lines, ended.stdout
    assert _left_of(running.data) == []
    public = running.data / "sandbox" / "ca.pem"  # public, because others must trust it
    left = (running.data, *running.data.rglob("*"))
    assert [path for path in left if path.stat().st_mode & 0o077 and path.name != public.name] == []


def test_endpoints_alone_are_measured_and_shown(tmp_path: Path) -> None:
    """A register without links has no index: its endpoints are shown, and the output says what is missing. After Ctrl-C
    no process is left, and the exit code is 0.
    """
    register = tmp_path / "register"
    register.mkdir()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as portal:
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        target = f"tcp://127.0.0.1:{portal.server_address[1]}"
        files = {
            "agencies.csv": "id,name_en,name_fa,sector\ntax,Tax Office,مالیات,economy\n",
            "services.csv": "id,agency,name_en,name_fa\n",
            "links.csv": "id,service,provider,data_item\n",
            "endpoints.csv": f"id,agency,probe,target\nportal,tax,open,{target}\n",
            "probes.yaml": "open: {kind: tcp, timeout: 1s}\n",
            "policy.yaml": (
                "government: {id: x, name_en: X, name_fa: ایکس}\ntimezone: UTC\nepoch: 2026-01-01\nslot_seconds: 4\n"
                f"default_latency_ms: 500\nvantages: [{{id: main, control_targets: ['{target}']}}]\n"
                "egress: {allow: [127.0.0.0/8], allow_loopback: true}\n"
            ),
        }
        for name, text in files.items():
            (register / name).write_text(text, "utf-8")
        running = System(tmp_path / "data", ("--for", "10m"), register=register)
        running.start()
        try:
            running.until(lambda: "1 known" in running.log("up"), what="the endpoint was measured")
            children = running.children()
            assert {"nats-server", "prober", "scorer", "archive", "api", "console"} <= set(children)
            assert running.stop() == 0
            assert _alive(children.values()) == []
        finally:
            running.stop()
        portal.shutdown()
    shown = running.log("up")
    assert "1 endpoint of 1 agency and no links, so there is no index" in shown
    assert "1 endpoint, 1 known  worst: portal " in shown
    assert "no index was published" not in shown
