"""Defines Grafana's dashboards, one module per dashboard; `make dashboards` writes deploy/grafana/dashboards."""
