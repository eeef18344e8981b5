"""Run blackbox_exporter and Prometheus on the same targets as Peyvand, as an ops team would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.ports import free_port

__all__ = ["MODULE", "available", "exporter", "probing"]

MODULE = "bench"
"""The name of the exporter's module, which expects what our probe does."""

_PROGRAMS = {"blackbox_exporter": "prometheus-blackbox-exporter", "prometheus": "prometheus"}
_START_SECONDS = 30.0
_X25519_ALONE = {"GODEBUG": "tlsmlkem=0"}


def available() -> bool:
    """Return whether both programs are installed (Debian: prometheus, prometheus-blackbox-exporter)."""
    return all(shutil.which(program) for program in _PROGRAMS.values())


@contextmanager
def probing(
    folder: Path, targets: Sequence[str], interval: int, authority: Path, *, x25519: bool = False
) -> Iterator[Mapping[str, int]]:
    """Probe every target once per ``interval`` seconds by a fresh connection. Yields process ids by program.

    With ``x25519`` it offers X25519 alone, as ``exporter`` does.
    """
    blackbox, prometheus = free_port(), free_port()
    (folder / "prometheus.yml").write_text(json.dumps(_scrapes(targets, interval, blackbox)))
    commands = {
        "blackbox_exporter": _exporter(folder, authority, blackbox, timeout=5),
        "prometheus": (
            _PROGRAMS["prometheus"],
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        ),
    }
    environment = _X25519_ALONE if x25519 else {}
    with _running(folder, commands, (blackbox, prometheus), **environment) as pids:
        yield pids


@contextmanager
def exporter(folder: Path, authority: Path, timeout: int) -> Iterator[tuple[int, int]]:
    """Run blackbox_exporter alone. Its probes time out after ``timeout`` seconds. Yields its process id and port.

    It offers X25519 alone, like a prober that offers X25519 first. The hybrid that Go prefers costs more.
    """
    port = free_port()
    commands = {"blackbox_exporter": _exporter(folder, authority, port, timeout)}
    with _running(folder, commands, (port,), **_X25519_ALONE) as pids:
        yield pids["blackbox_exporter"], port


def _exporter(folder: Path, authority: Path, port: int, timeout: int) -> Sequence[str]:
    """Write its configuration, and return the command that starts it."""
    (folder / "blackbox.yml").write_text(json.dumps(_modules(authority, timeout)))
    return (
        _PROGRAMS["blackbox_exporter"],
        f"--config.file={folder / 'blackbox.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )


@contextmanager
def _running(
    folder: Path, commands: Mapping[str, Sequence[str]], ports: Sequence[int], **environment: str
) -> Iterator[Mapping[str, int]]:
    """Run these commands. Yields process ids by name once their ports answer."""
    with (folder / "incumbent.log").open("w") as log:
        running = {
            name: subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
            for name, command in commands.items()
        }
        try:
            for port in ports:
                _until(lambda port=port: _answers(port), running)  # type: ignore[misc]
            yield {name: process.pid for name, process in running.items()}
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait(30)


def _modules(authority: Path, timeout: int) -> object:
    """Return the same expectations as our probe's."""
    http = {
        "valid_status_codes": [200],
        "fail_if_body_not_matches_regexp": ['"clear": (true|false)'],
        "headers": {"Accept": "application/json"},
        "preferred_ip_protocol": "ip4",
        "tls_config": {"ca_file": str(authority)},
    }
    return {"modules": {MODULE: {"prober": "http", "timeout": f"{timeout}s", "http": http}}}


def _scrapes(targets: Sequence[str], interval: int, blackbox: int) -> object:
    relabel = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": f"127.0.0.1:{blackbox}"},
    ]
    job = {
        "job_name": "bench",
        "metrics_path": "/probe",
        "params": {"module": [MODULE]},
        "static_configs": [{"targets": list(targets)}],
        "relabel_configs": relabel,
    }
    return {
        "global": {"scrape_interval": f"{interval}s", "scrape_timeout": f"{min(interval, 5)}s"},
        "scrape_configs": [job],
    }


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _until(condition: Callable[[], bool], running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        ended = [name for name, process in running.items() if process.poll() is not None]
        assert not ended, f"{ended} ended at once"
        assert time.monotonic() < deadline, "blackbox_exporter or Prometheus did not start"
        time.sleep(0.05)
