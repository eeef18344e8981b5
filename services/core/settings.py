"""Process settings: flags, then PEYVAND_* variables, then a file. One table, the class below, documents them all.

The command line reads names, defaults and help of settings to print its help. pydantic, which checks the values, and
the YAML reader are therefore imported only where settings are loaded.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from services.core.errors import SettingsError, reason_of

METRICS_PORTS = {
    "prober": 7421,
    "scorer": 7422,
    "collector": 7423,
    "api": 7424,
    "console": 7425,
    "sandbox": 7426,
    "archive": 7427,
}
"""The default port of each component for /metrics and /health, on loopback."""

_DATA = Path("peyvand-data")
_PREFIX = "PEYVAND_"
_VARIABLES = {"data": "PEYVAND_STATE"}  # PEYVAND_DATA names the folder of real sample data


def _setting(default: Any, description: str) -> Any:
    return field(default=default, metadata={"help": description})


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one process. Every field is a flag (``--base-port``), a variable (``PEYVAND_BASE_PORT``) and a key."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    nats: str = _setting(
        "nats://127.0.0.1:7412", "URL of the message bus, or several separated by commas; tls:// encrypts"
    )
    nats_ca: str = _setting("", "PEM file of authorities for the bus's certificate, in place of the system's")
    nats_certificate: str = _setting("", "PEM file of a client certificate, for a bus that requires one")
    nats_key: str = _setting("", "PEM file of that certificate's key")
    credentials: Path = _setting(_DATA / "credentials", "folder with the nkey seeds of the roles")  # noqa: RUF009  # a path is immutable
    data: Path = _setting(_DATA, "folder of this component's state")  # noqa: RUF009  # likewise
    metrics: str = _setting("", "HOST:PORT of /metrics and /health; each component has a default port")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "debug, info, warning or error")

    listen: str = _setting("127.0.0.1:7410", "api: HOST:PORT of gRPC")
    certificate: str = _setting("", "api: PEM file of its certificate chain; without one nothing is encrypted")
    key: str = _setting("", "api: PEM file of that certificate's key")
    client_ca: str = _setting("", "api: PEM file of authorities; callers must present a certificate of one of them")
    clients: str = _setting("", "api: YAML file that gives roles to callers' certificates")
    client_crl: str = _setting("", "api: PEM file of revocation lists; certificates in them are refused")
    peer_calls: Annotated[int, Gt(0)] = _setting(
        100, "api: concurrent calls and watches of one certificate, or of one address if none is presented"
    )

    console: str = _setting("127.0.0.1:7411", "console: HOST:PORT of its pages")
    audience: Literal["open", "public", "signed"] = _setting(
        "open", "console: open (all, on loopback only), public (agencies and above), signed (public, and more by OIDC)"
    )
    console_url: str = _setting("", "console: its public address, such as https://peyvand.example")
    grafana: str = _setting("", "console: address of Grafana, to link to")
    open_data: str = _setting("", "console: folder of an export of open data, to serve it")
    oidc_issuer: str = _setting("", "console: issuer of the OpenID Connect provider, for --audience signed")
    oidc_client: str = _setting("", "console: its client id at that provider")
    oidc_secret: str = _setting("", "console: file with its client secret")
    oidc_claim: str = _setting("role", "console: claim that names the role: public, agency:ID or auditor")
    session_key: str = _setting(
        "", "console: file with the key that signs cookies, the same for all consoles of a site"
    )
    api: str = _setting("127.0.0.1:7410", "console: HOST:PORT of the api; tls:// encrypts")
    api_ca: str = _setting("", "console: PEM file of authorities for the api's certificate")
    api_certificate: str = _setting("", "console: PEM file of the certificate that it presents to the api")
    api_key: str = _setting("", "console: PEM file of that certificate's key")

    accept_gap: bool = _setting(False, "scorer, archive: continue although messages are gone; their slots stay unknown")

    rounds: str = _setting("", "api, console: folder of the frozen rounds to list")

    archive: str = _setting(
        "",
        "scorer, archive, api: address of the dataset, such as s3://bucket/path; by default the archive uses the folder dataset in "
        "its folder of state, and the others use none",
    )
    archive_key: str = _setting("", "archive: file with the key that signs its log, made by `peyvand archive key`")
    segment_seconds: Annotated[float, Gt(0)] = _setting(
        60.0, "archive: how long evidence waits in memory before it is written; the bus keeps it meanwhile"
    )

    vantage: str = _setting("main", "prober: the vantage it probes from")
    prober: str = _setting(os.uname().nodename.split(".")[0].lower(), "prober: its own name, stable over restarts")
    spool_limit: Annotated[int, Gt(0)] = _setting(
        256 << 20, "prober: bytes the spool may hold before it drops the oldest"
    )
    spool_keep: Annotated[float, Ge(0)] = _setting(
        26.0,
        "prober: hours for which it keeps acknowledged batches, up to spool_limit once more, in case the bus loses them",
    )
    prefer_x25519: bool = _setting(False, "prober: offer X25519 before hybrid key exchange, at less CPU per probe")
    inflight: Annotated[int, Gt(0)] = _setting(2000, "prober: probes under way at once; any more are shed")
    probe_files: str = _setting(
        "/etc/peyvand/register,/etc/peyvand/probes,/register",
        "prober: folders of the files that a register may name, separated by commas",
    )
    nat64: str = _setting(
        "", "prober: NAT64 prefixes of its network, separated by commas; addresses in them count as those of IPv4"
    )
    probe_variables: str = _setting("PROBE_", "prober: prefix of the environment variables that a register may name")

    bus: str = _setting("xroad", "collector: the id of the data bus whose logs it reads")
    sources: str = _setting("", "collector: YAML file that names the security servers and log files it reads")
    span_days: Annotated[float, Ge(1), Le(13)] = _setting(
        10.0, "collector: days within which the two sides of an exchange pair; older ones are refused"
    )
    replay: str = _setting("", "collector: exchange log to replay, shifted to now")
    replay_seconds: Annotated[float, Gt(0)] = _setting(30.0, "collector: how long the replay takes")
    alias: str = _setting("", "collector: agency that stands in for the provider in the replay")

    scenario: Literal["small", "national"] = _setting("small", "sandbox: small or national")
    seed: Annotated[int, Ge(-(1 << 63)), Lt(1 << 63)] = _setting(1, "sandbox: seed of the scenario and its faults")
    slot: Annotated[int, Gt(0)] = _setting(5, "sandbox: slot length in seconds")
    base_port: Annotated[int, Gt(0), Lt(65536)] = _setting(7500, "sandbox: first port on each provider's address")
    faults: Annotated[float, Ge(0), Le(1_000)] = _setting(1.0, "sandbox: intensity of the injected faults")
    traffic: Annotated[float, Ge(0), Le(10_000)] = _setting(40.0, "sandbox: exchanges a second over the data bus")


def owners_of(name: str) -> frozenset[str]:
    """Return the components that read a setting; an empty set when every one does."""
    named, colon, _ = Settings.__dataclass_fields__[name].metadata["help"].partition(": ")
    owners = frozenset(named.split(", "))
    return owners if colon and owners <= METRICS_PORTS.keys() else frozenset()


def environment_variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return _VARIABLES.get(name, _PREFIX + name.upper())


def parse_address(text: str) -> tuple[str, int]:
    """Split HOST:PORT into a pair. Raises SettingsError when it is not one."""
    host, _, port = text.rpartition(":")
    if not (host and "/" not in host and re.fullmatch("[0-9]{1,5}", port) and int(port) < 65536):
        raise SettingsError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:7410")
    return host.strip("[]"), int(port)


def read_yaml(path: Path | str, what: str) -> Any:
    """Return the content of a YAML file, None if that is empty. Raises SettingsError; ``what`` names the file there."""
    import yaml  # noqa: PLC0415  # see above

    try:
        return yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{what} {path} cannot be read: {reason_of(error)}") from error
    except RecursionError:
        raise SettingsError(f"{what} {path} cannot be read: it is nested too deeply") from None


def _parser(component: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"peyvand {component}", allow_abbrev=False)
    parser.add_argument("--settings", metavar="FILE", help="YAML file of settings")
    for setting in fields(Settings):
        flag = "--" + setting.name.replace("_", "-")
        text = f"{setting.metadata['help']} (default: {setting.default})"
        parser.add_argument(flag, dest=setting.name, metavar="VALUE", help=text)
    return parser


def load_settings(component: str, argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Load settings from flags, then variables, then the file named by --settings. Raises SettingsError naming each fault."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  # see above

    flags = {name: value for name, value in vars(_parser(component).parse_args(argv)).items() if value is not None}
    file = flags.pop("settings", environ.get(_PREFIX + "SETTINGS"))
    names = [setting.name for setting in fields(Settings)]
    variables = {name: environ[key] for name in names if (key := environment_variable(name)) in environ}
    from_file = (read_yaml(file, "the settings file") if file else None) or {}
    if not isinstance(from_file, dict):
        raise SettingsError(f"the settings file {file} must hold `name: value` lines")
    values = {**from_file, **variables, **flags}
    try:
        settings = TypeAdapter(Settings).validate_python(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors())
        raise SettingsError(f"the settings of {component} cannot be used: {faults}") from error
    if not settings.metrics:
        settings = replace(settings, metrics=f"127.0.0.1:{METRICS_PORTS.get(component, 0)}")
    return settings
