"""Pages of any size, over ids that are added and removed."""

from __future__ import annotations

import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from services.api.errors import RequestError
from services.api.paging import MAX_BYTES, MAX_SIZE, page_of

ids = st.lists(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True), unique=True).map(sorted)
question = ("List", "link", "")


def shown_in(some):
    return lambda one: one in some


@given(ids=ids, data=st.data())
def test_pages_hold_everything_visible_once_and_in_order(ids, data):
    """Following tokens with any page sizes yields exactly the visible ids. No page is longer than requested, and only
    the last has no token.
    """
    shown = set(data.draw(st.lists(st.sampled_from(ids)))) if ids else set()
    found: list[str] = []
    token = ""
    while True:
        size = data.draw(st.integers(1, 5))
        page = page_of(ids, question, size=size, token=token, visible=shown_in(shown))
        assert len(page.ids) <= size
        found += page.ids
        token = page.next_token
        if not token:
            break
        assert len(page.ids) == size
    assert found == [one for one in ids if one in shown]


@given(ids=ids, gone=st.sets(st.integers(0, 50)), size=st.integers(1, 4))
def test_ids_that_stay_are_returned_once(ids, gone, size):
    """Between two pages any ids may be removed, even the one in the token: the others are still returned, once each."""
    page = page_of(ids, question, size=size, token="")
    met, left = list(page.ids), [one for at, one in enumerate(ids) if at not in gone]
    while page.next_token:
        page = page_of(left, question, size=size, token=page.next_token)
        met += page.ids
    assert met == [one for one in ids if one in met]
    assert set(left) <= set(met)


LONG = BytesValue(value=bytes(MAX_BYTES // 2))
LONGEST = BytesValue(value=bytes(MAX_BYTES))


@given(entries=st.dictionaries(st.text("ab-", min_size=1), st.sampled_from([BytesValue(), LONG, LONGEST])))
def test_long_entries_are_returned_once_in_more_pages(entries):
    """Pages whose messages are too long for one of them hold fewer. Each has at least one, and each entry comes once."""
    found: list[str] = []
    token = ""
    while True:
        page = page_of(sorted(entries), question, size=0, token=token)
        kept, token = page.bounded(entries[one] for one in page.ids)
        assert len(kept) == 1 or sum(one.ByteSize() for one in kept) <= MAX_BYTES
        found += page.ids[: len(kept)]
        if not token:
            break
        assert kept
    assert found == sorted(entries)


@given(ids=ids.filter(lambda some: len(some) > 1), token=st.text())
def test_a_token_of_another_query_and_a_false_one_are_refused(ids, token):
    """A token of other filters and a text that was never a token are refused."""
    real = page_of(ids, question, size=1, token="").next_token
    with pytest.raises(RequestError, match="page_token"):
        page_of(ids, ("List", "link", "justice"), size=1, token=real)
    if token not in ("", real):
        with pytest.raises(RequestError, match="page_token"):
            page_of(ids, question, size=1, token=token)


def test_sizes_have_a_default_and_a_limit():
    """Size 0 means 100, and a size above 1000 is reduced to 1000, with a token for the rest."""
    many = [f"{number:05}" for number in range(2000)]
    assert len(page_of(many, question, size=0, token="").ids) == 100
    for size in (MAX_SIZE, MAX_SIZE + 1, 2**32 - 1):
        page = page_of(many, question, size=size, token="")
        assert page.ids == tuple(many[:1000])
        assert page_of(many, question, size=size, token=page.next_token).ids == tuple(many[1000:])
