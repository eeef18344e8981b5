"""Reads exchange logs and publishes summaries per client, service and slot."""
