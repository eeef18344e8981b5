"""The evidence behind links, as blocks of KV bucket `indicator` hold it: columns per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import block_pb2
from services.core.blocks.packed import doubles, message, strings, varints
from services.core.model import STAGES

__all__ = ["EvidenceColumns", "encode_evidence", "evidence_from_message"]

_FIELD = block_pb2.IndicatorBlock.DESCRIPTOR.fields_by_name["links"].number
_NUMBERS = {name: field.number for name, field in block_pb2.LinkEvidence.DESCRIPTOR.fields_by_name.items()}


@dataclass(frozen=True, slots=True)
class EvidenceColumns:
    """What is known of one window's links, n of them in id order.

    ``slots`` (n,) slots in force; ``verdicts`` (n, 6) known slots at each stage; ``omega`` (n,) the link's share of the
    government's weight (docs/method.md §5); ``share`` (n,) q̂: q, or the value imputed for it.
    """

    window_days: int
    ids: tuple[str, ...]
    slots: NDArray[np.int64]
    verdicts: NDArray[np.int64]
    omega: NDArray[np.float64]
    share: NDArray[np.float64]


def encode_evidence(evidence: Sequence[EvidenceColumns]) -> list[bytes]:
    """Each as a field `links` of an IndicatorBlock; many cost little more than one."""
    counts = [varints(_NUMBERS["slots"], [one.slots for one in evidence])]
    for stage, name in enumerate(STAGES):
        counts.append(varints(_NUMBERS[name], [one.verdicts[:, stage] for one in evidence]))
    found, ids, same = [], b"", None
    for one, *columns in zip(evidence, *counts, strict=True):
        head = block_pb2.LinkEvidence(window_days=one.window_days).SerializeToString()
        if one.ids is not same:  # the windows of a block are of the same links
            ids, same = strings(_NUMBERS["id"], map(str.encode, one.ids)), one.ids
        tail = doubles(_NUMBERS["omega"], one.omega) + doubles(_NUMBERS["share"], one.share)
        found.append(message(_FIELD, b"".join([head, ids, *columns, tail])))
    return found


def evidence_from_message(message: block_pb2.LinkEvidence) -> EvidenceColumns:
    """The columns of one window."""
    return EvidenceColumns(
        message.window_days,
        tuple(message.id),
        np.array(message.slots, np.int64),
        np.array([getattr(message, stage) for stage in STAGES], np.int64).T,
        np.array(message.omega, np.float64),
        np.array(message.share, np.float64),
    )
