"""Merkle trees of SHA-256 hashes, with proofs of inclusion (RFC 6962 §2.1). Pure.

A tree is given by the hashes of its leaves, in order. Every hash is 32 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + content).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a tree."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return _node(root(leaves[:split]), root(leaves[split:]))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that lead from the leaf at ``index`` to the root, the leaf's sibling first (RFC 6962 §2.1.1)."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_proof(leaves[:split], index), root(leaves[split:])]
    return [*inclusion_proof(leaves[split:], index - split), root(leaves[:split])]


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root to which a proof leads from a leaf. Raises ValueError if no tree of this size has that proof."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} has no leaf {index}")
    node, last = index, size - 1
    found = leaf
    for sibling in proof:
        if last == 0:
            raise ValueError("a proof that is too long")
        if node % 2 or node == last:
            found = _node(sibling, found)
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            found = _node(found, sibling)
        node, last = node // 2, last // 2
    if last:
        raise ValueError("a proof that is too short")
    return found


def _split(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
