"""Writes README.en.md and README.fa.md, which tell people what an export holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from services.cli.opendata.files import Contents
from services.cli.opendata.tables import TABLES

_TEXTS: Final = {
    "en": """\
# {title}

Published by {publisher}. {licence}

Days {first} to {last}; the newest numbers are of {as_of}. Shares are of 1 and times in UTC. An empty cell is unset. In CSV
files, an apostrophe stands before a text that a spreadsheet would compute. Bounds are certain: cite each number with its
bounds, window, time and versions.

datapackage.json has the SHA-256 of each file; dcat.jsonld is for data portals. Both files of a table have the same rows.

* Register: `{register}`
* Probes: `{probe}`
* Method: `{method}`
""",
    "fa": """\
# {title}

ناشر: {publisher}. {licence}

روزهای {first} تا {last}؛ تازه‌ترین ارقام مربوط به {as_of} است. سهم‌ها از ۱ و زمان‌ها به وقت جهانی‌اند. خانهٔ خالی یعنی مقداری ندارد. در فایل‌های CSV
پیش از متنی که صفحه‌گسترده آن را محاسبه می‌کند یک آپاستروف آمده است. مقدار واقعی قطعاً میان کمترین و بیشترین مقدار است: هر عدد را همراه با
این دو، پنجرهٔ زمانی، تاریخ و نسخه‌ها نقل کنید.

چکیدهٔ SHA-256 هر فایل در datapackage.json است و dcat.jsonld برای درگاه‌های داده. هر دو فایل یک جدول همان سطرها را دارند.

* نسخهٔ فهرست استعلام‌ها: `{register}`
* نسخهٔ شیوهٔ سنجش: `{probe}`
* نسخهٔ روش: `{method}`
""",
}
_LICENCE: Final = {"en": "Licence: <{}>", "fa": "مجوز: <{}>"}
_NO_LICENCE: Final = {"en": "No licence is stated.", "fa": "مجوزی اعلام نشده است."}
_HEAD: Final = {"en": "| column | meaning |", "fa": "| ستون | معنا |"}


def readme(contents: Contents, language: str) -> bytes:
    """Return the file in a language, ``en`` or ``fa``."""
    stated, register = contents.stated, contents.register
    text = _TEXTS[language].format(
        title=contents.title(language),
        publisher=contents.publisher(language),
        licence=_LICENCE[language].format(stated.licence) if stated.licence else _NO_LICENCE[language],
        first=contents.first,
        last=contents.last,
        as_of=f"{datetime.fromtimestamp(contents.as_of, UTC):%Y-%m-%dT%H:%M:%SZ}",
        register=register.register_version,
        probe=register.probe_version,
        method=contents.method_version,
    )
    lines = [text]
    for table in TABLES:
        lines += [f"## {table.name}", f"{getattr(table, language)}.", "", _HEAD[language], "|---|---|"]
        lines += [f"| `{column.name}` | {getattr(column, language)} |" for column in table.columns]
        lines.append("")
    return "\n".join(lines).encode()
