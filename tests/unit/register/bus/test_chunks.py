"""A register survives a round trip through chunks and JSON rows."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from services.core.canonical_json import canonical_json
from services.core.model.register import Register
from services.register.bus.chunks import join_chunks, make_manifest, split_register
from services.register.directory.load import load_register
from services.register.versions.rows import from_rows, to_rows, with_versions
from tests.support.registers import write_register

_PROBES = (
    "page:\n  kind: http\n",
    """page:
  kind: http
  auth: {kind: basic, username: u, password: "file:secret"}
  tls: {ca: "file:ca.pem", server_name: x, verify: false}
  headers: {X-A: b}
  expect:
    headers: {content-type: json}
    body: {must: [a], must_not: [b]}
    json: [{path: $.a, equals: {b: [1, 2.5, null]}, type: object}]
    record: {$.name: ali, $.age: 7}
    fresh: {header: age}
""",
)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Return a register that uses every field."""
    return load_register(
        write_register(
            tmp_path,
            probes_yaml=_PROBES,
            agencies_csv=(
                "land-registry,Land Registry,سازمان ثبت اسناد,justice,,",
                "land-registry,Land,زمین,justice,5,1.5",
            ),
            policy_yaml=("levels", "default_max_age_s: 7\nlevels"),
            members_csv="member,agency\nA/B/C,customs\n",
            exchange_csv="client,service,link\nA/B/C/D,A/B/E/F/g,deed-tax\n",
            maintenance_csv="subject,from,to,note\ncustoms,2026-01-01,2026-01-02,x\n",
        )
    )


def test_rows_and_back_is_the_same_register(register: Register) -> None:
    """Nothing is lost or changed on the way through JSON."""
    assert with_versions(from_rows([to_rows(register)])) == register


def test_chunks_and_back_is_the_same_register(register: Register) -> None:
    """The chunks together are the whole register, in any order."""
    contents = list(split_register(register).values())
    assert with_versions(join_chunks(contents)) == register
    assert with_versions(join_chunks(reversed(contents))) == register


def test_each_consumer_has_its_chunk(register: Register) -> None:
    """A change of one agency's links changes only that agency's chunk."""
    before = split_register(register)
    assert [chunk.agency for chunk in before] == ["", "civil-registry", "customs", "land-registry", "tax-office"]
    assert all(
        chunk.sha256 == sha256(content).hexdigest() and chunk.bytes == len(content) for chunk, content in before.items()
    )
    links = {**register.links, "deed-tax": replace(register.links["deed-tax"], weight=9.0)}
    after = split_register(replace(register, links=links))
    assert [chunk.agency for chunk in after if chunk not in before] == ["land-registry"]


def test_a_large_agency_is_cut_to_fit_a_message(register: Register) -> None:
    """No chunk nears the bus's limit of 1 MiB, however many links one consumer has."""
    some = register.links["deed-tax"]
    links = {f"l{number}": replace(some, id=f"l{number}", data_item=f"d{number}") for number in range(5000)}
    many = with_versions(replace(register, links=links))
    chunks = split_register(many)
    assert sum(chunk.agency == "land-registry" for chunk in chunks) > 2
    assert max(chunk.bytes for chunk in chunks) < 600_000
    assert with_versions(join_chunks(chunks.values())) == many


def test_what_is_no_register_is_refused() -> None:
    """Chunks without the policy or with a wrong value raise a ValueError that names the fault."""
    with pytest.raises(ValueError, match="holds 0 policies"):
        join_chunks([b"{}"])
    policy = {
        "government": {"id": "x", "name_en": "", "name_fa": ""},
        "timezone": "UTC",
        "epoch": "2026-01-01T00:00:00Z",
    }
    content = json.dumps({"policy": [policy], "agencies": [{"id": "a", "name_en": "", "name_fa": ""}]}).encode()
    with pytest.raises(ValueError, match=r"0\.sector: Field required"):
        join_chunks([content])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"3", "something else than rows by section"),
        (b"[]", "something else than rows by section"),
        (b"[" * 100_000, "recursion limit"),
    ],
)
def test_json_of_any_other_form_is_refused(content: bytes, reason: str) -> None:
    """A chunk that is not an object, or is nested too deeply for the interpreter, is refused."""
    with pytest.raises(ValueError, match=reason):
        join_chunks([content])


def test_what_a_later_version_wrote_is_refused(register: Register) -> None:
    """An unknown key or section is not ignored, because it could mean another way of probing."""
    rows = to_rows(register)
    with pytest.raises(ValueError, match=r"0\.colour: Unexpected keyword argument"):
        from_rows([{**rows, "services": [{**rows["services"][0], "colour": "red"}]}])
    with pytest.raises(ValueError, match="unknown section, colours"):
        from_rows([rows, {"colours": []}])


def test_a_chunk_is_the_canonical_text_of_its_rows(register: Register) -> None:
    """Equal rows have equal hashes, in any order of their sections."""
    for content in split_register(register).values():
        assert canonical_json(json.loads(content)) == content


def test_a_manifest_is_known_by_its_versions_and_chunks(register: Register) -> None:
    """Another version or chunk gives another digest. Another time of publication does not."""
    chunks = split_register(register)
    manifest = make_manifest(register, chunks, 0.0)
    assert make_manifest(register, chunks, 1.0).digest == manifest.digest
    others = [
        make_manifest(replace(register, register_version="x"), chunks, 0.0),
        make_manifest(replace(register, probe_version="x"), chunks, 0.0),
        make_manifest(register, list(chunks)[1:], 0.0),
    ]
    assert len({manifest.digest, *(other.digest for other in others)}) == 4
