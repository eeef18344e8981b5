"""What the buses carried: of each link beside its probes, and altogether (docs/exchange.md §4)."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from peyvand.v1 import indicator_service_pb2
from services.api.errors import RefusedError
from services.api.model.read_model import GOVERNMENT_BLOCK, ReadModel, block_key
from services.core.blocks import BlockReader
from services.core.codec import traffic_to_message
from services.core.model import LINK_FINDINGS, Link, Reconciliation, link_findings

__all__ = ["Reconciliations", "traffic_answer"]


class Reconciliations:
    """Each block's reconciliations by link and window, looked up in the newest block there is."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self._found: dict[str, tuple[BlockReader, dict[tuple[str, int], Reconciliation]]] = {}

    def of(self, link: Link, window_days: int) -> Reconciliation | None:
        """Return what is known of one link, None where nothing was exchanged and it is not silent."""
        key = block_key(self._model.view.register.consumer(link))
        block = self._model.blocks.get(key)
        if block is None:
            return None
        kept, found = self._found.get(key, (None, {}))
        if kept is not block:
            found = {(one.link, one.window_days): one for one in block.reconciliations}
            self._found[key] = block, found
        return found.get((link.id, window_days))

    def shown(self, finding: int, window_days: int) -> Callable[[str], bool] | None:
        """Return which links, by id, have this LinkFinding; None where all are asked for. Raises RefusedError."""
        if not finding:
            return None
        if finding > len(LINK_FINDINGS) or finding < 0:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "FINDING_UNKNOWN",
                f"finding {finding} is none: ask for one of {', '.join(LINK_FINDINGS)}",
                finding=str(finding),
            )
        links, wanted = self._model.view.register.links, LINK_FINDINGS[finding - 1]

        def has(link: str) -> bool:
            one = self.of(links[link], window_days)
            return one is not None and wanted in link_findings(one)

        return has


def traffic_answer(model: ReadModel, asked_days: int) -> indicator_service_pb2.GetTrafficResponse:
    """Answer from the government's block. Raises RefusedError."""
    days = model.view.window(asked_days)
    block = model.blocks.get(GOVERNMENT_BLOCK)
    found = next((one for one in block.traffic if one.window_days == days), None) if block else None
    if found is None:
        raise RefusedError(
            grpc.StatusCode.UNAVAILABLE,
            "TRAFFIC_UNPUBLISHED",
            f"exchanges of the last {days} days were not looked at yet: retry later",
            window_days=str(days),
        )
    return indicator_service_pb2.GetTrafficResponse(traffic=traffic_to_message(found))
