"""Writes the files of a sandbox: the register, the collector's sources and the description of the run."""

from services.sandbox.directory.directory import ACCESS, DEPARTURES, EXCHANGES, make_directory, prepare_run

__all__ = ["ACCESS", "DEPARTURES", "EXCHANGES", "make_directory", "prepare_run"]
