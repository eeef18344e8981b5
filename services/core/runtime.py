"""The process of a component: settings, logs, /metrics and /health, signals, exit code.

/health is NOT_SERVING until the component's dependencies answer, and again before it drains.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import uvloop
from prometheus_client import CollectorRegistry

from services.core import log as logs
from services.core import metrics
from services.core.errors import InputError, ListenError, PeyvandError, SettingsError
from services.core.malloc import share_arena
from services.core.settings import Settings, load_settings, parse_address
from services.core.status_pages import serving_pages, text_page
from services.core.tasks import cancel_and_wait, run_in_daemon_thread

ENDING: Final = "ending"
"""The reason why a component that was told to stop does not serve."""

DRAIN_SECONDS = 4.0
"""How long a component may take to drain after a signal; Ctrl-C of `peyvand up` ends everything within 5 s."""


class Health:
    """Whether this process serves, and ``why`` not, in words for a person.

    A ``warning`` is a problem that somebody should fix although the process serves.
    """

    def __init__(self) -> None:
        self.is_serving = False
        self.has_served = False
        self.why, self.warning = "starting", ""

    def __str__(self) -> str:
        if not self.is_serving:
            return f"NOT_SERVING: {self.why}"
        return f"SERVING, but {self.warning}" if self.warning else "SERVING"

    def serving(self) -> None:
        """Record that dependencies have answered."""
        self.is_serving = self.has_served = True

    def not_serving(self, why: str) -> None:
        """Record that a dependency is gone or has not answered yet, or that draining begins."""
        self.is_serving, self.why = False, why


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a component's main function receives. ``stop`` is set by SIGTERM and SIGINT."""

    settings: Settings
    registry: CollectorRegistry
    log: logs.Logger
    stop: asyncio.Event
    health: Health = field(default_factory=Health)

    def watch_bus(self, connected: Callable[[], bool]) -> None:
        """Have /metrics call ``connected``, which says whether the message bus answers."""
        metrics.gauge("peyvand_bus_connected", self.registry).set_function(connected)

    async def wait(self, seconds: float) -> bool:
        """Wait this many seconds, or until the stop; return whether the stop has come."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), max(0.0, seconds))
        return self.stop.is_set()


@contextmanager
def _serving_pages(where: str, registry: metrics.PageRegistry, health: Health) -> Iterator[None]:
    """Serve /metrics and /health for as long as the context lasts. Raises ListenError or SettingsError."""
    host, port = parse_address(where)
    pages = serving_pages(host, port, registry, lambda: text_page(200 if health.is_serving else 503, f"{health}\n"))
    with ExitStack() as stack:
        try:
            stack.enter_context(pages)
        except OSError as error:
            raise ListenError(
                f"/metrics cannot listen on {where}: {error.strerror}; choose another with --metrics"
            ) from error
        yield


class _EventLoop(uvloop.Loop):
    """An event loop that ends although no name server answers. uvloop waits for every lookup, even a cancelled one."""

    async def getaddrinfo(self, host: Any, port: Any, **options: int) -> Any:
        """Look up a host, as ``socket.getaddrinfo`` does."""
        return await run_in_daemon_thread(partial(socket.getaddrinfo, host, port, **options))


async def _main(runtime: Runtime, main: Callable[[Runtime], Awaitable[None]]) -> None:
    runtime.log.info("started", metrics=runtime.settings.metrics)
    work = asyncio.ensure_future(main(runtime))
    stopping = asyncio.ensure_future(runtime.stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        # A component that never served has nothing to drain; it may be waiting for a bus that never answers.
        await asyncio.wait({work}, timeout=DRAIN_SECONDS if runtime.health.has_served else 0)
    runtime.health.not_serving(ENDING)
    await cancel_and_wait(work)
    if not work.cancelled():
        work.result()


_LEAST_DESCRIPTORS: Final = 64
"""A component alone has some 20 files and sockets open. With too few, libraries crash or report misleading errors."""


def raise_descriptor_limit(least: int = _LEAST_DESCRIPTORS) -> None:
    """Raise the soft limit of open files to the hard limit. Raises SettingsError when the result is below ``least``.

    A national sandbox listens on thousands of sockets, and the scorer maps a file for every day; the usual soft limit of
    1024 is meant for programs that use select.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # some systems report a hard limit above what the kernel allows
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < least:  # unlimited is negative
        raise SettingsError(
            f"it may have {limit} files open at once and needs {least}: raise the limit, with `ulimit -n` in a "
            "shell or LimitNOFILE in a unit"
        )


def run_component(component: str, main: Callable[[Runtime], Awaitable[None]], argv: Sequence[str] | None = None) -> int:
    """Run one component until it ends or a signal arrives; return the exit code: 0, or 1 after one sentence on stderr."""
    try:
        raise_descriptor_limit()
        share_arena()
        settings = load_settings(component, sys.argv[1:] if argv is None else argv, os.environ)
        logs.configure_logging(component, settings.log_level)
        registry = metrics.PageRegistry()

        async def body() -> None:
            runtime = Runtime(settings, registry, logs.logger(), asyncio.Event())
            # Before /health answers: a reader of it may send a signal at once.
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, runtime.stop.set)
            metrics.gauge("peyvand_start_timestamp_seconds", registry).set(time.time())
            metrics.gauge("peyvand_serving", registry).set_function(lambda: runtime.health.is_serving)
            with _serving_pages(settings.metrics, registry, runtime.health):
                await _main(runtime, main)
                runtime.log.info("stopped")

        uvloop.run(body(), loop_factory=_EventLoop)
    except InputError as error:
        print(error.report(), file=sys.stderr)  # noqa: T201  # a person reads this
        return 1
    except PeyvandError as error:
        print(f"peyvand {component}: {error}", file=sys.stderr)  # noqa: T201  # a person reads this
        return 1
    return 0
