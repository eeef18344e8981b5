"""Decisions about evidence: which rows count, what is due, what an index consists of. Pure."""
