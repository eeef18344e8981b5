"""Exports published numbers, structure, official rounds and the register as files for everybody."""
