"""Lists the services of a sector's agencies as subjects and actions, the laws behind them, and fictional people.

Tables only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.core.model import LegalBasis
from services.sandbox.scenario.agency_tables import rows


@dataclass(frozen=True, slots=True)
class Phrase:
    """An id and its name in two languages."""

    id: str
    en: str
    fa: str


ACTIONS = tuple(
    Phrase(*row)
    for row in rows("""
issue    | Issue of              | صدور
renew    | Renewal of            | تمدید
amend    | Amendment of          | اصلاح
replace  | Replacement of a lost | صدور المثنای
transfer | Transfer of           | انتقال
cancel   | Cancellation of       | ابطال
inquire  | Inquiry about         | استعلام
appeal   | Appeal concerning     | رسیدگی به اعتراض درباره
""")
)

OLDER_LAW = LegalBasis("قانون آزمایشی خدمات دولت (simulated Act on Public Services)", "", date(2007, 9, 30))
NEWER_LAW = LegalBasis("قانون آزمایشی تبادل داده (simulated Act on Data Exchange)", "", date(2023, 12, 12))
"""Laws of a fictional government, in both languages, without an article."""

SUBJECTS = {
    sector: tuple(Phrase(*cells) for cells in rows(phrases))
    for sector, phrases in {
        "interior": """
identity-card | identity card | کارت شناسایی
birth-cert    | birth certificate | شناسنامه
residence     | residence permit | پروانه اقامت
passport      | passport | گذرنامه
driver-card   | driving licence | گواهینامه رانندگی
plate         | vehicle plate | پلاک خودرو""",
        "economy": """
tax-file     | tax file | پرونده مالیاتی
guarantee    | guarantee | ضمانت‌نامه
trade-card   | trade card | کارت بازرگانی
loan         | loan | تسهیلات
exemption    | exemption certificate | گواهی معافیت
broker       | broker licence | پروانه کارگزاری""",
        "welfare": """
pension      | pension | مستمری
allowance    | allowance | کمک‌هزینه
insurance    | insurance booklet | دفترچه بیمه
job-support  | unemployment support | مقرری بیکاری
care-home    | care home licence | پروانه مرکز نگهداری
cooperative  | cooperative licence | پروانه تعاونی""",
        "justice": """
deed         | title deed | سند مالکیت
power        | power of attorney | وکالت‌نامه
clean-record | certificate of no criminal record | گواهی عدم سوء پیشینه
judgment     | judgment copy | رونوشت دادنامه
notary       | notary licence | پروانه سردفتری
firm         | firm registration | ثبت شرکت""",
        "health": """
pharmacy     | pharmacy licence | پروانه داروخانه
clinic       | clinic licence | پروانه درمانگاه
drug         | drug permit | پروانه دارو
practice     | medical practice licence | پروانه طبابت
treatment    | treatment grant | کمک‌هزینه درمان
vaccination  | vaccination card | کارت واکسیناسیون""",
        "industry": """
factory      | factory licence | پروانه بهره‌برداری
mine         | mining licence | پروانه معدن
import       | import permit | ثبت سفارش
mark         | standard mark | نشان استاندارد
guild        | guild permit | پروانه کسب
patent       | industrial design | طرح صنعتی""",
        "farming": """
greenhouse   | greenhouse permit | پروانه گلخانه
livestock    | livestock licence | پروانه دامداری
seed         | seed certificate | گواهی بذر
subsidy      | farming subsidy | یارانه کشاورزی
land-use     | land use permit | مجوز تغییر کاربری
harvest      | harvest insurance | بیمه محصول""",
        "energy": """
connection   | connection | انشعاب
well         | well permit | پروانه چاه
station      | fuel station licence | پروانه جایگاه سوخت
solar        | solar plant permit | مجوز نیروگاه خورشیدی
discharge    | discharge permit | مجوز تخلیه پساب
tariff       | tariff class | طبقه تعرفه""",
        "transport": """
carrier      | carrier licence | پروانه حمل‌ونقل
driver       | professional driver card | کارت هوشمند راننده
building     | building permit | پروانه ساختمان
housing      | housing grant | تسهیلات مسکن
vessel       | vessel registration | ثبت شناور
engineer     | engineer licence | پروانه مهندسی""",
        "education": """
enrolment    | enrolment | ثبت‌نام
degree       | degree certificate | دانشنامه
scholarship  | scholarship | بورس تحصیلی
school       | private school licence | مجوز مدرسه غیردولتی
skill-card   | skill certificate | گواهی مهارت
equivalence  | degree equivalence | ارزشیابی مدرک""",
        "culture": """
publication  | publication permit | مجوز نشر
tour         | tour agency licence | پروانه دفتر سفر
club         | sport club licence | پروانه باشگاه
performance  | performance permit | مجوز اجرا
craft        | handicraft card | کارت صنایع دستی
pilgrimage   | pilgrimage booking | نوبت زیارت""",
        "digital": """
frequency    | frequency licence | مجوز بسامد
operator     | operator licence | پروانه کارور
e-mark       | electronic trust mark | نماد اعتماد الکترونیکی
hosting      | hosting permit | مجوز میزبانی
certificate  | electronic signature certificate | گواهی امضای الکترونیکی
postbox      | post box | صندوق پستی""",
        "planning": """
grade        | contractor grade | رتبه پیمانکاری
hiring       | hiring permit | مجوز استخدام
statistics   | statistics release | انتشار آمار
archive      | archive copy | نسخه سند آرشیوی
map          | map release | مجوز نقشه
project      | project code | شناسه طرح""",
    }.items()
}

PEOPLE = (
    *("مریم احمدی", "علی رضایی", "زهرا کریمی", "حسین موسوی", "فاطمه محمدی", "رضا جعفری", "سارا حسینی", "امیر صادقی"),
    *("نرگس رحیمی", "مهدی کاظمی", "لیلا ابراهیمی", "حمید نوری", "شیرین اکبری", "کاوه شریفی"),
    *("پروین باقری", "بهرام امینی"),
)
