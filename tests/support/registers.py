"""A small valid register directory, which other tests use. Not a test itself.

It has 2 sectors, 4 agencies, 5 services, 8 links (one absent), 2 endpoints and http probes.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.paths import ROOT

__all__ = [
    "ANNOUNCEMENTS",
    "EVALUATION",
    "HOLIDAYS",
    "KNOWN_ROUNDS",
    "LEGAL_BASES",
    "OBJECTIONS",
    "register_files",
    "write_register",
]

AGENCIES = """\
id,name_en,name_fa,sector,staff,satisfaction
civil-registry,Civil Registry,سازمان ثبت احوال,justice,4200,71.5
land-registry,Land Registry,سازمان ثبت اسناد,justice,,
tax-office,Tax Office,سازمان امور مالیاتی,economy,۹۰۰۰,
customs,Customs,گمرک,economy,,
"""

SERVICES = """\
id,agency,name_en,name_fa,channel,weight
birth-certificate,civil-registry,Birth certificate,گواهی ولادت,unified,
title-deed,land-registry,Title deed,سند مالکیت,unified,2
title-transfer,land-registry,Title transfer,انتقال سند,own,
tax-clearance,tax-office,Tax clearance,مفاصاحساب مالیاتی,both,
import-permit,customs,Import permit,مجوز واردات,,
"""

LINKS = """\
id,service,provider,data_item,required_from,required_until,live_from,probe,target,params,vantages,latency_ms,max_age_s,slo,weight
birth-tax,birth-certificate,tax-office,dependants,,,always,inquiry,{base}/tax/dependants,"{{""national_id"": ""0000000000""}}",,,,,
deed-civil,title-deed,civil-registry,civil-status,,,always,inquiry,{base}/civil/status,"{{""national_id"": ""0000000000""}}",,,86400,,
deed-tax,title-deed,tax-office,tax-clearance,,,always,inquiry,{base}/tax/clearance,"{{""national_id"": ""0000000000""}}",,500,,0.99,2
transfer-civil,title-transfer,civil-registry,civil-status,,,2026-01-01,inquiry,{base}/civil/status,"{{""national_id"": ""0000000001""}}",,,,,
transfer-customs,title-transfer,customs,liens,,,,,,,,,,,
clearance-land,tax-clearance,land-registry,titles,2026-01-01,,always,page,{base}/land/titles,,,,,,
clearance-customs,tax-clearance,customs,imports,,,always,page,{base}/customs/imports,,north,,,,
permit-tax,import-permit,tax-office,tax-status,,2030-01-01,always,inquiry,{base}/tax/status,"{{""national_id"": ""0000000002""}}",north; south,,,,
"""

ENDPOINTS = """\
id,agency,service,probe,target,params,vantages
bus,civil-registry,,page,{base}/bus/health,,
portal,tax-office,tax-clearance,page,{base}/portal,,
"""

PROBES = """\
inquiry:
  kind: http
  method: POST
  headers: {Accept: application/json}
  body: '{"national_id": "${national_id}"}'
  timeout: 5s
  body_limit: 1MiB
  expect:
    status: [200]
    json: [{path: "$.national_id", equals: "${national_id}"}]
page:
  kind: http
  timeout: 5s
"""

POLICY = """\
government: {id: country, name_en: Country, name_fa: کشور}
timezone: Asia/Tehran
epoch: 2026-01-01
slot_seconds: 300
windows_days: [7, 28, 90]
publish_threshold: 0.8
grace_hours: 24
vantages:
  - id: north
    control_targets: ["{base}/control"]
  - id: south
    control_targets: ["{base}/control"]
egress: {allow: [127.0.0.0/8], allow_loopback: true}
bus: bus
default_latency_ms: 2000
levels: [0.95, 0.99]
"""

EVALUATION = """\
country: XX
note: made up for tests
model:
  - {id: portal, name_en: Portal, name_fa: درگاه}
  - {id: integration, name_en: Integration, name_fa: یکپارچگی, aim: "inquiries, not papers"}
  - {id: participation, name_en: Participation, name_fa: مشارکت}
