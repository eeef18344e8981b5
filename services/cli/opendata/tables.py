"""Defines the tables of an export of open data, and the meaning of each column in both languages.

Only what is listed here is exported: no target, parameter or probe, no reason or detail, and nothing of an exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from services.dataset.tables import MOMENT, NAME, Kind

TYPES: Final[Mapping[str, pa.DataType]] = {
    "string": NAME,
    "datetime": MOMENT,
    "date": pa.date32(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
"""Types of columns in Parquet, by their names in a Data Package."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, a key of TYPES, and its meaning in both languages."""

    name: str
    type: str
    en: str
    fa: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its names, its columns, and the columns ``key`` that together differ in each row.

    ``refers`` maps a column to the table whose ``id`` it holds.
    """

    name: str
    en: str
    fa: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    refers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """The table as a kind of Parquet file."""
        schema = pa.schema([(column.name, TYPES[column.type]) for column in self.columns])
        return Kind(self.name, "", schema, self.key, self.key[0])


def _table(
    name: str, en: str, fa: str, columns: str, key: tuple[str, ...], refers: Mapping[str, str] | None = None
) -> Table:
    """Return a table whose columns are lines of name, type, English and Persian."""
    lines = [line.split(" | ") for line in columns.strip().splitlines()]
    return Table(name, en, fa, tuple(Column(*(cell.strip() for cell in line)) for line in lines), key, refers or {})


INDICATORS: Final = _table(
    "indicators",
    "The index of the government, its sectors and its agencies, as published last on each day",
    "شاخص دولت، بخش‌ها و دستگاه‌ها، آخرین عدد منتشرشدهٔ هر روز",
    """
    day | date | day, in the timezone of the policy | روز، به وقت محلی
    kind | string | government, sector, consumer (how an agency is answered) or provider (how it answers) | government دولت، sector بخش، consumer پاسخی که دستگاه از دیگران می‌گیرد، provider پاسخی که دستگاه به دیگران می‌دهد
    id | string | government, sector or agency | شناسهٔ دولت، بخش یا دستگاه
    window_days | integer | days that the number is over | شمار روزهایی که عدد از آن‌هاست
    as_of | datetime | when the window ends, in UTC | پایان پنجره، به وقت جهانی
    point | number | share of the required inquiries that were answered; empty where too little is known | سهم استعلام‌های الزامی که پاسخ گرفته‌اند؛ اگر اندک معلوم باشد خالی است
    lower | number | lower bound: what is unknown counts as failed | کمترین مقدار: نامعلوم‌ها ناموفق شمرده شده‌اند
    upper | number | upper bound: what is unknown counts as answered | بیشترین مقدار: نامعلوم‌ها موفق شمرده شده‌اند
    known_share | number | share of the weight that is known | سهمی از وزن که معلوم است
    interval_low | number | lower end of the interval of the long-run value | ابتدای بازهٔ اطمینان مقدار بلندمدت
    interval_high | number | upper end of that interval | انتهای همان بازه
    interval_level | number | confidence level of that interval | سطح اطمینان همان بازه
    lost_not_connected | number | share that was lost because no connection came about | سهمی که از دست رفت چون اتصال برقرار نشد
    lost_not_answered | number | share that was lost because no answer came | سهمی که از دست رفت چون پاسخی نیامد
    lost_invalid | number | share that was lost because the answer was wrong | سهمی که از دست رفت چون پاسخ نادرست بود
    lost_late | number | share that was lost because the answer came too late | سهمی که از دست رفت چون پاسخ دیر آمد
    lost_stale | number | share that was lost because the answer was out of date | سهمی که از دست رفت چون دادهٔ پاسخ کهنه بود
    strict_point | number | share of the slots in which every link of a service worked at once | سهم نوبت‌هایی که همهٔ استعلام‌های یک خدمت با هم پاسخ گرفته‌اند
    strict_lower | number | its lower bound | کمترین مقدار آن
    strict_upper | number | its upper bound | بیشترین مقدار آن
    rank_low | integer | best rank that the agency may have | بهترین رتبهٔ ممکن دستگاه
    rank_high | integer | worst rank that it may have | بدترین رتبهٔ ممکن دستگاه
    rank_agencies | integer | agencies that are ranked in that role | شمار دستگاه‌های رتبه‌بندی‌شده در آن نقش
    links_required | integer | required inquiries | شمار استعلام‌های الزامی
    links_known | integer | required inquiries about which something is known | شمار آن‌ها که چیزی درباره‌شان معلوم است
    links_absent | integer | that are still done on paper | شمار آن‌ها که هنوز کاغذی‌اند
    register_version | string | version of the register, a SHA-256 | نسخهٔ فهرست الزام‌ها (SHA-256)
    probe_version | string | version of how it is measured, a SHA-256 | نسخهٔ شیوهٔ سنجش (SHA-256)
    method_version | string | version of the method | نسخهٔ روش
    evidence_sequence | integer | last message of evidence that counts | شمارهٔ آخرین پیام شواهدی که شمرده شده است
    """,
    ("day", "kind", "id", "window_days"),
)

STRUCTURE: Final = _table(
    "structure",
    "How the agencies are connected, at the end of the span",
    "پیوند دستگاه‌ها با یکدیگر در پایان بازه",
    """
    window_days | integer | days that the number is over | شمار روزهایی که عدد از آن‌هاست
    as_of | datetime | when the window ends, in UTC | پایان پنجره، به وقت جهانی
    pairs_required | integer | pairs of agencies where one must ask the other | شمار جفت دستگاه‌هایی که یکی باید از دیگری استعلام بگیرد
    pairs_working | integer | of these, pairs that work | شمار جفت‌هایی که کار می‌کنند
    pairs_absent | integer | pairs that have only inquiries on paper | شمار جفت‌هایی که تنها استعلام کاغذی دارند
    pairs_unknown | integer | pairs about which nothing is known | شمار جفت‌هایی که چیزی درباره‌شان معلوم نیست
    pair_coverage | number | share of the required pairs that work | سهم جفت‌هایی که کار می‌کنند
    pair_coverage_upper | number | the same if everything unknown worked | همان، اگر نامعلوم‌ها کار کنند
    pair_coverage_weighted | number | share by weight | همان سهم به وزن
    pair_coverage_weighted_upper | number | the same if everything unknown worked | همان، اگر نامعلوم‌ها کار کنند
    fragmentation | number | share of what is required that lies between islands | سهمی از الزام‌ها که میان جزیره‌های متفاوت است
    fragmentation_lower | number | the same if everything unknown worked | همان، اگر نامعلوم‌ها کار کنند
    reciprocity | number | share of the working pairs that work both ways | سهم جفت‌هایی که دوسویه کار می‌کنند
    within_point | number | index within sectors, point | شاخص درون بخش‌ها، برآورد
    within_lower | number | index within sectors, lower bound | شاخص درون بخش‌ها، کمترین مقدار
    within_upper | number | index within sectors, upper bound | شاخص درون بخش‌ها، بیشترین مقدار
    across_point | number | index across sectors, point | شاخص میان بخش‌ها، برآورد
    across_lower | number | index across sectors, lower bound | شاخص میان بخش‌ها، کمترین مقدار
    across_upper | number | index across sectors, upper bound | شاخص میان بخش‌ها، بیشترین مقدار
    silo_gap | number | the first less the second | تفاوت شاخص درون و میان بخش‌ها
    provider_concentration | number | how far the weight is on few providers | تمرکز وزن بر چند ارائه‌دهنده
    bus_links | integer | required inquiries over the data bus | شمار استعلام‌هایی که از گذرگاه داده می‌گذرند
    bus_strict_loss | number | what its failure would cost of strict_point | کاهش strict_point اگر گذرگاه از کار بیفتد
    resilience | number | share of strict_point that is left when the weakest node fails | سهمی از strict_point که با افتادن سست‌ترین گره می‌ماند
    weakest | string | that node, an agency; empty for the data bus | همان گره (دستگاه)؛ برای گذرگاه داده خالی
    declared | number | share of the weight that is not on paper | سهمی از وزن که کاغذی نیست
    register_version | string | version of the register, a SHA-256 | نسخهٔ فهرست الزام‌ها (SHA-256)
    method_version | string | version of the method | نسخهٔ روش
    evidence_sequence | integer | last message of evidence that counts | شمارهٔ آخرین پیام شواهدی که شمرده شده است
    """,
    ("window_days",),
)

ISLANDS: Final = _table(
    "islands",
    "Groups of agencies that reach each other, the largest first; an island of one stands alone",
    "گروه دستگاه‌هایی که به هم راه دارند، بزرگ‌ترین نخست؛ جزیرهٔ یک‌عضوی تنهاست",
    """
    window_days | integer | days that the number is over | شمار روزهایی که عدد از آن‌هاست
    island | integer | number of the island | شمارهٔ جزیره
    agency | string | agency | دستگاه
    """,
    ("window_days", "agency"),
    {"agency": "agencies"},
)

PROVIDERS: Final = _table(
    "providers",
    "What depends on each agency that must answer others",
    "آنچه به پاسخ هر دستگاه وابسته است",
    """
    window_days | integer | days that the number is over | شمار روزهایی که عدد از آن‌هاست
    provider | string | agency | دستگاه
    links | integer | inquiries that it must answer | شمار استعلام‌هایی که باید پاسخ دهد
    share | number | share of the government's weight on them | سهم آن‌ها از وزن دولت
    loss | number | of that share, what is not answered | آنچه از این سهم پاسخ نمی‌گیرد
    strict_loss | number | how far strict_point of the government falls if it answers nobody | کاهش strict_point دولت اگر به کسی پاسخ ندهد
    """,
    ("window_days", "provider"),
    {"provider": "agencies"},
)

AGENCIES: Final = _table(
    "agencies",
    "The agencies of the register",
    "دستگاه‌های فهرست الزام‌ها",
    """
    id | string | id | شناسه
    name_fa | string | name in Persian | نام فارسی
    name_en | string | name in English | نام انگلیسی
    sector | string | sector | بخش
    staff | integer | number of employees | شمار کارکنان
    satisfaction | number | satisfaction of citizens, as given | رضایت مراجعان، چنان‌که داده شده
    until | date | day from which it no longer exists | روزی که از آن پس وجود ندارد
    merged_into | string | agency that it was merged into | دستگاهی که در آن ادغام شد
    """,
    ("id",),
)

SERVICES: Final = _table(
    "services",
    "The services of the register",
    "خدمات فهرست الزام‌ها",
    """
    id | string | id | شناسه
    agency | string | agency that offers it | دستگاهی که آن را ارائه می‌کند
    name_fa | string | name in Persian | نام فارسی
    name_en | string | name in English | نام انگلیسی
    channel | string | unified, own, both or not stated | درگاه: یکپارچه، خود دستگاه، هر دو، یا نامعلوم
    weight | number | weight | وزن
    """,
    ("id",),
    {"agency": "agencies"},
)

LINKS: Final = _table(
    "links",
    "The required inquiries of the register, without how and where they are measured",
    "استعلام‌های الزامی فهرست، بی آنکه گفته شود کجا و چگونه سنجیده می‌شوند",
    """
    id | string | id | شناسه
    service | string | service that needs the data | خدمتی که داده را لازم دارد
    consumer | string | agency that asks | دستگاه استعلام‌گیرنده
    provider | string | agency that must answer | دستگاهی که باید پاسخ دهد
    data_item | string | what is asked for | دادهٔ موضوع استعلام
    required_from | date | first day on which it is required; empty: always | نخستین روز الزام؛ خالی: همیشه
    required_until | date | first day on which it no longer is; empty: open | نخستین روز پس از الزام؛ خالی: باز
    absent | boolean | whether it is still done on paper | آیا هنوز کاغذی است
    live_from | date | first day on which it worked; empty: always, or absent | نخستین روز کار؛ خالی: همیشه، یا کاغذی
    latency_ms | integer | milliseconds within which the answer must come | مهلت پاسخ به هزارم ثانیه
    max_age_s | integer | seconds that the data may be old; empty: not judged | بیشترین عمر داده به ثانیه؛ خالی: داوری نمی‌شود
    slo | number | share of the slots in which it must be answered | سهم بازه‌های سنجشی که باید پاسخ بگیرد
    weight | number | weight within its service | وزن در خدمت خود
    law | string | law that requires it | قانونی که آن را الزام می‌کند
    article | string | article of that law | مادهٔ آن قانون
    passed | date | day on which it was passed | روز تصویب
    """,
    ("id",),
    {"service": "services", "consumer": "agencies", "provider": "agencies"},
)

ROUNDS: Final = _table(
    "rounds",
    "The rounds of the official evaluation as announced; what is empty was not stated",
    "دوره‌های ارزیابی رسمی چنان‌که اعلام شده؛ خالی یعنی اعلام نشده",
    """
    round | integer | number of the round | شمارهٔ دوره
    model | string | model that it was held by | الگوی آن دوره
    held | string | month or months | ماه یا ماه‌های برگزاری
    agencies | integer | agencies | شمار دستگاه‌ها
    services_and_subservices | integer | services | شمار خدمات و زیرخدمات
    overall_percent | number | overall score in per cent | امتیاز کل، درصد
    overall_percent_more_than | number | overall score, where announced as more than so much | امتیاز کل، آنجا که «بیش از» اعلام شده
    growth_since_round_1_percent_more_than | number | growth since round 1, announced as more than so much | رشد از دورهٔ نخست، که «بیش از» اعلام شده
    stated_next_step | string | next step as stated | گام بعدی چنان‌که گفته شده
    note | string | remark of the register on the round | یادداشت فهرست دربارهٔ دوره
    sources | string | where the figures are from | سرچشمهٔ رقم‌ها
    """,
    ("round",),
)

SCORES: Final = _table(
    "round-scores",
    "The scores of the official rounds by dimension, as announced",
    "امتیاز دوره‌های رسمی به تفکیک بُعد، چنان‌که اعلام شده",
    """
    round | integer | number of the round | شمارهٔ دوره
    dimension | string | dimension of the model of that round | بُعد الگوی آن دوره
    name_fa | string | name in Persian | نام فارسی
    name_en | string | name in English | نام انگلیسی
    percent | number | score in per cent | امتیاز، درصد
    """,
    ("round", "dimension"),
)

TABLES: Final = (INDICATORS, STRUCTURE, ISLANDS, PROVIDERS, AGENCIES, SERVICES, LINKS, ROUNDS, SCORES)
"""Every table, in the order in which they are listed."""
