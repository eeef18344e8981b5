"""Lists the importers of registers by the kind of files that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from services.core.errors import Fault, InputError
from services.register.discovery.endpoint_list import import_endpoints
from services.register.discovery.proposal import RegisterProposal
from services.register.discovery.uk_catalogue import import_uk_api_catalogue
from services.register.discovery.xroad_import import import_xroad

Importer = Callable[[Sequence[Path], date, Mapping[str, str]], RegisterProposal]

IMPORTERS: dict[str, Importer] = {
    "endpoints": lambda files, epoch, columns: import_endpoints(_single(files), epoch, columns),
    "uk-api-catalogue": lambda files, epoch, columns: import_uk_api_catalogue(_single(files, columns), epoch),
    "xroad": lambda files, epoch, columns: import_xroad(_all(files, columns), epoch),
}
"""Kind → importer, which takes the files, the epoch and the columns that the caller names."""


def _single(files: Sequence[Path], columns: Mapping[str, str] | None = None) -> Path:
    if len(files) != 1:
        raise InputError("the list", [Fault(str(files[1]), 0, 0, "one file is read: name it alone")])
    return _all(files, columns or {})[0]


def _all(files: Sequence[Path], columns: Mapping[str, str]) -> Sequence[Path]:
    if columns:
        raise InputError(
            "the list", [Fault(str(files[0]), 0, 0, "its columns are known: only `endpoints` takes --column")]
        )
    return files
