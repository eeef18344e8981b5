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
    window_days | integer | days of the window | تعداد روزهای پنجرهٔ زمانی
    as_of | datetime | when the window ends, in UTC | پایان پنجرهٔ زمانی، به وقت جهانی
    point | number | share of the required inquiries that were answered; empty where too little is known | سهم استعلام‌های الزامی که پاسخ گرفته‌اند؛ اگر دادهٔ معلوم کافی نباشد خالی است
    lower | number | lower bound: what is unknown counts as failed | کمترین مقدار: هر چه نامعلوم است ناموفق شمرده می‌شود
    upper | number | upper bound: what is unknown counts as answered | بیشترین مقدار: هر چه نامعلوم است پاسخ‌گرفته شمرده می‌شود
    known_share | number | share of the weight that is known | سهمی از وزن که معلوم است
    interval_low | number | lower end of the interval of the long-run value | ابتدای بازهٔ اطمینان مقدار بلندمدت
    interval_high | number | upper end of that interval | انتهای همان بازه
    interval_level | number | confidence level of that interval | سطح اطمینان همان بازه
    lost_not_connected | number | share that was lost because no connection was made | سهمی که به سبب برقرار نشدن اتصال از دست رفت
    lost_not_answered | number | share that was lost because no answer came | سهمی که به سبب نیامدن پاسخ از دست رفت
    lost_invalid | number | share that was lost because the answer was wrong | سهمی که به سبب نادرستی پاسخ از دست رفت
    lost_late | number | share that was lost because the answer came too late | سهمی که به سبب دیر رسیدن پاسخ از دست رفت
    lost_stale | number | share that was lost because the answer was out of date | سهمی که به سبب کهنگی داده از دست رفت
    strict_point | number | share of the slots in which every link of a service worked at once | سهم نوبت‌هایی که همهٔ استعلام‌های یک خدمت هم‌زمان پاسخ گرفته‌اند
    strict_lower | number | its lower bound | کمترین مقدار آن
    strict_upper | number | its upper bound | بیشترین مقدار آن
    rank_low | integer | best rank that the agency may have | بهترین رتبهٔ ممکن دستگاه
    rank_high | integer | worst rank that it may have | بدترین رتبهٔ ممکن دستگاه
    rank_agencies | integer | agencies that are ranked in that role | تعداد دستگاه‌های رتبه‌بندی‌شده در آن نقش
    links_required | integer | required inquiries | تعداد استعلام‌های الزامی
    links_known | integer | required inquiries about which something is known | تعداد استعلام‌هایی که وضعیتشان معلوم است
    links_absent | integer | required inquiries that are still done on paper | تعداد استعلام‌هایی که هنوز الکترونیکی نشده‌اند
    register_version | string | version of the register, a SHA-256 | نسخهٔ فهرست استعلام‌ها (SHA-256)
    probe_version | string | version of how it is measured, a SHA-256 | نسخهٔ شیوهٔ سنجش (SHA-256)
    method_version | string | version of the method | نسخهٔ روش
    evidence_sequence | integer | last message of evidence that counts | شمارهٔ آخرین پیام شواهد که به حساب آمده است
    """,
    ("day", "kind", "id", "window_days"),
)

STRUCTURE: Final = _table(
    "structure",
    "How the agencies are connected, at the end of the span",
    "پیوستگی دستگاه‌ها در پایان بازه",
    """
    window_days | integer | days of the window | تعداد روزهای پنجرهٔ زمانی
    as_of | datetime | when the window ends, in UTC | پایان پنجرهٔ زمانی، به وقت جهانی
    pairs_required | integer | pairs of agencies where one must ask the other | تعداد جفت‌هایی که یکی باید از دیگری استعلام بگیرد
    pairs_working | integer | of these, pairs that work | تعداد جفت‌های برقرار
    pairs_absent | integer | pairs that have only inquiries on paper | تعداد جفت‌هایی که هیچ استعلام آن‌ها هنوز الکترونیکی نشده است
    pairs_unknown | integer | pairs about which nothing is known | تعداد جفت‌هایی که وضعیتشان نامعلوم است
    pair_coverage | number | share of the required pairs that work | سهم جفت‌های برقرار از جفت‌های الزامی
    pair_coverage_upper | number | the same if everything unknown worked | همان، اگر هر چه نامعلوم است برقرار باشد
    pair_coverage_weighted | number | share of the weight of required pairs that work | همان سهم به وزن
    pair_coverage_weighted_upper | number | the same if everything unknown worked | همان، اگر هر چه نامعلوم است برقرار باشد
    fragmentation | number | share of what is required that lies between islands | سهمی از استعلام‌های الزامی که میان جزیره‌های متفاوت است
    fragmentation_lower | number | the same if everything unknown worked | همان، اگر هر چه نامعلوم است برقرار باشد
    reciprocity | number | share of the working pairs that work both ways | سهم جفت‌های دوسویه از جفت‌های برقرار
    within_point | number | index within sectors, point | شاخص درون بخش‌ها، برآورد
    within_lower | number | index within sectors, lower bound | شاخص درون بخش‌ها، کمترین مقدار
    within_upper | number | index within sectors, upper bound | شاخص درون بخش‌ها، بیشترین مقدار
    across_point | number | index across sectors, point | شاخص میان بخش‌ها، برآورد
    across_lower | number | index across sectors, lower bound | شاخص میان بخش‌ها، کمترین مقدار
    across_upper | number | index across sectors, upper bound | شاخص میان بخش‌ها، بیشترین مقدار
    silo_gap | number | index within sectors minus index across sectors | تفاوت شاخص درون و میان بخش‌ها
    provider_concentration | number | concentration of the weight on few providers | تمرکز وزن بر چند دستگاه پاسخ‌دهنده
    bus_links | integer | required inquiries over the data bus | تعداد استعلام‌های الزامی که از گذرگاه داده می‌گذرند
    bus_strict_loss | number | how far strict_point falls if the data bus fails | کاهش strict_point اگر گذرگاه از کار بیفتد
    resilience | number | share of strict_point that is left when the weakest node fails | سهمی از strict_point که با از کار افتادن ضعیف‌ترین گره باقی می‌ماند
    weakest | string | that node, if it is an agency; empty for the data bus | آن گره، که یک دستگاه است؛ برای گذرگاه داده خالی
    declared | number | share of the weight that is not on paper | سهمی از وزن که الکترونیکی شده است
    register_version | string | version of the register, a SHA-256 | نسخهٔ فهرست استعلام‌ها (SHA-256)
    method_version | string | version of the method | نسخهٔ روش
    evidence_sequence | integer | last message of evidence that counts | شمارهٔ آخرین پیام شواهد که به حساب آمده است
    """,
    ("window_days",),
)

ISLANDS: Final = _table(
    "islands",
    "Groups of agencies that reach each other, the largest first; an island of one stands alone",
    "گروه‌های دستگاه‌های به‌هم‌پیوسته، از بزرگ‌ترین؛ جزیرهٔ یک‌عضوی، دستگاهی جدامانده است",
    """
    window_days | integer | days of the window | تعداد روزهای پنجرهٔ زمانی
    island | integer | number of the island | شمارهٔ جزیره
    agency | string | agency | دستگاه
    """,
    ("window_days", "agency"),
    {"agency": "agencies"},
)

PROVIDERS: Final = _table(
    "providers",
    "What depends on each provider",
    "آنچه به پاسخ هر دستگاه وابسته است",
    """
    window_days | integer | days of the window | تعداد روزهای پنجرهٔ زمانی
    provider | string | agency | دستگاه
    links | integer | inquiries that it must answer | تعداد استعلام‌هایی که باید پاسخ دهد
    share | number | share of the government's weight on them | سهم آن‌ها از وزن کل دولت
    loss | number | part of that share that is not answered | آنچه از این سهم پاسخ نمی‌گیرد
    strict_loss | number | how far strict_point of the government falls if it answers nobody | کاهش strict_point دولت اگر به هیچ دستگاهی پاسخ ندهد
    """,
    ("window_days", "provider"),
    {"provider": "agencies"},
)

AGENCIES: Final = _table(
    "agencies",
    "The agencies of the register",
    "دستگاه‌های فهرست استعلام‌ها",
    """
    id | string | id | شناسه
    name_fa | string | name in Persian | نام فارسی
    name_en | string | name in English | نام انگلیسی
    sector | string | sector | بخش
    staff | integer | number of employees | تعداد کارکنان
    satisfaction | number | satisfaction of citizens, as given | رضایت مراجعان، همان‌گونه که اعلام شده است
    until | date | day from which it no longer exists | روزی که از آن پس وجود ندارد
    merged_into | string | agency that it was merged into | دستگاهی که در آن ادغام شده است
    """,
    ("id",),
)

SERVICES: Final = _table(
    "services",
    "The services of the register",
    "خدمات فهرست استعلام‌ها",
    """
    id | string | id | شناسه
    agency | string | agency that offers it | دستگاهی که آن را ارائه می‌کند
    name_fa | string | name in Persian | نام فارسی
    name_en | string | name in English | نام انگلیسی
    channel | string | unified, own, both or not stated | درگاه ارائه: unified درگاه ملی، own درگاه خود دستگاه، both هر دو؛ یا اعلام نشده
    weight | number | weight | وزن
    """,
    ("id",),
    {"agency": "agencies"},
)

LINKS: Final = _table(
    "links",
    "The required inquiries of the register, without how and where they are measured",
    "استعلام‌های الزامی فهرست، بدون نشانی و شیوهٔ سنجش آن‌ها",
    """
    id | string | id | شناسه
    service | string | service that needs the data | خدمتی که داده را لازم دارد
    consumer | string | agency that asks | دستگاه استعلام‌کننده
    provider | string | agency that must answer | دستگاه پاسخ‌دهنده
    data_item | string | what is asked for | قلم دادهٔ مورد استعلام
    required_from | date | first day on which it is required; empty: always | نخستین روز الزام؛ خالی: همیشه
    required_until | date | first day on which it no longer is; empty: open | نخستین روز پس از پایان الزام؛ خالی: بدون پایان
    absent | boolean | whether it is still done on paper | آیا هنوز الکترونیکی نشده است
    live_from | date | first day on which it worked; empty: always, or absent | نخستین روز برقراری؛ خالی: همیشه، یا هنوز الکترونیکی نشده
    latency_ms | integer | milliseconds within which the answer must come | حداکثر مدت پاسخ به میلی‌ثانیه
    max_age_s | integer | seconds that the data may be old; empty: not judged | حداکثر عمر داده به ثانیه؛ خالی: سنجیده نمی‌شود
    slo | number | share of the slots in which it must be answered | سهم نوبت‌هایی که باید پاسخ بگیرد
    weight | number | weight within its service | وزن در خدمت خود
    law | string | law that requires it | قانونی که آن را الزامی کرده است
    article | string | article of that law | مادهٔ آن قانون
    passed | date | day on which it was passed | روز تصویب
    """,
    ("id",),
    {"service": "services", "consumer": "agencies", "provider": "agencies"},
)

ROUNDS: Final = _table(
    "rounds",
    "The rounds of the official evaluation as announced; what is empty was not stated",
    "دوره‌های ارزیابی رسمی همان‌گونه که اعلام شده‌اند؛ خالی یعنی اعلام نشده است",
    """
    round | integer | number of the round | شمارهٔ دوره
    model | string | model that it was held by | الگوی آن دوره
    held | string | month or months | ماه یا ماه‌های برگزاری
    agencies | integer | agencies | تعداد دستگاه‌ها
    services_and_subservices | integer | services | تعداد خدمات و زیرخدمات
    overall_percent | number | overall score in per cent | امتیاز کل، درصد
    overall_percent_more_than | number | overall score, where announced as more than so much | امتیاز کل، اگر «بیش از» این مقدار اعلام شده باشد
    growth_since_round_1_percent_more_than | number | growth since round 1, announced as more than so much | رشد از دورهٔ نخست، که «بیش از» این مقدار اعلام شده است
    stated_next_step | string | next step as stated | گام بعدی اعلام‌شده
    note | string | remark of the register on the round | یادداشت فهرست دربارهٔ دوره
    sources | string | where the figures are from | منبع ارقام
    """,
    ("round",),
)

SCORES: Final = _table(
    "round-scores",
    "The scores of the official rounds by dimension, as announced",
    "امتیاز دوره‌های رسمی به تفکیک بُعد، همان‌گونه که اعلام شده است",
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
