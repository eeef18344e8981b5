"""Imports every module of services, for the server that processes of tests are forked from (tests.support.forked)."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import services

for _module in pkgutil.walk_packages(services.__path__, "services."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)
gc.freeze()  # a collection in a child would copy all of it
