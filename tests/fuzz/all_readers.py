"""Every reader of outside text, by name."""

from __future__ import annotations

from tests.fuzz.readers import answers, api, bus, certificates, exchange, files, http, judging

__all__ = ["READERS"]

READERS = {
    reader.name: reader
    for module in (exchange, http, answers, certificates, judging, files, bus, api)
    for reader in module.READERS
}
