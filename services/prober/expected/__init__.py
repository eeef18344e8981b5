"""Compiles a probe definition into what the answer of a target must be (docs/probing.md §3)."""

from services.prober.expected.compiler import compile_expectations
from services.prober.expected.expectations import (
    ANYTHING,
    Expectations,
    FreshAt,
    HeaderCheck,
    JsonCheck,
    Records,
    XmlCheck,
)
from services.prober.expected.paths import Pattern, XPath, compile_path, compile_pattern, compile_xpath

__all__ = [
    "ANYTHING",
    "Expectations",
    "FreshAt",
    "HeaderCheck",
    "JsonCheck",
    "Pattern",
    "Records",
    "XPath",
    "XmlCheck",
    "compile_expectations",
    "compile_path",
    "compile_pattern",
    "compile_xpath",
]
