"""How values become part of a page."""

from __future__ import annotations

import pytest
from markupsafe import Markup, escape

from services.console.texts import escaped

_HOSTILE = "<script>alert('&\"')</script>"


class _Tagged:
    def __html__(self) -> str:
        return "<b>7</b>"


@pytest.mark.parametrize("value", [_HOSTILE, _HOSTILE * 100, "تهران", "", 7, 0.5, None, _Tagged(), Markup("<b>7</b>")])
def test_values_are_escaped_as_by_markupsafe(value: object) -> None:
    """Whatever a template writes stands in the page as ``markupsafe.escape`` would write it, the second time too."""
    assert [escaped(value), escaped(value)] == [str(escape(value))] * 2


def test_a_text_that_was_escaped_is_no_markup() -> None:
    """What is equal to markup and is none is escaped for itself."""
    assert escaped(Markup("<b>")) == "<b>"
    assert escaped("<b>") == "&lt;b&gt;"
