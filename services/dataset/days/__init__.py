"""Days of evidence: open segments, sealed files, their log, and its verification (docs/archive.md §2-4)."""

from services.dataset.days.batches import run_faults
from services.dataset.days.days import EvidenceDays, SealedMessages
from services.dataset.days.key_change import KeyChange, KeyChangeError, key_changes, key_in_force
from services.dataset.days.log_files import LogFiles, leaf_name, signed_leaves
from services.dataset.days.manifest import BatchRun, Manifest, SealedFile, StreamSpan, read_leaf
from services.dataset.days.registers import read_register, register_versions, write_register
from services.dataset.days.sealing import SealedDay, Sealer, SealingContext
from services.dataset.days.segments import (
    DamagedSegmentError,
    Segment,
    before_damage,
    check_counts,
    counted,
    damaged_segments,
    drop_uncommitted,
    list_segments,
    read_segments,
    seems_whole,
    set_aside,
    write_segments,
)
from services.dataset.days.verifying import read_sealed, verify
from services.dataset.days.witness import witness_faults

__all__ = [
    "BatchRun",
    "DamagedSegmentError",
    "EvidenceDays",
    "KeyChange",
    "KeyChangeError",
    "LogFiles",
    "Manifest",
    "SealedDay",
    "SealedFile",
    "SealedMessages",
    "Sealer",
    "SealingContext",
    "Segment",
    "StreamSpan",
    "before_damage",
    "check_counts",
    "counted",
    "damaged_segments",
    "drop_uncommitted",
    "key_changes",
    "key_in_force",
    "leaf_name",
    "list_segments",
    "read_leaf",
    "read_register",
    "read_sealed",
    "read_segments",
    "register_versions",
    "run_faults",
    "seems_whole",
    "set_aside",
    "signed_leaves",
    "verify",
    "witness_faults",
    "write_register",
    "write_segments",
]
