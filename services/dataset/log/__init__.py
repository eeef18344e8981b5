"""The log of sealed days: a Merkle tree with signed checkpoints, proofs, and witnesses (docs/archive.md §3)."""

from services.dataset.log.checkpoints import Checkpoint, Signature
from services.dataset.log.keys import LOG, WITNESS, SigningKey, VerifierKey
from services.dataset.log.merkle import inclusion_proof, leaf_hash, root
from services.dataset.log.proofs import LogProof

__all__ = [
    "LOG",
    "WITNESS",
    "Checkpoint",
    "LogProof",
    "Signature",
    "SigningKey",
    "VerifierKey",
    "inclusion_proof",
    "leaf_hash",
    "root",
]
