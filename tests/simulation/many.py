"""Simulate the months of many seeds, in this process or in several."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import structlog

from tests.simulation.month import Month, simulate
from tests.support.processes import end_with_parent

_CHUNK = 20
"""Seeds that a process takes at a time."""


def simulate_many(seeds: Sequence[int], jobs: int, until: float) -> Iterator[Month]:
    """Simulate the months of seeds in their order, without their logs, until a time of the monotonic clock."""
    chunks = [seeds[first : first + _CHUNK] for first in range(0, len(seeds), _CHUNK)]
    if jobs == 1:
        for chunk in chunks:
            yield from _chunk(until, chunk)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin) as pool:
        for months in pool.map(partial(_chunk, until), chunks):
            yield from months


def _begin() -> None:
    end_with_parent()
    silence_components()


def _chunk(until: float, seeds: Sequence[int]) -> list[Month]:
    return [replace(simulate(seed), log=()) for seed in seeds if time.monotonic() < until]


def silence_components() -> None:
    """Silence the logs of components, which a month records itself."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
