"""The health check of images distinguishes SERVING from everything else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.cli.healthcheck import check_health
from services.core.metrics import PageRegistry
from services.core.runtime import Health, _serving_pages
from tests.support.ports import free_port


@contextmanager
def _component(health: Health) -> Iterator[str]:
    where = f"127.0.0.1:{free_port()}"
    with _serving_pages(where, PageRegistry(), health):
        yield where.replace("127.0.0.1", "0.0.0.0")


def test_a_component_that_serves_is_healthy_and_no_other() -> None:
    """The answer is that of /health, requested on loopback if the component listens on every address."""
    health = Health()
    with _component(health) as where:
        assert check_health({"PEYVAND_METRICS": where}) == (False, "NOT_SERVING: starting")
        health.serving()
        assert check_health({"PEYVAND_METRICS": where}) == (True, "SERVING")
    assert check_health({"PEYVAND_METRICS": where})[0] is False


@pytest.mark.parametrize("where", ["", "7420", "host:", ":7420", "host:port"])
def test_without_an_address_nothing_is_healthy(where: str) -> None:
    """A container without usable settings is not healthy."""
    assert check_health({"PEYVAND_METRICS": where}) == (False, "PEYVAND_METRICS is not HOST:PORT")


def test_the_command_exits_by_what_it_found() -> None:
    """A container engine reads only the exit code."""
    health = Health()
    command = [sys.executable, "-m", "services.cli.healthcheck"]
    with _component(health) as where:
        environ = {"PEYVAND_METRICS": where}
        assert subprocess.run(command, env=environ, capture_output=True, check=False).returncode == 1
        health.serving()
        found = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "SERVING\n")
