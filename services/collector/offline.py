"""Pairs and summarises whole log files at once, with the same ledger as the running collector, on a temporary disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.collector.files import LogFile
from services.collector.ledger import BatchResult, Ledger, LedgerTotals
from services.core.errors import Fault, InputError
from services.core.model import ExchangeSummary
from services.register.attribution import Attributor

__all__ = ["LogDigest", "digest_logs"]

_MOST_FAULTS = 10_000
_TAKE_LINES = 50_000  # as the running collector does


@dataclass(frozen=True, slots=True)
class LogDigest:
    """What a set of log files holds. ``faults`` is empty unless bad lines were to be skipped."""

    summaries: Iterator[ExchangeSummary]
    taken: BatchResult
    totals: LedgerTotals
    faults: tuple[Fault, ...]


@contextmanager
def digest_logs(files: Sequence[Path], mapping: Attributor, *, span_ms: int, skip_bad: bool) -> Iterator[LogDigest]:
    """Summaries (revision 1) of everything the files hold, read while the context is open.

    Raises InputError with every fault of every file, unless ``skip_bad``, when only a file that cannot be read as a
    whole is refused.
    """
    faults: list[Fault] = []
    unreadable: list[Fault] = []
    taken = BatchResult()
    with Ledger(None, mapping, now_ms=0, span_ms=span_ms, forget=False) as ledger:
        for path in files:
            try:
                for batch in LogFile(path).batches(size=_TAKE_LINES):
                    took = ledger.take(str(path), batch, now_ms=0)
                    taken += took
                    room = _MOST_FAULTS - len(faults)
                    rejects = sorted((*batch.rejects, *took.refused))
                    faults.extend(reject.fault(str(path)) for reject in rejects[:room])
            except InputError as error:
                unreadable.extend(error.faults)
        if unreadable or (faults and not skip_bad):
            if len(faults) >= _MOST_FAULTS:
                faults.append(Fault(str(files[-1]), 0, 0, f"only the first {_MOST_FAULTS} faults are listed"))
            raise InputError("the exchange log", [*unreadable, *faults])
        yield LogDigest(ledger.summaries(), taken, ledger.totals(), tuple(faults))
