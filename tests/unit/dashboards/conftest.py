"""Every dashboard, panel and query, one after another."""

from tests.support.cases.dashboards.panels import asked, name, panel

__all__ = ["asked", "name", "panel"]
