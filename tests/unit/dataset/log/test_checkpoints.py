"""Keys, checkpoints and proofs follow the formats of c2sp.org."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.core.errors import SettingsError
from services.dataset.log import (
    WITNESS,
    Checkpoint,
    LogProof,
    SigningKey,
    VerifierKey,
    inclusion_proof,
    leaf_hash,
    root,
)

NOTE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = b"This is an example message.\n"
NOTE_SIGNATURE = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="  # the example of c2sp.org/signed-note
LEAVES = [b"one", b"two", b"three"]


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate("archive.example/evidence")


@pytest.fixture
def checkpoint(key: SigningKey) -> Checkpoint:
    tree = [leaf_hash(leaf) for leaf in LEAVES]
    return Checkpoint(key.name, len(tree), root(tree)).signed(key)


def test_the_published_example_verifies() -> None:
    """The key and signature of the specification's example verify its text and no other."""
    key = VerifierKey.parse(NOTE_KEY)
    assert str(key) == NOTE_KEY
    signature = base64.b64decode(NOTE_SIGNATURE)
    assert signature[:4] == key.id
    assert key.verify(NOTE, signature[4:])
    assert not key.verify(NOTE + b"\n", signature[4:])


def test_a_checkpoint_is_read_as_it_was_written(key: SigningKey, checkpoint: Checkpoint) -> None:
    """A checkpoint survives a round trip through text, and its signature verifies with its own key only."""
    read = Checkpoint.parse(str(checkpoint))
    assert read == checkpoint
    assert read.is_signed_by(key.public)
    assert not read.is_signed_by(SigningKey.generate(key.name).public)
    altered = Checkpoint(read.origin, read.size + 1, read.root, read.signatures)
    with pytest.raises(ValueError, match=r"signature of archive\.example/evidence is wrong"):
        altered.is_signed_by(key.public)


def test_a_cosignature_says_when(key: SigningKey, checkpoint: Checkpoint) -> None:
    """A witness's signature holds the time and stands beside the log's. The same key signs only once."""
    witness = SigningKey.generate("court.example/witness", WITNESS)
    read = Checkpoint.parse(str(checkpoint.cosigned(witness, 1).cosigned(witness, 1_700_000_000)))
    assert read.is_signed_by(key.public)
    assert read.is_signed_by(witness.public)
    assert len(read.signatures) == 2
    assert int.from_bytes(read.signatures[1].value[:8], "big") == 1_700_000_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\nAAAA\n\n",
        "a\n1\n\n— a AAAAAAAAAA==\n",
        "a\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a AAAAAAAAAA==\n",
        "a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n- a AAAAAAAAAA==\n",
        "a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a AAAA\n",
        "a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— a é\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """Notes that are cut or malformed raise ValueError."""
    with pytest.raises(ValueError, match=r"it |its |a line"):
        Checkpoint.parse(text)


def test_a_proof_needs_nothing_else(key: SigningKey, checkpoint: Checkpoint) -> None:
    """A proof as text shows that a leaf is in the log. Another leaf, key or hash gives one fault each."""
    tree = [leaf_hash(leaf) for leaf in LEAVES]
    proof = LogProof.parse(str(LogProof(1, tuple(inclusion_proof(tree, 1)), checkpoint)))
    assert proof.faults(b"two", [key.public]) == []
    assert len(proof.faults(b"three", [key.public])) == 1
    assert len(proof.faults(b"two", [])) == 1
    assert len(LogProof(1, proof.hashes[1:], checkpoint).faults(b"two", [key.public])) == 1


def test_a_key_is_kept_in_a_file(tmp_path: Path, key: SigningKey) -> None:
    """A key file can be read again. A file with other content is refused by name."""
    file = tmp_path / "archive.key"
    file.write_text(key.text(), "utf-8")
    assert SigningKey.read(file).public == key.public
    for text in ("", "PRIVATE+KEY+a+00000000+AAAA", str(key.public), key.text().replace("evidence", "evident")):
        file.write_text(text, "utf-8")
        with pytest.raises(SettingsError, match=r"archive\.key holds no key"):
            SigningKey.read(file)
    with pytest.raises(SettingsError, match="No such file"):
        SigningKey.read(tmp_path / "none")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_names_that_no_key_may_have(name: str) -> None:
    """A key's name has no space and no plus sign, because these separate the parts of signatures."""
    with pytest.raises(ValueError, match="name of a key"):
        SigningKey.generate(name)
