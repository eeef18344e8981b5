"""JSONPaths as probes run them, against the library that defines them."""

from __future__ import annotations

import jsonpath_rfc9535
from hypothesis import given
from hypothesis import strategies as st

from services.prober.expected.paths import JsonPath

NAMES = ("a", "b", "0", "")
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=12,
)
segments = st.one_of(
    st.sampled_from(NAMES).map(lambda name: f"['{name}']"),
    st.sampled_from(("[0]", "[1]", "[-1]", "[-4]", ".a", ".b")),
    st.sampled_from(("[*]", "..a", "[0:2]", "['a','b']", "[?@.a]")),
)


@given(documents, st.lists(segments, max_size=4))
def test_a_path_finds_the_same_as_the_library(document: object, parts: list[str]) -> None:
    """A path returns the same values in the same order whether it is walked or left to the library."""
    path = "$" + "".join(parts)
    expected = [node.value for node in jsonpath_rfc9535.compile(path).finditer(document)]  # type: ignore[arg-type]
    assert list(JsonPath(path).values(document)) == expected
