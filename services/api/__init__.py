"""Answers other systems over gRPC: get, list, explain, watch."""
