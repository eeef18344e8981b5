"""Answers to requests, from the read model and from evidence on the bus."""
