"""Runs ``peyvand api``: wiring only."""

import sys

from services.api.component import main
from services.core.runtime import run_component

sys.exit(run_component("api", main))
