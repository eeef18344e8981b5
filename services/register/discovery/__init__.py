"""Proposes registers from public catalogues and X-Road lists, and compares members with those lists."""

from services.register.discovery.importers import IMPORTERS
from services.register.discovery.members_diff import compare_members
from services.register.discovery.proposal import write_files
from services.register.discovery.xroad_import import read_lists

__all__ = ["IMPORTERS", "compare_members", "read_lists", "write_files"]
