"""Pairs and summarises whole log files with the ledger of the running collector, in a temporary file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.collector.files import TAKE_LINES, LogFile, path_text
from services.collector.ledger import BatchResult, Ledger, LedgerTotals
from services.core.errors import Fault, InputError
from services.core.model import ExchangeSummary

_MOST_FAULTS = 10_000


@dataclass(frozen=True, slots=True)
class LogDigest:
    """The content of a set of log files. ``faults`` is empty unless bad lines were to be skipped."""

    summaries: Iterator[ExchangeSummary]
    result: BatchResult
    totals: LedgerTotals
    faults: tuple[Fault, ...]


@contextmanager
def digest_logs(
    files: Sequence[Path], slot_seconds: int, *, span_ms: int, skip_bad: bool, columns: Sequence[str] = ()
) -> Iterator[LogDigest]:
    """Yield the summaries of everything in the files. They can be read while the context is open.

    With ``columns`` the files are tables without a header. Raises InputError with every fault of every file. With
    ``skip_bad`` only a file that cannot be read as a whole is refused.
    """
    faults: list[Fault] = []
    unreadable: list[Fault] = []
    total = BatchResult()
    with Ledger(None, slot_seconds, now_ms=0, span_ms=span_ms, forget=False) as ledger:
        for path in files:
            try:
                for batch in LogFile(path).batches(size=TAKE_LINES, columns=columns):
                    result = ledger.take(path_text(path), batch, now_ms=0)
                    total += result
                    rejects = sorted((*batch.rejects, *result.refused))
                    faults.extend(reject.fault(path_text(path)) for reject in rejects[: _MOST_FAULTS - len(faults)])
            except InputError as error:
                unreadable.extend(error.faults)
        if unreadable or (faults and not skip_bad):
            if len(faults) >= _MOST_FAULTS:
                faults.append(Fault(path_text(files[-1]), 0, 0, f"only the first {_MOST_FAULTS} faults are listed"))
            raise InputError("the exchange log", [*unreadable, *faults])
        yield LogDigest(ledger.summaries(), total, ledger.totals(), tuple(faults))
