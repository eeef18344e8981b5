"""Verifies a frozen round with nothing of Peyvand's: Python and the package cryptography are enough (docs/rounds.md §2).

Usage: python independent_round_verifier.py FOLDER KEY

KEY is a public key that the log had up to the round, as its owner publishes it, name+id+key, or a file with it. It checks that the folder
holds what SHA256SUMS names and nothing else, who signed that, that a log has the manifest of each day and none between them, and that the
evidence is what the manifests describe. What is wrong is printed, a line each, and the exit code is 1; it is 2 where FOLDER is no round or KEY no key.
Text is read as it is: another line end, a sign before a number or a stray character would be a second form of the same round.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

DASH = "\N{EM DASH}"
SUMS, NOTE = "SHA256SUMS", "SHA256SUMS.note"
NUMBER = "0|[1-9][0-9]{0,17}"
UNUSABLE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)  # for JSON of another form


class Key:
    """A public key of a note (c2sp.org/signed-note)."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.name, self.id, encoded = (*self.text.split("+", 2), "", "")[:3]
        material = base64.b64decode(encoded, validate=True) or b"\0"
        expected = hashlib.sha256(self.name.encode() + b"\n" + material).hexdigest()[:8]
        if material[0] != 1 or self.id != expected:
            raise ValueError(f"{self.text!r} is no public key: name+id+key")
        self._public = Ed25519PublicKey.from_public_bytes(material[1:])

    def verify(self, signature: bytes, message: str, *, fault: str = "the signature is wrong") -> None:
        """Raise ValueError with a fault where the signature is not of this message by this key."""
        try:
            self._public.verify(signature, message.encode())
        except InvalidSignature as error:
            raise ValueError(fault) from error

    def signed(self, note: str) -> str:
        """Return the text of a note that this key signed. Raises ValueError."""
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        for line in signatures.split("\n"):
            parts = line.split(" ")
            if parts[:2] == [DASH, self.name] and len(parts) == 3:
                value = base64.b64decode(parts[2], validate=True)
                if value[:4].hex() == self.id:
                    self.verify(value[4:], text)
                    return text
        raise ValueError(f"{self.name} has not signed it")


def canonical(content: bytes) -> Any:
    """Return the value of canonical JSON: keys sorted, no white space, UTF-8. Raises ValueError."""
    value = json.loads(content)
    if json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() != content:
        raise ValueError("it is not canonical JSON")
    return value


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Return the root to which an inclusion proof leads (RFC 6962 §2.1, RFC 9162 §2.1.3.2). Raises ValueError."""
    if index >= size:
        raise ValueError("the leaf is beyond the tree")
    place, last, found = index, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for sibling in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if place % 2 or place == last:
            found = hashlib.sha256(b"\1" + sibling + found).digest()
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            found = hashlib.sha256(b"\1" + found + sibling).digest()
        place, last = place // 2, last // 2
    if last:
        raise ValueError("the proof is too short")
    return found


def changes_of_key(folder: Path) -> dict[int, Path]:
    """Return the files of the changes of the log's key, by their places in the log."""
    files = sorted((folder / "evidence" / "keys").glob("*.json"))
    return {int(path.stem): path for path in files if re.fullmatch("[0-9]{6}|[1-9][0-9]{6,17}", path.stem)}


def signer_of(folder: Path, key: Key) -> Key:
    """Return the key that signed a round, to which the changes in it lead from one that the log had.

    Each change must have the consent of the key before. That of the first one is unknown if the key came later. Raises
    ValueError for a change that does not count.
    """
    changes = {index: canonical(path.read_bytes()) for index, path in sorted(changes_of_key(folder).items())}
    former = None if any(change.get("key") == key.text for change in changes.values()) else key
    for index, change in changes.items():
        if change["type"] != "key":
            raise ValueError(f"the leaf at {index} is no change of the key")
        if former is not None:
            root = base64.b64encode(bytes.fromhex(change["root"])).decode()
            consent = f"peyvand-key-change/v1\nkey {change['key']}\n{key.name}\n{index}\n{root}\n"
            fault = f"the key before has not consented to the change at {index}"
            former.verify(bytes.fromhex(change["consent"]), consent, fault=fault)
        former = Key(change["key"])
        if former.name != key.name:
            raise ValueError(f"the key of the leaf at {index} is not of {key.name}")
    return former or key


