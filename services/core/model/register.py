"""The register as values: required inquiries, their providers, and how they are probed (docs/register.md).

Everything here is frozen and free of I/O. services.register reads and checks the text; nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.core.model.evaluation import Evaluation
from services.core.model.finding import FindingReview
from services.core.model.holiday import Holiday
from services.core.model.measurement import RegisterVersions, Target
from services.core.model.notices import Announcement, LegalBasis, Maintenance, Objection
from services.core.model.probe import Probe

FLUSH_SECONDS = 2.0
"""A prober publishes its measurements at least this often, in seconds."""

EVIDENCE_SECONDS = 7 * 86_400.0
"""How long the bus keeps measurements and exchange summaries, and so the longest grace."""

ALWAYS = date.min
"""``Link.live_from`` of a link that has always been live."""


@dataclass(frozen=True, slots=True)
class Agency:
    """An executive body; owns services; belongs to a sector."""

    id: str
    name_en: str
    name_fa: str
    sector: str
    staff: int | None = None
    satisfaction: float | None = None
    until: date | None = None
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service that an agency offers to citizens or firms; ``channel`` is unified, own, both or empty."""

    id: str
    agency: str
    name_en: str
    name_fa: str
    channel: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Link:
    """A required inquiry: ``service`` needs ``data_item`` from ``provider``.

    ``live_from`` is None while the link is absent (a known zero), ALWAYS, or the first live day.
    ``latency_ms`` is τ in milliseconds and ``max_age_s`` φ in seconds (None: the age is not judged);
    the policy's defaults are already filled in. ``params`` fill the placeholders of the probe; several of them are test
    records that take turns. Empty ``vantages`` means all. ``legal_basis`` is None where the register states none.
    """

    id: str
    service: str
    provider: str
    data_item: str
    required_from: date | None = None
    required_until: date | None = None
    live_from: date | None = ALWAYS
    probe: str = ""
    target: str = ""
    params: tuple[Mapping[str, object], ...] = ({},)
    vantages: tuple[str, ...] = ()
    latency_ms: int = 2000
    max_age_s: int | None = None
    slo: float = 0.95
    weight: float = 1.0
    legal_basis: LegalBasis | None = None

    @property
    def absent(self) -> bool:
        """Whether the link is documented as not built."""
        return self.live_from is None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A network address that citizens use, probed on its own; never part of the CII. ``params`` are as a link's.

    ``latency_ms`` None is the policy's default.
    """

    id: str
    agency: str
    service: str | None
    probe: str
    target: str
    params: tuple[Mapping[str, object], ...] = ({},)
    vantages: tuple[str, ...] = ()
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place that probes start from; its control targets (``http://``, ``https://``, ``tcp://``) should always answer.

    ``control_names`` should always resolve; if empty, the hosts of control targets and of probed targets are used.
    """

    id: str
    control_targets: tuple[str, ...] = ()
    control_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Egress:
    """Networks (CIDR) that probes may connect to; empty ``allow`` means any public address."""

    allow: tuple[str, ...] = ()
    allow_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Government:
    """The government whose index is measured."""

    id: str
    name_en: str
    name_fa: str


@dataclass(frozen=True, slots=True)
class OpenData:
    """The statements in exports of open data (docs/opendata.md §2); an empty text is not stated.

    ``licence`` is the address of its text, ``url`` that of the folder of the files, without a slash at its end.
    """

    publisher_en: str = ""
    publisher_fa: str = ""
    licence: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class FindingPolicy:
    """How findings about exchanges are made: ``false_findings_per_week`` arise by chance, in the whole government.

    A week has ``week_steps`` steps of ``step_seconds``, which are judged one by one; a simulated government runs
    faster.
    """

    false_findings_per_week: float = 1.0
    step_seconds: int = 3600
    week_steps: int = 168


def in_language(language: str, english: str, persian: str) -> str:
    """Return a text in a language, `en` or `fa`, else in the other one."""
    return (persian or english) if language == "fa" else (english or persian)


def default_window(windows_days: Sequence[int]) -> int:
    """Return the window of a policy that is used when none is named: 28 days if the policy has it, else its first."""
    return 28 if 28 in windows_days else windows_days[0]


@dataclass(frozen=True, slots=True)
class Policy:
    """How the register is measured. ``levels`` are the strict shares of service levels 3 and 4."""

    government: Government
    timezone: str
    epoch: datetime
    slot_seconds: int = 300
    windows_days: tuple[int, ...] = (7, 28, 90)
    publish_threshold: float = 0.8
    grace_hours: int = 24
    vantages: tuple[Vantage, ...] = ()
    egress: Egress = Egress()
    bus: str | None = None
    default_latency_ms: int = 2000
    default_max_age_s: int | None = None
    levels: tuple[float, float] = (0.95, 0.99)
    open_data: OpenData | None = None
    findings: FindingPolicy = FindingPolicy()

    @property
    def default_window(self) -> int:
        """The window used when none is named."""
        return default_window(self.windows_days)

    @property
    def prompt_seconds(self) -> float:
        """How long after a slot's end a measurement of it is stored in time: the longest timeout, and a flush.

        The register guarantees timeouts below half a slot, so this does not depend on the probes.
        """
        return self.slot_seconds / 2 + FLUSH_SECONDS

    @property
    def grace_seconds(self) -> float:
        """How long after a slot's end its measurements are accepted: the grace, and the time of prompt ones."""
        return self.grace_hours * 3600 + self.prompt_seconds


@dataclass(frozen=True, slots=True)
class Member:
    """An X-Road member or subsystem (``INSTANCE/CLASS/CODE[/SUBSYSTEM]``) and the agency behind it."""

    id: str
    agency: str


@dataclass(frozen=True, slots=True)
class ExchangeRoute:
    """The route of a link: an X-Road client calls an X-Road service (``INSTANCE/CLASS/CODE/SUBSYSTEM/service``)."""

    client: str
    service: str
    link: str


@dataclass(frozen=True, slots=True)
class Register:
    """One version of the register. Mappings are keyed by id, in id order.

    ``register_version`` identifies the denominator (agencies, services, links' identity, dates and weights),
    ``probe_version`` how it is probed (probes, targets, policy); both are SHA-256 hex digests. Neither version covers
    ``evaluation``, ``announcements``, ``objections``, ``holidays``, ``reviews`` and the legal bases of links, because
    these change neither what is required nor how it is probed.
    """

    agencies: Mapping[str, Agency]
    services: Mapping[str, Service]
    links: Mapping[str, Link]
    endpoints: Mapping[str, Endpoint]
    probes: Mapping[str, Probe]
    policy: Policy
    members: tuple[Member, ...] = ()
    routes: tuple[ExchangeRoute, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    evaluation: Evaluation | None = None
    announcements: tuple[Announcement, ...] = ()
    objections: tuple[Objection, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    reviews: tuple[FindingReview, ...] = ()
    register_version: str = ""
    probe_version: str = ""

    def consumer(self, link: Link) -> str:
        """Return the agency that owns the link's service."""
        return self.services[link.service].agency

    @property
    def versions(self) -> RegisterVersions:
        """Both versions."""
        return RegisterVersions(self.register_version, self.probe_version)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Everything that is measured: links, then endpoints, by id."""
        return (*map(Target, sorted(self.links)), *(Target(name, endpoint=True) for name in sorted(self.endpoints)))

    @property
    def settle_seconds(self) -> float:
        """How long after a slot's end its last measurement can still arrive: longest timeout + one flush."""
        return max((probe.timeout for probe in self.probes.values()), default=0.0) + FLUSH_SECONDS
