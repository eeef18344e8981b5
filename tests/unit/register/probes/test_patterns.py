"""XPaths of a register that can never run are refused."""

from __future__ import annotations

import pytest

from services.register.probes.patterns import read_xpath

NAMESPACES = {"p": "urn:p"}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("//a[ends-with(@b, 'x')]", "1.0: it has no function `ends-with`"),
        ("//a[@b and matches(@b, 'x')]", "1.0: it has no function `matches`"),
        ("//a[p:f(.)]", "1.0: it has no function `p:f`"),
        ("//a[$v]", "that can be run: it uses a variable"),
        ("//a[@b and q:c]", ": prefix `q` is not among `namespaces`"),
        ("//a/child::q:c", ": prefix `q` is not among `namespaces`"),
        ("//a[@q:*]", ": prefix `q` is not among `namespaces`"),
        ("//a[b[count('x') > 1]]", ": invalid type"),
        ("//a[contains(b)]", ": invalid number of arguments"),
        ("//a[", ": invalid expression"),
    ],
)
def test_what_can_never_run(path: str, why: str) -> None:
    """Functions, variables, prefixes and types are also checked in predicates and in parts that are not evaluated."""
    with pytest.raises(ValueError, match="is not XPath") as refused:
        read_xpath(path, NAMESPACES)
    assert str(refused.value).endswith(f"is not XPath{'' if why.startswith(':') else ' '}{why}")


@pytest.mark.parametrize(
    "path",
    [
        "//p:a[p:b = 'q:c($v)[' and position() = last()]",
        '//a[@b = "it\'s (here)"]',
        "//a[@xml:lang]/text ()",
        "//a[b and (c or (d))][2]",
        "//*[local-name() = 'a'][ancestor::p:b/following-sibling::node()]",
        "count(//a[processing-instruction('x')]) div (1 + 1)",
        "string(//نام[خانوادگی])",
    ],
)
def test_what_can_run(path: str) -> None:
    """XPath 1.0 passes: quoted texts are not taken for names, axes for prefixes, or operators for functions."""
    assert read_xpath(path, NAMESPACES) == path