rounds:
  - round: 3
    held: 2024-11/2024-12
    agencies: 4
    services_and_subservices: ۵
    overall_percent: 62.5
    growth_since_round_1_percent_more_than: 40
    dimension_percent: {portal: 80, integration: 50, participation: null}
    also_taken_into_account: [public satisfaction]
    announced_top_agencies:
      - {name_fa: سازمان  ثبت‌احوال}
      - {name_en: tax office, name_fa: سازمان امور مالياتي}
      - {name_en: Nobody We Know}
    stated_next_step: measure links
    stated_concerns: [islands of data]
  - round: 2
    overall_percent: 50
    dimension_percent: {portal: 64}
  - round: 1
    held: 2017-01
    overall_percent: null
"""
"""evaluation_rounds.yaml, which write_register leaves out unless a test passes it."""

KNOWN_ROUNDS = (ROOT / "docs/examples/official-rounds/evaluation_rounds.yaml").read_text("utf-8")
"""The same with the publicly known rounds: two models, sources, bounds and further figures."""

ANNOUNCEMENTS = """\
late-answers:
  kind: incident
  from: 2026-03-03T10:00:00Z
  title_en: Late answers
  title_fa: پاسخ‌های دیر
  text_en: The reason is looked for.
  text_fa: علت در دست بررسی است.
bus-upgrade:
  kind: maintenance
  from: 2026-03-01
  until: 2026-03-02
  title_en: The data bus is upgraded
  title_fa: ارتقای گذرگاه داده
  text_en: Answers may be *late*.
  text_fa: پاسخ‌ها شاید *دیر* برسند.
  agencies: [tax-office, civil-registry]
  links: [deed-tax]
  updates:
    - {time: 2026-03-01T09:00:00Z, text_en: Done., text_fa: انجام شد.}
    - {time: 2026-03-01T08:00:00Z, text_en: Half is done., text_fa: نیمی انجام شد.}
"""
"""announcements.yaml, which write_register leaves out unless a test passes it."""

OBJECTIONS = """\
link,from,to,text_en,text_fa,answer_en,answer_fa,state
deed-tax,2026-03-02,,The answer is not late.,پاسخ دیر نیست.,,,open
deed-civil,2026-03-01,2026-03-01T10:00:00Z,The test record was withdrawn.,رکورد آزمون پس گرفته شده بود.,\
It is replaced in the next register.,در نسخهٔ بعدی دفتر جایگزین می‌شود.,accepted
"""
"""objections.csv, which write_register leaves out unless a test passes it."""

HOLIDAYS = """\
date,kind,name_en,name_fa
1405-01-02,nowruz,Nowruz,نوروز
2026-03-21,nowruz,Nowruz,نوروز
۱۴۰۵-۱۱-۲۲,official,Victory of the Revolution,پیروزی انقلاب اسلامی
"""
"""holidays.csv, which write_register leaves out unless a test passes it."""

_BASES = {
    "id": "legal_basis",
    "birth-tax": "قانون مدیریت خدمات; ماده ۴۰; ۲۰۰۷-۰۹-۳۰",
    "deed-civil": "Decision 12 of the council;;2024-03-20",
}
LEGAL_BASES = "".join(
    f"{line},{_BASES.get(line.partition(',')[0], '')}\n"
    for line in LINKS.format(base="http://127.0.0.1:7500").splitlines()
)
"""links.csv with the legal bases of two links."""


def register_files(base: str = "http://127.0.0.1:7500") -> dict[str, str]:
    """Return the files of the register by name. ``base`` begins the URL of all targets and control targets."""
    return {
        "agencies.csv": AGENCIES,
        "services.csv": SERVICES,
        "links.csv": LINKS.format(base=base),
        "endpoints.csv": ENDPOINTS.format(base=base),
        "probes.yaml": PROBES,
        "policy.yaml": POLICY.replace("{base}", base),
    }


def write_register(path: Path, *, base: str = "http://127.0.0.1:7500", **changes: str | tuple[str, str] | None) -> Path:
    """Write the register into ``path`` and return ``path``.

    ``changes`` are by file, with ``_`` for the dot (``links_csv=…``). A text replaces the whole file or adds one. A
    pair (old, new) replaces every ``old``, which must occur. None leaves the file out.
    """
    path.mkdir(parents=True, exist_ok=True)
    files: dict[str, str | None] = {**register_files(base)}
    for key, change in changes.items():
        name = ".".join(key.rsplit("_", 1))
        if isinstance(change, tuple):
            old, new = change
            text = files[name]
            assert text is not None
            assert old in text, f"{old!r} is not in {name}"
            files[name] = text.replace(old, new)
        else:
            files[name] = change
    for name, content in files.items():
        if content is not None:
            (path / name).write_text(content, encoding="utf-8", newline="")
    return path
