"""Steps of journeys are read and published, and each fault is reported at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import InputError
from services.core.model.probe import Capture
from services.register.directory.load import load_register
from services.register.versions.rows import from_rows, to_rows
from tests.support.registers import PROBES, write_register

JOURNEY = """\
permit:
  kind: journey
  timeout: 8s
  steps:
    - name: login
      kind: http
      method: POST
      target: "${target}/login"
      body: "user=${national_id}"
      timeout: 3s
      capture:
        token: {json: $.token, encode: url}
        order: {header: X-Order}
    - name: ask
      kind: http
      target: "${target}/ask?token=${token}"
      headers: {X-Order: "${order}"}
      expect: {json: [{path: $.order, equals: "${order}"}]}
      capture: {next: {pattern: 'href="(.*?)"'}}
    - name: take
      kind: soap
      target: "${next}"
      body: '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>'
      expect: {namespaces: {c: urn:civil}}
      capture: {id: {xpath: //c:id}}
"""


def faults(directory: Path) -> list[str]:
    with pytest.raises(InputError) as refused:
        load_register(directory)
    return [str(fault).removeprefix(f"{directory}/") for fault in refused.value.faults]


def _register(
    tmp_path: Path, journey: str, params: str = '"{""national_id"": ""1""}"', target: str = "http://h"
) -> Path:
    endpoints = f"id,agency,probe,target,params\nbus,customs,page,http://h/,\npermit,customs,permit,{target},{params}\n"
    return write_register(tmp_path / "register", probes_yaml=PROBES + journey, endpoints_csv=endpoints)


def test_a_journey_is_read_and_survives_publication(tmp_path: Path) -> None:
    """Steps, targets and captures survive a round trip through rows. Params must hold what no step captures."""
    register = load_register(_register(tmp_path, JOURNEY))
    journey = register.probes["permit"]
    assert [(step.probe.name, step.probe.kind, step.probe.timeout) for step in journey.steps] == [
        ("login", "http", 3.0),
        ("ask", "http", 5.0),
        ("take", "soap", 5.0),
    ]
    assert journey.steps[0].capture == {
        "token": Capture(json="$.token", encode="url"),
        "order": Capture(header="X-Order"),
    }
    assert journey.steps[2].capture == {"id": Capture(xpath="//c:id")}
    assert from_rows([to_rows(register, whole=True)]).probes["permit"] == journey


def test_faults_of_steps(tmp_path: Path) -> None:
    """Every fault of steps and captures is reported, each at its own place."""
    journey = """\
permit:
  kind: journey
  timeout: 8s
  steps:
    - name: login
      kind: http
      target: "${target}/login?x=${token}"
      timeout: 9s
      capture:
        token: {json: $.token, header: X}
        target: {json: $.token}
        2fa: {json: $.token}
        group: {pattern: "a(?:b)"}
        code: {pattern: "a(b)", encode: base64}
        none: {}
        unknown: {css: h1}
        other: {xpath: //d:id}
        empty: {header: null}
      expect: {namespaces: {c: urn:civil}}
    - name: login
      kind: journey
      target: "${target}"
    - kind: http
"""
    assert faults(_register(tmp_path, journey)) == [
        "probes.yaml:18:7: step `login` uses `token` before step `login` has captured it",
        "probes.yaml:21:16: timeout: 9 s is above the 8 s of the whole journey",
        "probes.yaml:23:16: token: needs one of `json`, `xpath`, `header`, `pattern`",
        "probes.yaml:24:9: `target` is given, and cannot be captured",
        "probes.yaml:25:9: `2fa` is not a name for a variable",
        "probes.yaml:26:26: pattern: `a(?:b)` has no group to take the value from",
        "probes.yaml:27:41: encode: `base64` is not one of url, json, xml",
        "probes.yaml:28:15: none: needs one of `json`, `xpath`, `header`, `pattern`",
        "probes.yaml:29:18: unknown: needs one of `json`, `xpath`, `header`, `pattern`",
        "probes.yaml:29:19: key `css` is unknown; known are json, xpath, header, pattern, encode",
        "probes.yaml:30:24: xpath: `//d:id` is not XPath: prefix `d` is not among `namespaces`",
        "probes.yaml:31:25: header: is empty",
        "probes.yaml:33:13: name: step `login` is there twice",
        "probes.yaml:34:13: kind: `journey` is not one of http, soap, xroad-rest, xroad-soap, grpc, tcp, tls, dns",
        "probes.yaml:36:7: key `name` is missing",
        "probes.yaml:36:7: key `target` is missing",
    ]


def test_origins_of_credentials(tmp_path: Path) -> None:
    """Origins are URLs of the step's kind without a path, for targets with captured values, and survive publication."""
    take = JOURNEY.index('target: "${next}"')
    good = JOURNEY[:take] + "origins: [https://pay.example, 'http://tax.example:8080/']\n      " + JOURNEY[take:]
    register = load_register(_register(tmp_path, good))
    assert register.probes["permit"].steps[2].origins == ("https://pay.example", "http://tax.example:8080/")
    assert from_rows([to_rows(register, whole=True)]).probes == register.probes
    bad = JOURNEY[:take] + "origins: [pay.example, 'https://h/x', 'tcp://h:1', 'http://h?x']\n      " + JOURNEY[take:]
    bad = bad.replace("      method: POST\n", "      method: POST\n      origins: [https://h]\n", 1)
    assert faults(_register(tmp_path, bad)) == [
        "probes.yaml:21:16: origins: is for a `target` that holds what an earlier step captured",
        "probes.yaml:36:17: origins: `pay.example` does not begin with http:// or https://",
        "probes.yaml:36:30: origins: `https://h/x` has more than a scheme, a host and a port",
        "probes.yaml:36:45: origins: `tcp://h:1` does not begin with http:// or https://",
        "probes.yaml:36:58: origins: `http://h?x` has more than a scheme, a host and a port",
    ]


def test_a_journey_without_steps(tmp_path: Path) -> None:
    """A journey needs steps, is bounded by a default timeout of five seconds, and has no expectations of its own."""
    assert faults(_register(tmp_path, "permit: {kind: journey, steps: [], expect: {status: [200]}}\n")) == [
        "probes.yaml:14:32: steps: is empty",
        "probes.yaml:14:36: key `expect` is unknown with kind journey; known are kind, steps, timeout",
        "probes.yaml:14:45: key `status` is unknown; known are ",
    ]
    slow = JOURNEY.replace("  timeout: 8s\n", "").replace("timeout: 3s", "timeout: 6s")
    assert faults(_register(tmp_path, slow)) == [
        "probes.yaml:22:16: timeout: 6 s is above the 5 s of the whole journey"
    ]


@pytest.mark.parametrize(
    ("params", "target", "reasons"),
    [
        ("", "http://h", ["params: `national_id` is missing, but the target or probe contains `${national_id}`"]),
        ('"{""national_id"": []}"', "http://h", ["params: `national_id` is not a text, a number, true or false"]),
        (
            '"{""national_id"": ""1"", ""token"": ""2"", ""target"": ""3""}"',
            "http://h",
            [
                "params: `target` is given or captured by the steps of probe `permit` themselves",
                "params: `token` is given or captured by the steps of probe `permit` themselves",
            ],
        ),
        (
            '"{""national_id"": ""1""}"',
            "http://h?x",
            ["target: of step `line`: `http://h?x` does not begin with tcp://"],
        ),
        (
            '"{""national_id"": ""1""}"',
            "tls://h:1",
            ["target: `tls://h:1` does not begin with http:// or https://"],
        ),
    ],
)
def test_params_and_target_of_a_journey(tmp_path: Path, params: str, target: str, reasons: list[str]) -> None:
    """Params must fill the steps without setting captured values, and the target must give the steps valid targets."""
    line = '    - {name: line, kind: tcp, target: "${target}"}\n' if "?" in target else ""
    found = faults(_register(tmp_path, JOURNEY + line, params, target))
    assert sorted({fault.split(": ", 1)[1] for fault in found}) == reasons
