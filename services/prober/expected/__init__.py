"""Compiles a probe definition into what the answer of a target must be (docs/probing.md §3)."""

from services.prober.expected.compiler import compile_expectations, compile_place
from services.prober.expected.expectations import (
    ANYTHING,
    Expectations,
    HeaderCheck,
    JsonCheck,
    Records,
    ValuePlace,
    XmlCheck,
)
from services.prober.expected.paths import Pattern, XPath, compile_pattern

__all__ = [
    "ANYTHING",
    "Expectations",
    "HeaderCheck",
    "JsonCheck",
    "Pattern",
    "Records",
    "ValuePlace",
    "XPath",
    "XmlCheck",
    "compile_expectations",
    "compile_pattern",
    "compile_place",
]
