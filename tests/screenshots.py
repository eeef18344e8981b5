"""``python -m tests.screenshots``: photograph the console of a running sandbox, in both languages, for docs/.

It starts a sandbox, lets it run for a while, and writes docs/console-en.png and docs/console-fa.png.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.paths import ROOT
from tests.support.system import System

__all__: list[str] = []

_SIZE = {"width": 1180, "height": 880}


def _main() -> None:
    parser = argparse.ArgumentParser("python -m tests.screenshots", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long the sandbox runs before (default: 90)")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs", help="where the pictures go (default: docs)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="peyvand-screenshots-") as folder:
        system = System(Path(folder) / "data", ("--for", f"{arguments.seconds + 180:.0f}s"))
        system.start()
        try:
            system.until_serving()
            time.sleep(arguments.seconds)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium-headless-shell") or "chromium-headless-shell",
                    args=["--no-sandbox"],
                )
                for code in ("en", "fa"):
                    page = browser.new_page(viewport=_SIZE)  # type: ignore[arg-type]  # a size
                    page.goto(f"http://127.0.0.1:{system.first_port + 1}/{code}/", wait_until="load")
                    page.evaluate("document.fonts.ready")
                    page.screenshot(path=arguments.folder / f"console-{code}.png")
                browser.close()
        finally:
            system.stop()


if __name__ == "__main__":
    _main()