def faults_of_changes(folder: Path, key: Key, *, named: set[str], places: set[tuple[int, str]]) -> Iterator[str]:
    """Yield what is wrong with the proofs of the changes; add their files to ``named``, and their places to ``places``."""
    for index, path in changes_of_key(folder).items():
        proof = path.with_suffix(".tlog-proof")
        named |= {str(file.relative_to(folder)) for file in (path, proof)}
        try:
            place = place_in_log(path.read_bytes(), proof.read_bytes().decode(), key)
            if place[0] != index:
                raise ValueError(f"it is not of the leaf at {index}")  # noqa: TRY301  # told with the file, like the others
            places.add(place)
        except ValueError as error:
            yield f"{proof.relative_to(folder)}: {error}"


def files_in(folder: Path) -> set[str]:
    """Return the names of all files of a round."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def faults_of_sums(folder: Path, key: Key) -> Iterator[str]:
    """Yield what differs from the signed sums."""
    sums, note = ((folder / name).read_bytes().decode(errors="surrogateescape") for name in (SUMS, NOTE))
    try:
        if key.signed(note) != sums or not re.fullmatch(r"\n[^\n]+\n", note.removeprefix(sums)):
            yield f"{NOTE}: it is not {SUMS} with one signature"
    except ValueError as error:
        yield f"{NOTE}: {error}"
    said = {line[66:]: line[:64] for line in sums.split("\n") if line[64:66] == "  "}
    there = files_in(folder) - {SUMS, NOTE}
    for name in sorted(there ^ said.keys()):
        yield f"{name}: {'not named' if name in there else 'missing'}"
    for name in sorted(there & said.keys()):
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != said[name]:
            yield f"{name}: other bytes than were frozen"


def place_in_log(leaf: bytes, text: str, key: Key) -> tuple[int, str]:
    """Return the place that a proof (c2sp.org/tlog-proof) gives a leaf, and the size and root of the log.

    Raises ValueError where the proof does not show that the key's log has the leaf.
    """
    head, _, note = text.partition("\n\n")
    magic, place, *path = (line for line in head.split("\n") if not line.startswith("extra "))
    _, size, root, _ = key.signed(note).split("\n")
    index = place.removeprefix("index ")
    if magic != "c2sp.org/tlog-proof@v1" or not re.fullmatch(f"index ({NUMBER})\n({NUMBER})", f"{place}\n{size}"):
        raise ValueError("not a proof")
    found = root_of(leaf, int(index), int(size), [base64.b64decode(one, validate=True) for one in path])
    if base64.b64encode(found).decode() != root:
        raise ValueError("it does not lead to the root of the log")
    return int(index), f"{size} {root}"


def faults_of_day(
    folder: Path, day: str, key: Key, *, files: bool, named: set[str], places: dict[str, tuple[int, str]]
) -> Iterator[str]:
    """Yield what is wrong with one day, and with its ``files``.

    Add the files that belong to it to ``named``, and its place in the log to ``places``.
    """
    names = f"evidence/days/{day}.json", f"evidence/days/{day}.tlog-proof"
    named.update(names)
    leaf, proof = ((folder / name).read_bytes() for name in names)
    try:
        places[day] = place_in_log(leaf, proof.decode(), key)
    except ValueError as error:
        yield f"{names[1]}: {error}"
        return  # nothing that the manifest says counts
    manifest = canonical(leaf)
    if manifest.get("day") != day:
        yield f"{names[0]}: not the manifest of {day}"
    for file in manifest.get("files", ()) if files else ():
        name = f"evidence/{file['path']}"
        named.add(name)
        path = folder / name  # which may lead anywhere
        if ".." in path.parts or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
            yield f"{name}: not what was sealed"


def faults_of_log(
    described: Any, places: Mapping[str, tuple[int, str]], changes: set[tuple[int, str]]
) -> Iterator[str]:
    """Yield where days may have been left out: the leaves of the log must follow one another, from end to end.

    Leaves at the places of ``changes`` of the key are no days. A provisional round has days of a log of its own after
    those of the archive's.
    """
    days, logs, provisional = sorted(places), 1, described["provisional"]
    for former, later in pairwise(days):
        (index, log), (next_index, next_log) = places[former], places[later]
        if next_log != log or not index < next_index or not only_changes(range(index + 1, next_index), log, changes):
            logs += 1
            if not (provisional and logs == 2 and next_index == 0):
                yield f"evidence/days/{later}.tlog-proof: it does not follow {former} in one log"
    end = date.fromisoformat(described["end"])
    final = (end - timedelta(days=1)).isoformat()
    if described["record"] > (end - timedelta(days=described["window_days"])).isoformat():
        yield "round.json: its record begins after its window"
    index, log = places[days[0]]
    if days[0] > described["record"] and not only_changes(range(index), log, changes):
        yield f"round.json: nothing shows that the log has no day from {described['record']} to {days[0]}"
    if days[-1] < final and not provisional:
        yield f"round.json: nothing shows that the log has no day after {days[-1]} up to {final}"
    for day in days:
        within = described["record"] <= day <= (described["end"] if provisional else final)
        if (day in described["days"]) is not within:
            yield f"round.json: {day} is in the wrong place"


def only_changes(between: range, log: str, changes: set[tuple[int, str]]) -> bool:
    """Return whether a log has nothing but changes of its key at some places."""
    return all((index, log) in changes for index in between)


def description(folder: Path) -> Any:
    """Return what round.json says. Raises ValueError where it does not describe a round."""
    try:
        found = canonical((folder / "round.json").read_bytes())
        listed = (*found["days"], *found["around"], found["record"], found["end"])
        if [*map(date.isoformat, map(date.fromisoformat, listed))] != [*listed] or found["format"] != 1:
            raise ValueError("it is of another format")  # told with the file, like the others
        timedelta(days=found["window_days"])
    except UNUSABLE as error:
        raise ValueError(f"round.json does not describe a round: {error}") from error
    return found


def faults(folder: Path, key: Key) -> Iterator[str]:
    """Yield everything that is wrong with a round."""
    strays = [path for path in folder.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir())]
    if strays:  # nothing is read through a link
        return (yield from (f"{path.relative_to(folder)}: a link, or no file" for path in strays))
    try:
        key = signer_of(folder, key)
    except UNUSABLE as error:
        yield f"evidence/keys: {error}"
    yield from faults_of_sums(folder, key)
    described = description(folder)
    if described["key"] != key.text:
        yield "round.json: its key is not the one that signed it"
    named: set[str] = set()
    places: dict[str, tuple[int, str]] = {}
    changes: set[tuple[int, str]] = set()
    of_days = list(faults_of_changes(folder, key, named=named, places=changes))
    of_days += [
        fault
        for group in ("days", "around")
        for day in described[group]
        for fault in faults_of_day(folder, day, key, files=group == "days", named=named, places=places)
    ]
    yield from of_days or ([] if places else ["round.json: it names no day with evidence"])
    if places and not of_days:
        yield from faults_of_log(described, places, changes)
        unnamed = sorted({name for name in files_in(folder) if name.startswith("evidence/")} - named)
        yield from (f"{name}: no manifest of a day of the round names it" for name in unnamed)


def main(arguments: list[str]) -> int:
    """Print what is wrong, and return the exit code."""
    found: list[str] = []  # those before an error count
    try:
        folder, key = arguments
        found += faults(Path(folder), Key(Path(key).read_text("utf-8") if Path(key).is_file() else key))
    except (OSError, *UNUSABLE) as error:
        if not found:
            print(error if len(arguments) == 2 else __doc__, file=sys.stderr)  # noqa: T201  # FOLDER and KEY
            return 2
        found.append(f"nothing more can be checked: {error}")
    print("\n".join(found).encode(errors="backslashreplace").decode() if found else f"{folder} is whole")  # noqa: T201  # it is a command
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
