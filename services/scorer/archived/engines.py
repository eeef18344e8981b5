"""Counts sealed days in this process or on a Dask cluster, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from services.core.errors import SettingsError
from services.scorer.archived.day_files import DayFile

_FILES: Final = 16
"""Files in one task. If they were sent one by one, requesting them would take longer than counting them."""

Counted = TypeVar("Counted")


class Engine(Protocol):
    """Counts files somewhere, and returns the results in the order of the files."""

    def __call__(self, work: Callable[[DayFile], Counted], files: Sequence[DayFile], /) -> Iterable[Counted]:
        """Return the result of ``work`` for each file."""


def here(work: Callable[[DayFile], Counted], files: Sequence[DayFile]) -> Iterator[Counted]:
    """Count in this process, one file after the other."""
    return map(work, files)


def engine_at(address: str) -> Engine:
    """Return the engine at an address: ``local``, or ``dask://HOST:PORT`` for a scheduler. Raises SettingsError."""
    if address == "local":
        return here
    scheme, _, place = address.partition("://")
    if scheme != "dask" or not place:
        raise SettingsError(f"there is no engine {address!r}: name local or dask://HOST:PORT")
    return _over_dask(place)


def _over_dask(place: str) -> Engine:
    """Return an engine that counts on a cluster. Its workers read the dataset at the same address."""
    try:
        import distributed  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise SettingsError("Dask is not installed: install peyvand[dask]") from error

    make_client: Any = distributed.Client

    def count(work: Callable[[DayFile], Counted], files: Sequence[DayFile]) -> Iterator[Counted]:
        try:
            client = make_client(f"tcp://{place}", timeout="3s")
        except OSError as error:
            raise SettingsError(f"the Dask scheduler at dask://{place} cannot be reached: {error}") from error
        pieces = [files[first : first + _FILES] for first in range(0, len(files), _FILES)]
        with client:
            futures = client.map(partial(_count_each, work), pieces, pure=False, retries=3)[::-1]
            while futures:  # a worker drops a result that nobody holds a future of
                yield from futures.pop().result()

    return count


def _count_each(work: Callable[[DayFile], Counted], files: Sequence[DayFile]) -> list[Counted]:
    return [work(file) for file in files]
