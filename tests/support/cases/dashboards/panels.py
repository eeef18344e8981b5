"""Fixtures for the dashboards, their panels and their queries. Not a test."""

from __future__ import annotations

import pytest

from tests.dashboards.grafana import View, dashboard, names, panels, queries

__all__ = ["ASKED", "EVERY", "VIEW", "asked", "name", "panel", "values_of"]
VIEW = View(0, 86_400, {})

EVERY = {(name, panel["title"]): panel for name in names() for panel in panels(dashboard(name))}
ASKED = {one.id: one for name in names() for one in queries(name)}


def values_of(name):
    """Return the variables of a dashboard as Grafana fills them in: several values, or all, become a pattern."""
    own = {one["name"]: ".+" if one.get("multi") else "one" for one in dashboard(name)["templating"]["list"]}
    return {**VIEW.values, **own, "job": "prober|scorer"}


@pytest.fixture(params=names())
def name(request):
    return request.param


@pytest.fixture(params=EVERY.values(), ids=["/".join(key) for key in EVERY])
def panel(request):
    return request.param


@pytest.fixture(params=list(ASKED.values()), ids=list(ASKED))
def asked(request):
    return request.param
