"""Process settings: flags, then PEYVAND_* variables, then a file. One table, the model below, documents them all."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import gethostname

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.errors import SettingsError

__all__ = ["METRICS_PORTS", "Settings", "environment_variable", "load_settings"]

METRICS_PORTS = {"prober": 7421, "scorer": 7422, "collector": 7423, "api": 7424, "sandbox": 7426}
"""Where each component serves /metrics and /health unless told otherwise, on loopback."""

_PREFIX = "PEYVAND_"
_VARIABLES = {"data": "PEYVAND_STATE"}  # PEYVAND_DATA names the folder of real sample data


class Settings(BaseModel):
    """Settings of one process. Every field is a flag (``--base-port``), a variable (``PEYVAND_BASE_PORT``) and a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats: str = Field("nats://127.0.0.1:7412", description="URL of the message bus, several by commas; tls:// encrypts")
    nats_ca: str = Field("", description="PEM file of authorities for the bus's certificate, in place of the system's")
    nats_certificate: str = Field("", description="PEM file of a certificate to show to the bus, where it asks for one")
    nats_key: str = Field("", description="PEM file of that certificate's key")
    credentials: Path = Field(Path("peyvand-data/credentials"), description="folder of the roles' nkey seeds")
    data: Path = Field(Path("peyvand-data"), description="folder of this component's state")
    metrics: str = Field("", description="HOST:PORT of /metrics and /health; each component has a default port")
    log_level: str = Field("info", description="debug, info, warning or error", pattern="^(debug|info|warning|error)$")

    listen: str = Field("127.0.0.1:7410", description="api: HOST:PORT of gRPC")
    certificate: str = Field("", description="api: PEM file of the chain it shows; without one nothing is encrypted")
    key: str = Field("", description="api: PEM file of that certificate's key")
    client_ca: str = Field("", description="api: PEM file of authorities; callers must show a certificate of theirs")
    clients: str = Field("", description="api: YAML file that gives roles to callers' certificates")

    accept_gap: bool = Field(False, description="scorer: go on although messages are gone; their slots stay unknown")

    vantage: str = Field("main", description="prober: the vantage it probes from")
    prober: str = Field(gethostname().split(".")[0].lower(), description="prober: its own name, stable over restarts")
    spool_limit: int = Field(256 << 20, gt=0, description="prober: bytes the spool may hold before it drops the oldest")
    prefer_x25519: bool = Field(
        False, description="prober: offer X25519 before hybrid key exchange, at less CPU per probe"
    )
    inflight: int = Field(2000, gt=0, description="prober: probes under way at once before it sheds")

    bus: str = Field("xroad", description="collector: the id of the data bus whose logs it reads")
    sources: str = Field("", description="collector: YAML file that names the security servers and log files it reads")
    span_days: float = Field(
        10.0,
        ge=1,
        le=13,
        description="collector: days within which the two sides of an exchange pair; older ones are refused",
    )
    replay: str = Field("", description="collector: exchange log to replay, shifted to now")
    replay_seconds: float = Field(30.0, gt=0, description="collector: how long the replay takes")
    alias: str = Field("", description="collector: agency that stands in for the provider in the replay")

    scenario: str = Field("small", description="sandbox: small or national", pattern="^(small|national)$")
    seed: int = Field(1, description="sandbox: seed of the scenario and its faults")
    slot: int = Field(5, gt=0, description="sandbox: slot length in seconds")
    base_port: int = Field(7500, gt=0, lt=65536, description="sandbox: first port on each provider's address")
    faults: float = Field(1.0, ge=0, description="sandbox: intensity of the injected faults")
    traffic: float = Field(4.0, ge=0, le=10_000, description="sandbox: exchanges a second over the data bus")


def environment_variable(name: str) -> str:
    """The environment variable of a setting."""
    return _VARIABLES.get(name, _PREFIX + name.upper())


def _from_file(path: str) -> dict[str, object]:
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(f"the settings file {path} must hold `name: value` lines")
    return content


def _parser(component: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"peyvand {component}", allow_abbrev=False)
    parser.add_argument("--settings", metavar="FILE", help="YAML file of settings")
    for name, field in Settings.model_fields.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, dest=name, metavar="VALUE", help=f"{field.description} (default: {field.default})")
    return parser


def load_settings(component: str, argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings from flags, then environment, then the file named by --settings. Raises SettingsError naming each fault."""
    flags = {name: value for name, value in vars(_parser(component).parse_args(argv)).items() if value is not None}
    file = flags.pop("settings", environ.get(_PREFIX + "SETTINGS"))
    variables = {name: environ[key] for name in Settings.model_fields if (key := environment_variable(name)) in environ}
    values = {**(_from_file(file) if file else {}), **variables, **flags}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors())
        raise SettingsError(f"the settings of {component} cannot be used: {faults}") from error
    if not settings.metrics:
        settings = settings.model_copy(update={"metrics": f"127.0.0.1:{METRICS_PORTS.get(component, 0)}"})
    return settings
