"""Measure what the archive costs: sealing a day and exchanges, and recomputing the index and a round of a country."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from distributed import LocalCluster

from services.archive.link_days import link_days
from services.archive.registers import keep_register
from services.core.model import DURATION_BUCKETS, ExchangeSummary, Indicator, IndicatorKind, Losses, Register
from services.dataset.days import LogFiles, Sealer, SealingContext, write_segments
from services.dataset.log import SigningKey
from services.dataset.storage import LocalStorage
from services.dataset.tables import EXCHANGE, INDICATOR, exchange_table, indicator_table, sorted_rows, write
from services.indicator.method_version import METHOD_VERSION
from services.register.directory import load_register
from tests.bench.growth.points import is_point, point
from tests.bench.loads.dataset import Country
from tests.bench.loads.register import write_register
from tests.bench.meters.command import run_command
from tests.bench.meters.process import machine, peak_mib

__all__ = ["PARTS", "archive"]

PARTS = ("exchange", "seal", "score", "verify")
_FLOWS = 1_000
_WORKERS = (0, 1, 2)

_ROUND_DAYS = 28
_SLOT = 300
_SEGMENT_SECONDS = 60
_KEY = SigningKey.generate("bench")


def archive(links: int, days: int, parts: Sequence[str] = PARTS) -> Iterator[str]:
    """Seal a day of so many links in slots of five minutes, and a day of summaries of exchanges.

    Also score ``days`` sealed days, and freeze and verify a round of them, in all ways there are. ``parts`` are some of
    PARTS.
    """
    yield f"archive of {links} links in slots of {_SLOT} s, {days} days, {time.strftime('%F %T %Z')}"
    yield machine()
    with tempfile.TemporaryDirectory(prefix="peyvand-bench-") as folder:
        where = Path(folder)
        first = datetime.now(UTC).date() - timedelta(days=days)
        register = load_register(_register(where, links, first))
        country = Country(links, register.policy)
        if "exchange" in parts:
            with ProcessPoolExecutor(
                1, mp_context=get_context("spawn")
            ) as pool:  # its memory would count as that of commands
                yield pool.submit(_exchanged, country, f"{first}").result()
        if "seal" in parts:
            yield from _sealing(where / "open", country, links, first)
        if not {"score", "verify"} & set(parts):
            return
        storage, began = LocalStorage(where / "sealed"), time.monotonic()
        rows = country.seal(storage, _KEY, [first + timedelta(days=number) for number in range(days)])
        yield f"{rows} measurements of {days} sealed days made up in {time.monotonic() - began:.0f} s: {_sizes(storage)}"
        _publish(storage, country, register, first + timedelta(days=days))
        lines: list[Iterator[str]] = []
        if "score" in parts:
            lines.append(_scoring(storage, links))
        if "verify" in parts:
            lines.append(_verifying(where, storage, links, first, first + timedelta(days=days)))
        # Points are kept only for so many days.
        yield from (line for line in chain(*lines) if days == _ROUND_DAYS or not is_point(line))


def _register(where: Path, links: int, first: date) -> Path:
    folder = write_register(where / "register", "http://127.0.0.1", "tcp://127.0.0.1:1", None, links, _SLOT)
    policy = json.loads((folder / "policy.yaml").read_text())
    (folder / "policy.yaml").write_text(json.dumps({**policy, "epoch": f"{first}"}))
    return folder


def _sealing(folder: Path, country: Country, links: int, day: date) -> Iterator[str]:
    """Seal a day in its own process, so that nothing else is measured."""
    storage = LocalStorage(folder)
    rows = country.segments(storage, day, _SEGMENT_SECONDS)
    segments = storage.names("open")
    yield f"a day in {len(segments)} segments: {sum((folder / name).stat().st_size for name in segments) / rows:.2f} bytes a row"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        took, cpu, before, peak = pool.submit(_seal, folder, country, f"{day}").result()
    yield f"sealed in {took:.1f} s, CPU {cpu:.1f} s, peak RSS {peak:.0f} MiB, {before:.0f} before: {_sizes(storage)}"
    yield point("sealing", links, cpu)
    yield point(
        "sealing_bytes",
        links,
        sum(file.size for _, manifest in LogFiles(storage).manifests() for file in manifest.files),
    )


def _seal(folder: Path, country: Country, day: str) -> tuple[float, float, float, float]:
    sealer = Sealer(LocalStorage(folder), _KEY, country.days, folder.with_name("scratch"))
    before, began, cpu = peak_mib(os.getpid()), time.monotonic(), time.process_time()
    sealer.seal(day, SealingContext(count=partial(link_days, country.policy)))
    return time.monotonic() - began, time.process_time() - cpu, before, peak_mib(os.getpid())


def _sizes(storage: LocalStorage) -> str:
    files = [file for _, manifest in LogFiles(storage).manifests() for file in manifest.files]
    kinds = dict.fromkeys(file.kind for file in files)
    shares = {kind: [(one.size, one.rows) for one in files if one.kind == kind] for kind in kinds}
    return ", ".join(
        f"{sum(size for size, _ in found) / sum(rows for _, rows in found):.2f} bytes a {kind}"
        for kind, found in shares.items()
    )


def _publish(storage: LocalStorage, country: Country, register: Register, end: date) -> None:
    """Write a published indicator beside the days. It says as of when and by which register they are scored."""
    moment = country.days.span(f"{end}").start
    row = Indicator(
        kind=IndicatorKind.GOVERNMENT,
        id=register.policy.government.id,
        window_days=28,
        as_of=moment,
        point=None,
        lower=0.0,
        upper=1.0,
        known_share=0.0,
        losses=Losses(),
        strict=None,
        links_required=0,
        register_version=register.register_version,
        probe_version=register.probe_version,
        method_version=METHOD_VERSION,
        evidence_sequence=2**40,
    )
    keep_register(storage, register)
    table = indicator_table([row], stored=moment + 1.0, sequence=1)
    write_segments(storage, INDICATOR, [table], 1, 1, country.days)


def _exchanged(country: Country, day: str) -> str:
    """Seal a day of summaries of flows in each slot, as a collector publishes them."""
    span, rng = country.days.span(day), np.random.default_rng(1)
    tables = []
    for number, slot in enumerate(range(span.start, span.stop, _SLOT)):
        summaries = [_summary(rng, flow, slot, (slot + 60) * 1000 + flow) for flow in range(_FLOWS)]
        tables.append(exchange_table("xroad", summaries, stored=slot + _SLOT + 60.0, sequence=number + 1))
    table = sorted_rows(tables, EXCHANGE)
    began = time.process_time()
    size = len(write(table, EXCHANGE))
    took = time.process_time() - began
    return f"{table.num_rows} summaries of {_FLOWS} flows: {size / table.num_rows:.2f} bytes a summary, written in {took:.1f} s CPU"


def _summary(rng: np.random.Generator, flow: int, slot: int, revision: int) -> ExchangeSummary:
    """Return exchanges of a flow in a slot: up to three a second, some hundred milliseconds each."""
    count = int(rng.poisson(_SLOT * 3 / (1 + flow % 100)))
    buckets = np.bincount(
        np.clip(rng.normal(15, 2, count).astype(int), 0, DURATION_BUCKETS - 1), minlength=DURATION_BUCKETS
    )
    failed = int(rng.binomial(count, 0.01))
    return ExchangeSummary(
        client=f"GOV/AGENCY/{flow % 60}/client",
        service=f"GOV/AGENCY/{flow % 37}/registry/service-{flow}",
        slot_start=slot,
        revision=revision,
        count=count,
        ok=count - failed,
        provider_failures=failed,
        request_bytes=int(rng.normal(700, 30)) * count,
        response_bytes=int(rng.normal(3000, 300)) * count,
        skew_ms_sum=float(round(rng.normal(0, 10) * count)) / 2,
        skew_count=count,
        duration_buckets=tuple(buckets.tolist()),
        duration_ms_sum=float(round(rng.normal(200, 20) * count)),
        repeats=int(rng.binomial(count, 0.001)),
    )


def _scoring(storage: LocalStorage, links: int) -> Iterator[str]:
    for workers in _WORKERS:
        with _engine(workers) as engine:
            for flags in ((), ("--again",)):
                run = run_command("score", "--archive", storage.address, "--window", f"{_ROUND_DAYS}", *flags, *engine)
                yield f"score --archive {' '.join(flags)} with {workers} workers of Dask: {run}"
                if flags and not workers:
                    yield point("score_again", links, run.cpu)


def _verifying(where: Path, storage: LocalStorage, links: int, first: date, end: date) -> Iterator[str]:
    (where / "key").write_text(_KEY.text(), "utf-8")
    span = ("--from", f"{first}", "--to", f"{end}", "--out", str(where / "rounds"))
    freeze = run_command("round", "freeze", "bench", *span, "--archive", storage.address, "--sign", str(where / "key"))
    yield f"round freeze: {freeze}"
    yield point("round_bytes", links, sum(path.stat().st_size for path in where.glob("rounds/**/*") if path.is_file()))
    for workers in _WORKERS:
        with _engine(workers) as engine:
            verify = run_command("round", "verify", str(where / "rounds" / "bench"), "--key", str(_KEY.public), *engine)
        yield f"round verify with {workers} workers of Dask: {verify}"
        if not workers:
            yield point("round_verify", links, verify.cpu)


@contextmanager
def _engine(workers: int) -> Iterator[tuple[str, ...]]:
    """Start so many workers. Yields the flags that make a command use them, none without workers."""
    if not workers:
        yield ()
        return
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield "--engine", cluster.scheduler_address.replace("tcp://", "dask://")
