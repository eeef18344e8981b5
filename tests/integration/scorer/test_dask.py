"""A Dask cluster counts days as one process does, even when a worker is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from services.dataset.days import EvidenceDays, LogFiles, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import MEASUREMENT
from services.register.directory.load import load_register
from services.scorer.archived import engine_at
from services.scorer.archived.day_files import DayFile, count_file
from services.scorer.archived.engines import here
from tests.support.cases.datasets.rows import measured
from tests.support.registers import write_register

MESSAGES = 40


def test_a_cluster_counts_as_one_process_does(tmp_path: Path) -> None:
    """With a real scheduler and two workers, one of them killed after the first result, the counts are the same."""
    from distributed import Client, LocalCluster  # noqa: PLC0415  # every worker collects this, and one runs it

    policy = load_register(write_register(tmp_path / "register")).policy
    days = EvidenceDays(policy.timezone, policy.grace_seconds, policy.slot_seconds)
    storage = LocalStorage(tmp_path / "dataset")
    for number in range(1, MESSAGES + 1):
        write_segments(storage, MEASUREMENT, [measured(number, sequence=number)], number, number, days)
    sealer = Sealer(storage, SigningKey.generate("archive.example"), days)
    for day in sealer.due(float("inf")):
        sealer.seal(day, SealingContext())
    files = [
        DayFile(storage.address, manifest.day, file, policy)
        for _, manifest in LogFiles(storage).manifests()
        for file in manifest.files
    ] * 20
    expected = list(here(count_file, files))
    assert expected[0].stages.size
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with Client(address) as client:
            workers = list(client.run(os.getpid).values())
        assert len(workers) == 2
        results = iter(engine_at(address.replace("tcp://", "dask://"))(count_file, files))
        counted = [next(results)]
        os.kill(workers[0], signal.SIGKILL)
        counted += results
    assert len(counted) == len(expected)
    for one, other in zip(counted, expected, strict=True):
        assert (one.day, one.targets, one.vantages) == (other.day, other.targets, other.vantages)
        assert np.array_equal(one.stages, other.stages)
