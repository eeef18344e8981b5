"""The faults that are injected into a running system, in order, so that every dashboard query moves."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from services.dataset.log import LOG, SigningKey
from services.register.bus.publish import publish_register
from services.register.directory.load import load_register
from services.sandbox.faults.faults import FaultMode, FaultScope
from tests.support.cases.dashboards.caller import Caller
from tests.support.cases.dashboards.register import AGENCY, LINK, SLOT, first_register, other_register
from tests.support.cases.dashboards.rubbish import ALONE, STRANGE, STRANGER, send_rubbish, send_unreadable
from tests.support.components import Components, started
from tests.support.monitoring.alerting import deployed
from tests.support.monitoring.prometheus import ask, prometheus
from tests.support.ports import free_base_port, free_port
from tests.support.processes import page
from tests.support.servers.commanded_sandbox import command, spoil

__all__ = [
    "BLIND",
    "BROKEN",
    "BUS",
    "EXPIRED",
    "JOINS",
    "PILES",
    "REGISTER",
    "RUBBISH",
    "SLOW",
    "STANDS",
    "Story",
    "told",
]

SPOOL_BYTES = 16_384
ACKNOWLEDGED_IN = "histogram_quantile(0.5, sum by (le) (rate(peyvand_publish_seconds_bucket[4s])))"
SPOILT = 2  # the number of a security server
LEARNED = 24  # slots of exchanges that teach the detector what is usual; seven slots make a week here
PILED = 2000  # messages: more than a scorer reads at once
SLOW = "social-insurance-job-support-appeal-criminal-record"
EXPIRED = "social-insurance-allowance-replace-death-record"
BREAKS = [
    (FaultScope.BUS, "", FaultMode.HTTP_5XX),
    (FaultScope.LINK, SLOW, FaultMode.SLOW),
    (FaultScope.LINK, EXPIRED, FaultMode.TLS_BROKEN),
    (FaultScope.LINK, "conscription-identity-card-transfer-employer-dues", FaultMode.REFUSED),
    (FaultScope.LINK, "customs-exemption-issue-insurance-record", FaultMode.WRONG_RECORD),
    (FaultScope.LINK, "environment-solar-amend-insurance-record", FaultMode.STALE),
    *(
        (FaultScope.LINK, link, FaultMode.HUNG)
        for link in (
            "customs-loan-renew-insurance-record",
            "deeds-registration-clean-record-renew-insurance-record",
            "environment-well-appeal-insurance-record",
            "food-and-drug-treatment-replace-insurance-record",
            "national-post-certificate-cancel-insurance-record",
            "national-post-hosting-inquire-insurance-record",
        )
    ),
]

# What is done to the system, in this order.
REGISTER = "a new register: an agency's links go back on paper, one weighs more, another official round"
BROKEN = "links break at every stage, and the data bus with all that goes over it; exchanges that nobody declared"
RUBBISH = (
    "while those are broken: what is unreadable, repeated, alone or late, and a second that a security server cannot give; a "
    "client asks amiss, and one leaves"
)
STANDS = "then the prober stands still, for moments and for slots"
BUS = "the message bus falters, stands still, then dies until a full spool has lost measurements"
PILES = "the scorer and the archive stand still, while messages pile up"
JOINS = "meanwhile a second prober joins, which may have one probe under way"
BLIND = "all targets are gone, the control targets and security servers too"


@dataclass
class Story:
    """The start and end of each fault by its name, and the address of Prometheus."""

    components: Components
    prometheus: str
    register: Path
    calm: float = 0.0
    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def fault(self, what: str) -> AsyncIterator[None]:
        """Record when a fault begins and when its effects have been scraped."""
        self.begun[what] = time.time()
        yield
        await self.scrapes()
        self.ended[what] = time.time()

    def value(self, query: str) -> float:
        """Return the value of the first series of an answer, or -1 if there is none."""
        answer = ask(self.prometheus, "query", query=query) or {"result": []}
        return float(answer["result"][0]["value"][1]) if answer["result"] else -1.0

    async def until(self, query: str, least: float = 1.0) -> None:
        """Wait until the result of a query is at least this."""
        await self.components.until(lambda: self.value(query) >= least, f"{query} was {least:g}")

    async def hangs(self) -> None:
        """Wait until a slow probe is in flight: that of the slow link, seen twice in a row."""
        seen = deque[bool](maxlen=2)

        def twice() -> bool:
            lines = page(self.components.metrics["prober"], "/metrics")[1].splitlines()
            under_way = (line.split()[-1] for line in lines if line.startswith("peyvand_probe_inflight "))
            seen.append(float(next(under_way, "0")) > 0)
            return seen.count(True) == 2

        await self.components.until(twice, "a slow probe was under way")

    async def scrapes(self) -> None:
        """Wait until the present state has been scraped twice, as a rate needs two samples."""
        since = time.time()
        await self.until(f"min(timestamp(up)) - {since:.3f}", 1.0)

    async def slots(self, number: int) -> None:
        """Wait until this many more slots have been counted."""
        as_of = "max(peyvand_index_as_of_timestamp_seconds)"
        await self.until(as_of, self.value(as_of) + number * SLOT)


@asynccontextmanager
async def told(nats, folder: Path):
    """Run the whole story and yield it while Prometheus still answers."""
    sandbox, faults, logs = folder / "sandbox", folder / "faults.json", folder / "more"
    register = sandbox / "measured"
    logs.mkdir()
    api = f"127.0.0.1:{free_port()}"
    with started(nats, folder) as components:
        settings = ("--slot", SLOT, "--base-port", free_base_port(), "--faults", 0, "--traffic", 40)
        components.start("sandbox", *settings, module="tests.support.servers.commanded_sandbox", args=(str(faults),))
        reads = ("--probe-files", register)
        components.start("prober", "--prober", "one", "--spool-limit", SPOOL_BYTES, *reads)
        # Prometheus asks once a second here, so a rate must change as often.
        components.start("scorer", constants={"services.scorer.session.STREAMS_SECONDS": 0.5})
        archive_key = folder / "archive.key"
        archive_key.write_text(SigningKey.generate("dashboards/archive", LOG).text(), "utf-8")
        flags = "--archive-key", archive_key, "--segment-seconds", 1
        components.start("archive", *flags, constants={"services.archive.component._POLL_SECONDS": 0.5})
        components.start("api", "--listen", api)
        await components.until(lambda: "sandbox serving" in components.logs(), "the sandbox served")
        serving = time.time()
        sources = yaml.safe_load((sandbox / "sources.yaml").read_text("utf-8"))
        sources["sources"].append({"id": "more", "kind": "files", "path": str(logs / "*.ndjson"), "every": "1s"})
        (sandbox / "more.yaml").write_text(yaml.safe_dump(sources), "utf-8")
        components.start("collector", "--sources", sandbox / "more.yaml")
        components.metrics["second"] = f"127.0.0.1:{free_port()}"
        places = {name: [components.metrics[name]] for name in ("scorer", "archive", "collector", "api")}
        places["prober"] = [components.metrics["prober"], components.metrics["second"]]
        deployed(folder / "prometheus", SLOT / 300, places)
        with prometheus(folder / "prometheus" / "prometheus.yml") as where:
            story = Story(components, where, register)
            await story.until("count(up == 1)", 5)
            first_register(sandbox / "register", register)

            async def put_in_force() -> None:
                async with nats.connect("register") as bus:
                    await publish_register(bus, load_register(register), now=time.time())

            await put_in_force()
            caller = Caller(api)
            async with asyncio.TaskGroup() as group:
                calls, watch = group.create_task(caller.call()), group.create_task(caller.watch())
                await story.until("peyvand_api_watchers")
                await story.until(f'sum(peyvand_exchanges{{consumer="{AGENCY}",result="ok"}})')
                await story.until('count(peyvand_link_stage == 5) == sum(peyvand_links{state="live"})')
                await story.until(f"time() - {serving:.0f} + 0 * max(up)", LEARNED * SLOT)
                await story.slots(1)  # until rates no longer cover the startup
                story.calm = time.time()
                await story.slots(2)

                async with story.fault(REGISTER):
                    absent = story.value('peyvand_links{state="absent"}')
                    other_register(register)
                    await put_in_force()
                    await story.until('peyvand_links{state="absent"}', absent + 1)
                    await story.slots(1)
                async with story.fault(BROKEN):
                    command(faults, BREAKS)
                    await story.until("count(peyvand_link_reason)", len(BREAKS))
                    # Meanwhile exchange logs arrive. These faults show on other panels.
                    async with story.fault(RUBBISH):
                        caller.link = "no-link-of-this-name"
                        watch.cancel()
                        spoil(faults, SPOILT, int(time.time()) + 3)
                        await send_rubbish(nats, logs, register)
                        await story.until("sum(peyvand_exchange_expired_total)")
                        await story.until("sum(peyvand_exchange_orphans)", ALONE)
                        await story.until("sum(peyvand_measurements_late_total)")
                        await story.until("sum(peyvand_measurements_rejected_total)")
                        await story.until("sum(peyvand_exchange_skipped_seconds_total)")
                        caller.link = LINK
                    async with story.fault(STANDS):
                        for _ in range(6):
                            components.pause("prober")
                            await asyncio.sleep(0.5)
                            components.resume("prober")
                            await asyncio.sleep(0.05)
                        await story.scrapes()
                        await story.hangs()  # so that a probe in flight overruns its slot
                        components.pause("prober")
                        stood = time.time()
                        await story.slots(4)
                        # Until too much is unknown for an index. How long that takes depends on the slots known before.
                        await story.until('absent(peyvand_index{kind="government",window="28"})')
                        # Also by the clock: a lagging scorer counts four slots sooner, and then no slot is leapt.
                        await asyncio.sleep(max(0.0, stood + 4 * SLOT - time.time()))
                        components.resume("prober")
                        await story.until("sum(peyvand_probe_leapt_slots_total)")
                        await story.slots(1)
                    await story.until(f'sum(peyvand_exchanges{{consumer="{AGENCY}",result="bus_failure"}})')
                    await story.until(f'sum(peyvand_exchanges{{provider="{AGENCY}",result="bus_failure"}})')
                    await story.until(
                        f'sum(peyvand_exchanges{{consumer="{AGENCY}",provider="{STRANGER}",meta="false"}})', STRANGE
                    )
                    await story.until(f'peyvand_link_exchanges{{link="{LINK}",result="failed"}}')
                    await story.until('peyvand_findings{kind="bus_failures",state="open"}')
                    await story.until(f'peyvand_agency_findings{{agency="{AGENCY}"}}')
                async with story.fault(BUS):
                    for _ in range(60):  # slow for so long that it affects most messages in a rate's span
                        nats.pause()
                        await asyncio.sleep(0.3)
                        slow = story.value(ACKNOWLEDGED_IN) > 0.1
                        nats.resume()
                        if slow:
                            break
                        await asyncio.sleep(0.004)
                    nats.pause()
                    await story.until("sum(peyvand_spool_batches)", 3)
                    nats.resume()
                    await story.until("1 - sum(peyvand_spool_batches)")
                    await story.scrapes()
                    dropped = story.value("sum(peyvand_spool_dropped_total)")
                    nats.kill()
                    await story.until("count(peyvand_bus_connected == 0)", 5)
                    await story.until("sum(peyvand_spool_dropped_total)", dropped + 1)
                    nats.start()
                    await story.until("count(peyvand_bus_connected == 1)", 5)
                    await story.until("1 - sum(peyvand_spool_batches)")
                    await story.slots(1)
                async with story.fault(PILES), story.fault(JOINS):
                    components.start("second", "--prober", "two", "--inflight", 1, *reads, module="services.prober")
                    await story.until("sum(peyvand_probe_shed_total)")
                    await story.until("min(peyvand_probe_peers)", 2)
                    # The scorer measures its lag every two seconds, and may have read the messages by then.
                    for _ in range(5):
                        components.pause("scorer")
                        components.pause("archive")
                        await send_unreadable(nats, PILED)
                        await story.until("1 - max(up{job=~'scorer|archive'})")
                        components.resume("scorer")
                        components.resume("archive")
                        await story.until("max(up{job='scorer'})")
                        await story.scrapes()
                        if story.value("max(max_over_time(peyvand_scorer_behind_messages[30s]))") > PILED / 4:
                            break
                async with story.fault(BLIND):
                    components.kill("sandbox")
                    await story.until("max(peyvand_vantage_blind)")
                    await story.until("1 - min(peyvand_exchange_source_up)")
                    await story.slots(2)
                calls.cancel()
            yield story
