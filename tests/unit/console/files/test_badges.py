"""An index as a small picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tests.support.console.case import Console


async def test_badges_show_index_and_bounds_and_may_be_framed(console: Console) -> None:
    """Badges are in either language, for agencies and above."""
    assert "/badge/provider/tax-office.svg?lang=fa" in (await console.get("/fa/agency/tax-office")).text
    answer = await console.get("/badge/provider/tax-office.svg?lang=fa")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "frame-ancestors *" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    again = await console.get("/badge/provider/tax-office.svg?lang=fa", if_none_match=answer.headers["etag"])
    assert again.status_code == 304
    # A browser takes the headers of this answer for those of the badge that it has.
    for name in ("content-security-policy", "cross-origin-resource-policy"):
        assert again.headers[name] == answer.headers[name]
    root = ET.fromstring(answer.content)
    assert "پیوند: " in (root.get("aria-label") or "")
    assert "تا" in (root.get("aria-label") or "")
    assert (await console.get("/badge/link/deed-tax.svg")).status_code == 404
    assert (await console.get("/badge/provider/nobody.svg")).status_code == 404
