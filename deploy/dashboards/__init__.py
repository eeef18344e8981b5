"""Grafana's dashboards as code: one module per dashboard, `make dashboards` writes deploy/grafana/dashboards."""
