"""``python -m tests.dashboards``: draw every dashboard from a running system, without Grafana.

It starts a sandbox and Prometheus, lets them run for a while, asks every query of every panel and draws what they answer as
FOLDER/NAME.svg; with Debian's chromium-headless-shell at hand also as FOLDER/NAME.png. With --prometheus another one is asked.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.dashboards.grafana import View, names
from tests.dashboards.picture import picture
from tests.support.monitoring.alerting import deployed
from tests.support.monitoring.prometheus import ask, prometheus
from tests.support.system import COMPONENTS, System

_COSTLIEST = 'topk(1, max by (consumer, link) (peyvand_link_gain{consumer=~"%s"} and on (link) peyvand_link_exchanges))'
"""Of links with exchanges, so that every panel has something to show."""


def _first(where: str, query: str, label: str) -> str:
    """A label of the first series of an answer; empty without any."""
    answer = ask(where, "query", query=query)
    found = answer["result"] if answer else []
    return str(found[0]["metric"][label]) if found else ""


@contextmanager
def _running(slot: int, seconds: float) -> Iterator[str]:
    """A sandbox that has run for so long under Prometheus, which is at HOST:PORT."""
    with tempfile.TemporaryDirectory(prefix="peyvand-preview-") as folder:
        system = System(Path(folder) / "data", ("--slot", f"{slot}s", "--for", f"{seconds + 120:.0f}s"))
        places = {name: [system.metrics(name)] for name in COMPONENTS if name != "sandbox"}
        deployed(Path(folder) / "prometheus", slot / 300, places)
        system.start()
        try:
            with prometheus(Path(folder) / "prometheus" / "prometheus.yml") as where:
                system.until_serving()
                time.sleep(seconds)
                yield where
        finally:
            system.stop()


def _screenshot(chromium: str, file: Path) -> None:
    size = file.read_text("utf-8").partition('viewBox="0 0 ')[2].partition('"')[0].replace(" ", ",")
    with tempfile.TemporaryDirectory(prefix="peyvand-chromium-") as profile:
        subprocess.run(
            [
                chromium,
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={size}",
                f"--screenshot={file.with_suffix('.png')}",
                file.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )


def _draw(where: str, arguments: argparse.Namespace, seconds: float, scrape: float) -> None:
    chosen = (
        f'peyvand_link_stage{{link="{arguments.link}"}}' if arguments.link else _COSTLIEST % (arguments.agency or ".+")
    )
    agency = arguments.agency or _first(where, chosen, "consumer")
    link = arguments.link or _first(where, chosen, "link")
    variables = {
        "window": arguments.window,
        "sector": ".+",
        "agency": agency,
        "link": link,
        "job": "prober|scorer|collector|api",
        "instance": ".+",
    }
    end = time.time()
    view = View(end - seconds, end, variables, scrape=scrape)
    chromium = shutil.which("chromium-headless-shell")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in names():
        file = arguments.folder / f"{name}.svg"
        file.write_text(picture(where, name, view), "utf-8")
        if chromium:
            _screenshot(chromium, file)
        sys.stdout.write(f"{file.with_suffix('.png') if chromium else file}\n")
    if not chromium:
        sys.stdout.write("for PNG files as well: apt-get install chromium-headless-shell\n")


def main() -> None:
    """Draw the dashboards."""
    parser = argparse.ArgumentParser(prog="make preview ARGS=", description="Draw every dashboard, without Grafana.")
    parser.add_argument("--prometheus", metavar="HOST:PORT", help="ask this one, in place of one over a new sandbox")
    parser.add_argument("--minutes", type=float, default=3, help="how much time is shown; a sandbox runs for so long")
    parser.add_argument("--scrape", type=float, default=15, help="seconds between scrapes of --prometheus")
    parser.add_argument("--slot", type=int, default=4, help="slots of the sandbox, in seconds")
    parser.add_argument("--window", default="28", help="window in days")
    parser.add_argument("--agency", default="", help="the consumer of the link, unless said otherwise")
    parser.add_argument("--link", default="", help="the costliest with exchanges, unless said otherwise")
    parser.add_argument("--folder", type=Path, default=Path("build/preview"))
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    if arguments.prometheus:
        _draw(arguments.prometheus, arguments, seconds, arguments.scrape)
        return
    if not shutil.which("prometheus"):
        sys.exit("prometheus is not installed: apt-get install prometheus, or name a running one with --prometheus")
    with _running(arguments.slot, seconds) as where:
        _draw(where, arguments, seconds, 1.0)


if __name__ == "__main__":
    main()
