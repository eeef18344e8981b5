"""Provide an archive beside a real bus, and an object store for its dataset."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import fsspec
import pytest

from tests.support.cases.archive import Archive
from tests.support.components import started
from tests.support.nats import Nats
from tests.support.object_store import ObjectStore, running_object_store


@pytest.fixture
def address() -> str:
    """The address of the dataset; empty means a folder of the test."""
    return ""


@pytest.fixture
async def archive(nats: Nats, tmp_path: Path, address: str) -> AsyncIterator[Archive]:
    """An archive that does not run yet."""
    with started(nats, tmp_path) as components:
        yield await Archive.of(nats, components, tmp_path, address)


@pytest.fixture(scope="module")
def running_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store with a bucket, ``evidence``, that clients of this process and its children find."""
    with (
        running_object_store(tmp_path_factory.mktemp("swift") / "store") as one,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in one.environment.items():
            patch.setenv(name, value)
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.clear_instance_cache()  # they may belong to an older store
        files.mkdir("evidence")
        yield one


@pytest.fixture
def store(running_store: ObjectStore) -> ObjectStore:
    """The object store of the module, all of it running."""
    running_store.start()
    return running_store
