"""Put conformance cases to a blackbox_exporter that the suite runs on loopback. Not a test itself."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep, time
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml
from grpc import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from tests.conformance.case import CONFIG_ERROR, FAILS, PASSES, YEAR_ONE, Case, Seen, Stage
from tests.conformance.secret import leaks

__all__ = ["Blackbox", "find_blackbox", "started"]

_NAMES = ("prometheus-blackbox-exporter", "blackbox_exporter")
_DAY = 86_400
_NO_TIME = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_CODES = {code.value[0]: code.name for code in StatusCode}
_METRICS = "Metrics that would have been returned:\n"
_MODULE = "Module configuration:\n"


def find_blackbox() -> str | None:
    """Return the path of the program under Debian's name or its own; None if it is not installed."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass(frozen=True, slots=True)
class Blackbox:
    """A blackbox_exporter that runs with the modules of all cases. The cases are written for its version 0.26."""

    version: str
    program: str
    folder: Path
    url: str

    async def ask(self, case: Case, stage: Stage) -> Seen:
        """Put a case to it: by its configuration check if that must refuse the module, else by a probe."""
        if case.theirs is CONFIG_ERROR:
            return self._check(case)
        params = {"target": stage.theirs or stage.target, "module": case.id, "debug": "true"}
        page = await self._page(f"/probe?{urlencode(params)}")
        _, _, rest = page.partition(_METRICS)
        metrics, _, module = rest.partition(_MODULE)
        assert module, f"no debug page of module {case.id}: {page[:200]}"
        values = _values(metrics)
        facts = dict(_facts(values))
        if case.secret:
            facts["leaked"] = leaks(
                page + yaml.safe_dump(yaml.safe_load(await self._page("/config"))["modules"][case.id])
            )
        verdict = PASSES if values["probe_success"] == 1 else FAILS
        return Seen(verdict, page, facts)

    async def _page(self, path: str) -> str:
        return await asyncio.to_thread(_read, f"{self.url}{path}")

    def _check(self, case: Case) -> Seen:
        path = self.folder / "refused.yml"
        path.write_text(yaml.safe_dump({"modules": {case.id: yaml.safe_load(case.module)}}), encoding="utf-8")
        done = subprocess.run(
            [self.program, "--config.check", f"--config.file={path}"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return Seen(CONFIG_ERROR if done.returncode else PASSES, done.stderr, {"leaked": leaks(done.stderr)})


def _read(url: str) -> str:
    with build_opener(ProxyHandler({})).open(url, timeout=20) as answer:
        return str(answer.read().decode())


@contextmanager
def started(program: str, cases: Iterable[Case], folder: Path) -> Iterator[Blackbox]:
    """Run a blackbox_exporter on a free port within the block; files in modules are relative to ``folder``."""
    modules = {case.id: yaml.safe_load(case.module) for case in cases if case.theirs in {PASSES, FAILS}}
    configuration = folder / "blackbox.yml"
    configuration.write_text(yaml.safe_dump({"modules": modules}), encoding="utf-8")
    log = folder / "blackbox.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, f"--config.file={configuration}", "--web.listen-address=127.0.0.1:0"],
            cwd=folder,
            stdout=said,
            stderr=said,
        )
    try:
        yield Blackbox(_version(program), program, folder, f"http://{_address(process, log)}")
    finally:
        process.terminate()
        process.wait(timeout=10)


def _version(program: str) -> str:
    """Return the first line of what ``--version`` prints."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    return (done.stdout or done.stderr).partition("\n")[0]


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the log says on which address it listens, and return that address."""
    deadline = monotonic() + 10
    while monotonic() < deadline and process.poll() is None:
        if found := re.search(r"address=(127\.0\.0\.1:\d+)", log.read_text()):
            return found[1]
        sleep(0.01)
    raise AssertionError(f"blackbox_exporter does not start: {log.read_text()[-1000:]}")


def _values(text: str) -> dict[str, float]:
    """Return the samples by name; those with one label by name{value}."""
    values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = next(iter(sample.labels.values())) if len(sample.labels) == 1 else ""
            values[f"{sample.name}{{{label}}}" if label else sample.name] = sample.value
    return values


def _facts(values: Mapping[str, float]) -> Mapping[str, object]:
    serving = [label for label, value in _labelled(values, "probe_grpc_healthcheck_response") if value]
    versions = [label for label, _ in _labelled(values, "probe_tls_version_info")]
    return {
        "status": int(values.get("probe_http_status_code", 0)) or None,
        "redirects": values.get("probe_http_redirects"),
        "length": values.get("probe_http_uncompressed_body_length"),
        "raw_length": values.get("probe_http_content_length"),
        "ip": values.get("probe_ip_protocol"),
        "earliest_expiry": _days(values.get("probe_ssl_earliest_cert_expiry")),
        "chain_expiry": _days(values.get("probe_ssl_last_chain_expiry_timestamp_seconds")),
        "tls": versions[0].replace(" ", "v") if versions else None,
        "phases": {label for label, _ in _labelled(values, "probe_http_duration_seconds")},
        "serving": serving[0] if serving else None,
        "code": _CODES.get(int(values.get("probe_grpc_status_code", -1))),
        "answers": values.get("probe_dns_answer_rrs"),
        "authority": values.get("probe_dns_authority_rrs"),
        "rcode": None,
    }


def _labelled(values: Mapping[str, float], name: str) -> list[tuple[str, float]]:
    return [(key[len(name) + 1 : -1], value) for key, value in values.items() if key.startswith(f"{name}{{")]


def _days(moment: float | None) -> object:
    if moment is None:
        return None
    return YEAR_ONE if moment == _NO_TIME else round((moment - time()) / _DAY)
