"""Fixtures that every kind of test shares: a real nats-server, a scorer, real data, free ports."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog
import typer
from hypothesis import HealthCheck, settings

from tests.file_order import spread
from tests.support.cases.scorer import Scorer
from tests.support.nats import Nats, running_nats
from tests.support.paths import DATA
from tests.support.ports import free_base_port, free_port

# A busy machine is no defect of what is tested. CI tries the same examples each time, as Hypothesis does by itself there.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("untimed")

# A shell that runs tests in the background, and nohup, have them ignore these signals, and every process that they start
# too. A handler is not inherited, so these processes end as at a terminal.
for _signal in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, and leave the tests, which all stay, out of every later search."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files of tests that wait beside files of tests that compute."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    items[:] = [item for file in spread(files) for item in files[file]]


@pytest.fixture(autouse=True)
def _unconfigured_logs() -> Iterator[None]:
    """A command that sets up logging in this process leaves no closed stream behind for the next test."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session", autouse=True)
def _command_made_once() -> Iterator[None]:
    """The runner of typer makes all commands of an app anew each time, which takes longer than most that tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_disks() -> Iterator[None]:
    """Tests cut no power, so what they call in their own process need not wait until a disk has it.

    Other processes sync as always. A test of what is synced, and when, notes the calls.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture
def port() -> Callable[[], int]:
    """Makes free ports."""
    return free_port


@pytest.fixture
def base_port() -> Callable[[], int]:
    """Makes first ports for sandboxes."""
    return free_base_port


@pytest.fixture(scope="session")
def data_file() -> Callable[[str], Path]:
    """Finds a real data file; a test that needs one is skipped where it is missing, except under CI=true."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            message = f"{name} is not in {DATA}; set PEYVAND_DATA to the folder of the real data"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find


@pytest.fixture
def vantage() -> str:
    """The vantage whose prober the bus admits; a test of several overrides it."""
    return "main"


@pytest.fixture
async def nats(tmp_path: Path, vantage: str) -> AsyncIterator[Nats]:
    """A real, initialised nats-server with one user per role."""
    async with running_nats(tmp_path / "nats", vantage) as server:
        yield server


@pytest.fixture
def scorer(nats: Nats, tmp_path: Path) -> Iterator[Scorer]:
    """A scorer that is not running yet, and is not running afterwards."""
    one = Scorer(nats, tmp_path / "scorer")
    yield one
    if one.process is not None and one.process.poll() is None:
        one.kill()
