"""Parameters for every dashboard, panel and query."""

from tests.support.cases.dashboards.panels import asked, name, panel

__all__ = ["asked", "name", "panel"]
