"""Values are escaped in pages."""

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
    """Every value is escaped as by ``markupsafe.escape``, also the second time."""
    assert [escaped(value), escaped(value)] == [str(escape(value))] * 2


def test_a_text_that_was_escaped_is_no_markup() -> None:
    """A text that equals markup but is none is escaped for itself."""
    assert escaped(Markup("<b>")) == "<b>"
    assert escaped("<b>") == "&lt;b&gt;"
