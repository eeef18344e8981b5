"""The images of the stack: ours by deploy/Dockerfile, and stand-ins for those that would have to be pulled."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from services.core.bus.server import find_server
from tests.images.check import Failure
from tests.images.engine import Engine
from tests.support.paths import ROOT

__all__ = ["IMAGES", "build_base", "build_ours", "build_stand_ins", "image_is_as_promised"]

HERE = Path(__file__).parent
BASE = "peyvand-test-base"
IMAGES = {
    "PEYVAND_IMAGE": "peyvand-test",
    "NATS_IMAGE": "peyvand-test-nats",
    "PROMETHEUS_IMAGE": "peyvand-test-prometheus",
    "ALERTMANAGER_IMAGE": "peyvand-test-alertmanager",
}
_SUITE = "trixie"
_LIMIT_MIB = 540


def _mirror() -> str:
    """The mirror that this machine's own packages come from."""
    for path in (*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")):
        text = path.read_text() if path.exists() else ""
        for address in re.findall(r"^(?:URIs:|deb(?: \[.*\])?) (\S+)", text, re.MULTILINE):
            if address.startswith("http") and "security" not in address:
                return str(address)
    raise Failure("/etc/apt names no mirror to make a base image of")


def build_base(engine: Engine) -> str:
    """Debian as deploy/Dockerfile's base holds it, made by debootstrap, unless the engine has it already."""
    if engine.run("docker", "images", "-q", BASE).strip():
        return "already there"
    if shutil.which("debootstrap") is None:
        raise Failure("debootstrap is not installed")
    tree = engine.folder / "base"
    engine.run(
        "debootstrap", "--variant=minbase", "--include=ca-certificates", _SUITE, str(tree), _mirror(), timeout=600
    )
    for path in tree.glob("var/cache/apt/archives/*.deb"):
        path.unlink()
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            ["docker", "import", "-", BASE], stdin=tar.stdout, env=engine.environ, capture_output=True, check=False
        )
    shutil.rmtree(tree)
    if tar.returncode or done.returncode:
        raise Failure(f"docker import failed: {done.stderr.decode()}")
    return f"Debian {_SUITE}"


def build_ours(engine: Engine) -> str:
    """deploy/Dockerfile, its packages from wherever this machine's pip gets them."""
    flags = ["--build-arg", f"BASE={BASE}"]
    pip = engine.folder / "pip.conf"
    pip.write_text(_pip_conf())
    flags += ["--secret", f"id=pip,src={pip}"]
    authorities = Path("/etc/ssl/certs/ca-certificates.crt")
    if authorities.exists():
        flags += ["--secret", f"id=authorities,src={authorities}"]
    engine.build(IMAGES["PEYVAND_IMAGE"], ROOT / "deploy" / "Dockerfile", ROOT, *flags)
    return f"{_mib(engine, IMAGES['PEYVAND_IMAGE'])} MiB, {_mib(engine, BASE)} of them the base"


def _pip_conf() -> str:
    """Where this machine's pip gets packages from, where it was told; the build is told of it by a secret, which no layer keeps."""
    listed = subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    found = dict(re.findall(r"^[\w-]+\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    for name in ("index-url", "extra-index-url", "trusted-host", "proxy"):
        if (value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}")) is not None:
            found[name] = value
    wanted = {
        name: value
        for name, value in found.items()
        if name in {"index-url", "extra-index-url", "trusted-host", "proxy"}
    }
    return "\n".join(["[global]", *(f"{name} = {value}" for name, value in wanted.items()), ""])


def build_stand_ins(engine: Engine) -> str:
    """NATS, Prometheus and Alertmanager in images laid out as the upstream ones."""
    for variable in ("NATS_IMAGE", "PROMETHEUS_IMAGE", "ALERTMANAGER_IMAGE"):
        name = IMAGES[variable].rpartition("-")[2]
        context = engine.folder / name
        context.mkdir()
        if name == "nats":
            shutil.copy(find_server(), context / "nats-server")
        engine.build(
            IMAGES[variable], HERE / "stand-ins" / f"{name}.Dockerfile", context, "--build-arg", f"BASE={BASE}"
        )
    return ", ".join(IMAGES[name] for name in IMAGES if name != "PEYVAND_IMAGE")


def _mib(engine: Engine, image: str) -> int:
    return int(engine.run("docker", "image", "inspect", "-f", "{{.Size}}", image)) >> 20


def image_is_as_promised(engine: Engine) -> str:
    """No rights, nothing written, no sandbox, no server, no installer, and not larger than it has to be."""
    image = IMAGES["PEYVAND_IMAGE"]
    config: Mapping[str, object] = json.loads(engine.run("docker", "image", "inspect", image))[0]["Config"]
    if config["User"] != "10001:10001":
        raise Failure(f"it runs as {config['User']!r}")
    if not config.get("Healthcheck"):
        raise Failure("it has no health check")
    run = ("docker", "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none")
    look = (
        "import importlib.util as u, os, shutil, services.prober.component, services.scorer.component, services.api.component, "
        "services.collector.component, services.archive.component, services.console.component; "
        "print(os.getuid(), [n for n in ('services.sandbox', 'pip', 'setuptools') if u.find_spec(n)], [c for c in ('nats-server', 'pip', 'pip3') if shutil.which(c)])"
    )
    seen = engine.run(*run, "--entrypoint", "python3", image, "-c", look).strip()
    if seen != "10001 [] []":
        raise Failure(f"user, modules and commands that should not be there: {seen}")
    refused = engine.run(*run, "--entrypoint", "sh", image, "-c", "touch /opt/peyvand/x || echo refused").strip()
    if refused != "refused":
        raise Failure("its files can be written to")
    sandbox = engine.run(*run, "--entrypoint", "sh", image, "-c", "peyvand sandbox 2>&1 || true").strip()
    if sandbox != "peyvand sandbox: it is not part of this installation":
        raise Failure(f"asked for the sandbox it says {sandbox!r}")
    listed = json.loads(engine.run(*run, "--entrypoint", "cat", image, "/opt/peyvand/sbom.cdx.json"))["components"]
    look = "from importlib.metadata import distributions as d; print(*sorted({one.name.lower().replace('_', '-') for one in d()}))"
    held = set(engine.run(*run, "--entrypoint", "python3", image, "-c", look).split()) - {"peyvand"}
    if held != {one["name"] for one in listed}:
        raise Failure(f"its list of packages and what it holds differ in {held ^ {one['name'] for one in listed}}")
    added = _mib(engine, image) - _mib(engine, BASE)
    if added > _LIMIT_MIB:
        raise Failure(f"it adds {added} MiB to its base, more than {_LIMIT_MIB}")
    return f"adds {added} MiB to its base"
