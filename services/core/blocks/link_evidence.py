"""The evidence behind links in IndicatorBlocks: columns per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peyvand.v1 import block_pb2
from services.core.blocks.packed import doubles, message, strings, varints
from services.core.model import STAGES

_FIELD = block_pb2.IndicatorBlock.DESCRIPTOR.fields_by_name["links"].number
_NUMBERS = {name: field.number for name, field in block_pb2.LinkEvidence.DESCRIPTOR.fields_by_name.items()}


@dataclass(frozen=True, slots=True)
class EvidenceColumns:
    """The evidence of one window's n links, in id order.

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
    """Encode each as a field `links` of an IndicatorBlock; many together take little longer than one."""
    counts = [varints(_NUMBERS["slots"], [columns.slots for columns in evidence])]
    for stage, name in enumerate(STAGES):
        counts.append(varints(_NUMBERS[name], [columns.verdicts[:, stage] for columns in evidence]))
    fields, ids, encoded_ids = [], None, b""
    for columns, *encoded_counts in zip(evidence, *counts, strict=True):
        head = block_pb2.LinkEvidence(window_days=columns.window_days).SerializeToString()
        if columns.ids is not ids:  # the windows of a block have the same links
            ids, encoded_ids = columns.ids, strings(_NUMBERS["id"], map(str.encode, columns.ids))
        tail = doubles(_NUMBERS["omega"], columns.omega) + doubles(_NUMBERS["share"], columns.share)
        fields.append(message(_FIELD, b"".join([head, encoded_ids, *encoded_counts, tail])))
    return fields


def evidence_from_message(message: block_pb2.LinkEvidence) -> EvidenceColumns:
    """Return the columns of one window."""
    return EvidenceColumns(
        message.window_days,
        tuple(message.id),
        np.array(message.slots, np.int64),
        np.array([getattr(message, stage) for stage in STAGES], np.int64).T,
        np.array(message.omega, np.float64),
        np.array(message.share, np.float64),
    )
