"""Import every module of services in the server that forks the processes of tests (tests.support.forked)."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import services

for _module in pkgutil.walk_packages(services.__path__, "services."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)
gc.freeze()  # a collection in a child would copy all of it
