"""Render deploy/helm/peyvand with Helm."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from tests.support.paths import ROOT
from tests.support.programs import module

__all__ = ["CHART", "Document", "render"]

CHART = ROOT / "deploy" / "helm" / "peyvand"

Document = dict[str, Any]


def render(values: Mapping[str, Any], name: str = "bus-watch") -> list[Document]:
    """Return every document of a release of this name. Raises HelmError for values that the chart rejects."""
    with module("helm_python").Chart.load(CHART) as chart:
        texts = chart.render(deepcopy(dict(values)), name=name, namespace="peyvand")
    shown = [text for path, text in texts.items() if not path.endswith("NOTES.txt")]
    found = [yaml.load_all(text, yaml.CSafeLoader) for text in shown]  # ten times as fast as safe_load_all
    return [document for documents in found for document in documents if document]
