"""Merkle trees follow the definitions of RFC 6962 and its published vectors."""

from __future__ import annotations

from hashlib import sha256

import pytest

from services.dataset.log.merkle import (
    inclusion_proof,
    leaf_hash,
    root,
    root_of_inclusion,
)

ENTRIES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The leaves that Certificate Transparency's own tests use."""
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
SIZE = 33


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(bytes([number])) for number in range(count)]


@pytest.mark.parametrize("size", ROOTS)
def test_roots_of_the_published_vectors(size: int) -> None:
    """Trees of the published leaves have the published roots."""
    assert root([leaf_hash(entry) for entry in ENTRIES[:size]]).hex() == ROOTS[size]


def test_every_leaf_is_proven_in_every_tree() -> None:
    """Each leaf's proof leads to the root. Another leaf, an index beyond the tree, and a hash more or less do not."""
    for size in range(1, SIZE):
        tree = leaves(size)
        for index, leaf in enumerate(tree):
            proof = inclusion_proof(tree, index)
            assert root_of_inclusion(leaf, index, size, proof) == root(tree)
            assert root_of_inclusion(sha256(leaf).digest(), index, size, proof) != root(tree)
            with pytest.raises(ValueError, match="no leaf"):
                root_of_inclusion(leaf, size, size, proof)
            for wrong in [[*proof, leaf]] + [proof[:-1]] * bool(proof):
                with pytest.raises(ValueError, match="too"):
                    root_of_inclusion(leaf, index, size, wrong)
