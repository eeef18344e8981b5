"""The tables and examples of docs/probing.md leave nothing out."""

from __future__ import annotations

import re

from services.core.model.outcome import Reason
from services.core.model.probe import PROBE_KINDS, Capture, Proxy, Tls
from services.register.probes import definition, expectations, references
from tests.support.cases.probes.probing_page import EXAMPLES, PAGE


def _all_definitions() -> list[dict[str, object]]:
    found = [one for example in EXAMPLES for one in example.definitions.values()]
    for one in list(found):
        found += one.get("steps", [])  # type: ignore[arg-type]
    return found


def test_every_key_has_an_example() -> None:
    """Each key of each part of a definition is used in an example, a kind's own keys with that kind."""
    shared = set(definition._KEYS["http"])
    used: dict[str, set[str]] = {kind: set() for kind in PROBE_KINDS}
    parts: dict[str, set[str]] = {name: set() for name in ("expect", "tls", "auth", "proxy", "query", "capture")}
    for one in _all_definitions():
        used[str(one["kind"])] |= one.keys()
        for name in parts:
            if one.get(name) == "none":
                continue
            parts[name] |= dict(one.get(name, {})).keys()  # type: ignore[call-overload]
        for capture in dict(one.get("capture", {})).values():  # type: ignore[call-overload]
            parts["capture"] |= capture.keys()
    for kind in PROBE_KINDS:
        assert set(definition._KEYS[kind]) - shared <= used[kind], kind
    assert shared <= set().union(*used.values())
    assert parts["expect"] >= set().union(*expectations._KEYS.values())
    assert parts["tls"] >= set(Tls.__slots__)
    assert parts["proxy"] >= set(Proxy.__slots__)
    assert parts["auth"] >= set().union(*references._NEEDED.values(), *references._OPTIONAL.values())
    assert parts["query"] >= {"name", "type", "transport", "recursion", "class"}
    assert parts["capture"] >= set(Capture.__slots__)


def test_every_choice_has_an_example() -> None:
    """Each kind of STARTTLS, of authentication and of encoding a captured value is used in an example."""
    used: dict[str, set[object]] = {"starttls": set(), "auth": set(), "encode": set()}
    for one in _all_definitions():
        proof = one.get("auth", {})
        used["auth"].add(proof.get("kind") if isinstance(proof, dict) else proof)
        used["starttls"].add(one.get("starttls"))
        for capture in dict(one.get("capture", {})).values():  # type: ignore[call-overload]
            used["encode"].add(capture.get("encode"))
    assert used["starttls"] >= {"smtp", "imap", "postgres"}
    assert used["auth"] >= set(references._NEEDED)
    assert used["encode"] >= {"url", "json", "xml"}


def test_every_reason_is_explained() -> None:
    """The table of reasons has each reason once, in the order of the enum, with its outcome and a meaning."""
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert [(reason, outcome) for reason, outcome, _ in rows] == [(one.name, one.outcome.name) for one in Reason]
    assert all(meaning.strip() for _, _, meaning in rows)


def test_every_kind_says_what_its_latency_is() -> None:
    """The table of latencies has each kind."""
    table = PAGE.split("| kind | latency is from")[1].split("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in row.split("|")[1].replace(",", " ").split()}
    assert named == set(PROBE_KINDS)
