# ruff: noqa: RUF001 - the Persian names are Persian on purpose
"""Lists the agencies of a scenario and the data items that they provide. Tables only.

Ids are short enough that agency-subject-action-item stays within the 63 characters of an id: agency 20, subject 16,
action 8, item 16.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataItem:
    """A data item and its provider; ``family`` (person, firm or property) is what an inquiry is about."""

    id: str
    provider: str
    family: str


def rows(table: str) -> list[list[str]]:
    """Split a table into cells: one row per line, cells between bars."""
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


AGENCIES = rows("""
civil-registration   | interior  | National Organization for Civil Registration       | سازمان ثبت احوال کشور
tax-administration   | economy   | National Tax Administration                        | سازمان امور مالیاتی کشور
social-insurance     | welfare   | Social Security Organization                       | سازمان تأمین اجتماعی
judiciary            | justice   | Judiciary                                          | قوه قضائیه
deeds-registration   | justice   | Organization for Registration of Deeds             | سازمان ثبت اسناد و املاک کشور
national-post        | digital   | National Post Company                              | شرکت ملی پست
traffic-police       | interior  | Traffic Police                                     | پلیس راهنمایی و رانندگی
welfare-ministry     | welfare   | Ministry of Cooperatives, Labour and Social Welfare | وزارت تعاون، کار و رفاه اجتماعی
central-bank         | economy   | Central Bank                                       | بانک مرکزی
municipalities       | interior  | Organization of Municipalities                     | سازمان شهرداری‌ها و دهیاری‌ها
conscription         | interior  | Public Conscription Organization                   | سازمان وظیفه عمومی
customs              | economy   | Customs Administration                             | گمرک
health-insurance     | health    | Health Insurance Organization                      | سازمان بیمه سلامت
industry-ministry    | industry  | Ministry of Industry, Mine and Trade               | وزارت صنعت، معدن و تجارت
science-ministry     | education | Ministry of Science, Research and Technology       | وزارت علوم، تحقیقات و فناوری
communications-reg   | digital   | Communications Regulatory Authority                | سازمان تنظیم مقررات و ارتباطات رادیویی
agriculture-ministry | farming   | Ministry of Agriculture                            | وزارت جهاد کشاورزی
environment          | energy    | Department of Environment                          | سازمان حفاظت محیط زیست
standards            | industry  | National Standards Organization                    | سازمان ملی استاندارد
food-and-drug        | health    | Food and Drug Administration                       | سازمان غذا و دارو
veterans-foundation  | welfare   | Foundation of Martyrs and Veterans Affairs         | بنیاد شهید و امور ایثارگران
state-pensions       | welfare   | State Pension Fund                                 | صندوق بازنشستگی کشوری
vocational-training  | education | Technical and Vocational Training Organization     | سازمان آموزش فنی و حرفه‌ای
roads-ministry       | transport | Ministry of Roads and Urban Development            | وزارت راه و شهرسازی
education-ministry   | education | Ministry of Education                              | وزارت آموزش و پرورش
health-ministry      | health    | Ministry of Health and Medical Education           | وزارت بهداشت، درمان و آموزش پزشکی
medical-council      | health    | Medical Council                                    | سازمان نظام پزشکی
central-insurance    | economy   | Central Insurance                                  | بیمه مرکزی
power-distribution   | energy    | Power Generation and Distribution Company          | شرکت توانیر
national-gas         | energy    | National Gas Company                               | شرکت ملی گاز
water-resources      | energy    | Water Resources Management Company                 | شرکت مدیریت منابع آب
securities           | economy   | Securities and Exchange Organization               | سازمان بورس و اوراق بهادار
welfare-organization | welfare   | State Welfare Organization                         | سازمان بهزیستی
relief-committee     | welfare   | Relief Committee                                   | کمیته امداد
immigration-police   | interior  | Immigration and Passport Police                    | پلیس مهاجرت و گذرنامه
prisons              | justice   | Prisons Organization                               | سازمان زندان‌ها
forensic-medicine    | justice   | Forensic Medicine Organization                     | سازمان پزشکی قانونی
bar-association      | justice   | Bar Association                                    | کانون وکلای دادگستری
engineering-order    | transport | Construction Engineering Organization              | سازمان نظام مهندسی ساختمان
road-transport       | transport | Road Maintenance and Transport Organization        | سازمان راهداری و حمل‌ونقل جاده‌ای
ports-maritime       | transport | Ports and Maritime Organization                    | سازمان بنادر و دریانوردی
civil-aviation       | transport | Civil Aviation Organization                        | سازمان هواپیمایی کشوری
railways             | transport | Railways                                           | راه‌آهن
culture-ministry     | culture   | Ministry of Culture and Guidance                   | وزارت فرهنگ و ارشاد
cultural-heritage    | culture   | Ministry of Cultural Heritage and Tourism          | وزارت میراث فرهنگی و گردشگری
sports-ministry      | culture   | Ministry of Sport and Youth                        | وزارت ورزش و جوانان
foreign-ministry     | interior  | Ministry of Foreign Affairs                        | وزارت امور خارجه
interior-ministry    | interior  | Ministry of Interior                               | وزارت کشور
economy-ministry     | economy   | Ministry of Economic Affairs and Finance           | وزارت امور اقتصاد و دارایی
energy-ministry      | energy    | Ministry of Energy                                 | وزارت نیرو
oil-ministry         | energy    | Ministry of Petroleum                              | وزارت نفت
justice-ministry     | justice   | Ministry of Justice                                | وزارت دادگستری
ict-ministry         | digital   | Ministry of Communications                         | وزارت ارتباطات و فناوری اطلاعات
it-organization      | digital   | Information Technology Organization                | سازمان فناوری اطلاعات
telecom-infra        | digital   | Telecommunication Infrastructure Company           | شرکت ارتباطات زیرساخت
space-agency         | digital   | Space Agency                                       | سازمان فضایی
e-commerce-centre    | digital   | E-Commerce Development Center                      | مرکز توسعه تجارت الکترونیکی
foreign-investment   | economy   | Organization for Investment and Economic Assistance | سازمان سرمایه‌گذاری و کمک‌های اقتصادی و فنی
state-property-sales | economy   | Organization for Sale of State-owned Properties    | سازمان جمع‌آوری و فروش اموال تملیکی
privatization        | economy   | Privatization Organization                         | سازمان خصوصی‌سازی
audit-organization   | economy   | Audit Organization                                 | سازمان حسابرسی
planning-budget      | planning  | Plan and Budget Organization                       | سازمان برنامه و بودجه
statistical-centre   | planning  | Statistical Centre                                 | مرکز آمار
admin-employment     | planning  | Administrative and Employment Organization         | سازمان اداری و استخدامی
national-archives    | planning  | National Library and Archives                      | سازمان اسناد و کتابخانه ملی
cartographic-centre  | planning  | National Cartographic Center                       | سازمان نقشه‌برداری
crisis-management    | planning  | Crisis Management Organization                     | سازمان مدیریت بحران
literacy-movement    | education | Literacy Movement Organization                     | سازمان نهضت سوادآموزی
exam-organization    | education | National Organization of Educational Testing       | سازمان سنجش آموزش
student-affairs      | education | Organization of Student Affairs                    | سازمان امور دانشجویان
student-welfare      | education | Student Welfare Fund                               | صندوق رفاه دانشجویان
open-university      | education | Open University                                    | دانشگاه پیام نور
special-education    | education | Special Education Organization                     | سازمان آموزش و پرورش استثنایی
school-renovation    | education | School Renovation Organization                     | سازمان نوسازی مدارس
emergency-medicine   | health    | Emergency Medicine Organization                    | سازمان اورژانس
blood-transfusion    | health    | Blood Transfusion Organization                     | سازمان انتقال خون
red-crescent         | health    | Red Crescent Society                               | جمعیت هلال احمر
pasteur-institute    | health    | Pasteur Institute                                  | انستیتو پاستور
veterinary           | farming   | Veterinary Organization                            | سازمان دامپزشکی
forests-rangelands   | farming   | Forests and Rangelands Organization                | سازمان منابع طبیعی و آبخیزداری
fisheries            | farming   | Fisheries Organization                             | سازمان شیلات
rural-cooperatives   | farming   | Rural Cooperatives Organization                    | سازمان تعاون روستایی
land-affairs         | farming   | Land Affairs Organization                          | سازمان امور اراضی
plant-protection     | farming   | Plant Protection Organization                      | سازمان حفظ نباتات
seed-institute       | farming   | Seed and Plant Certification Institute             | مؤسسه ثبت و گواهی بذر و نهال
nomads-affairs       | farming   | Nomads Affairs Organization                        | سازمان امور عشایر
agricultural-fund    | farming   | Agricultural Insurance Fund                        | صندوق بیمه کشاورزی
geological-survey    | industry  | Geological Survey                                  | سازمان زمین‌شناسی
trade-promotion      | industry  | Trade Promotion Organization                       | سازمان توسعه تجارت
consumer-protection  | industry  | Consumer Protection Organization                   | سازمان حمایت مصرف‌کنندگان
small-industries     | industry  | Small Industries and Industrial Parks Organization | سازمان صنایع کوچک و شهرک‌های صنعتی
guilds-centre        | industry  | Centre of Guilds                                   | مرکز اصناف و بازرگانان
carpet-centre        | industry  | National Carpet Centre                             | مرکز ملی فرش
government-trading   | industry  | Government Trading Company                         | شرکت بازرگانی دولتی
atomic-energy        | energy    | Atomic Energy Organization                         | سازمان انرژی اتمی
renewable-energy     | energy    | Renewable Energy Organization                      | سازمان انرژی‌های تجدیدپذیر
oil-products         | energy    | National Oil Products Distribution Company         | شرکت ملی پخش فرآورده‌های نفتی
meteorology          | transport | Meteorological Organization                        | سازمان هواشناسی
housing-foundation   | transport | Housing Foundation                                 | بنیاد مسکن
airports-company     | transport | Airports and Air Navigation Company                | شرکت فرودگاه‌ها و ناوبری هوایی
national-housing     | transport | National Land and Housing Organization             | سازمان ملی زمین و مسکن
endowments           | culture   | Endowments and Charity Organization                | سازمان اوقاف و امور خیریه
hajj-pilgrimage      | culture   | Hajj and Pilgrimage Organization                   | سازمان حج و زیارت
cinema-organization  | culture   | Cinema Organization                                | سازمان سینمایی
public-libraries     | culture   | Public Libraries Foundation                        | نهاد کتابخانه‌های عمومی
""")
"""The id, the sector, and the names in English and Persian of each. The small scenario has the first ones."""

ITEMS = tuple(
    DataItem(*row)
    for row in rows("""
civil-status     | civil-registration   | person
kinship          | civil-registration   | person
death-record     | civil-registration   | person
tax-clearance    | tax-administration   | firm
income-statement | tax-administration   | person
vat-registration | tax-administration   | firm
insurance-record | social-insurance     | person
employer-dues    | social-insurance     | firm
criminal-record  | judiciary            | person
court-judgment   | judiciary            | person
land-title       | deeds-registration   | property
firm-registry    | deeds-registration   | firm
postal-address   | national-post        | property
vehicle-title    | traffic-police       | property
driving-licence  | traffic-police       | person
household-decile | welfare-ministry     | person
cheque-record    | central-bank         | person
bank-facilities  | central-bank         | firm
building-permit  | municipalities       | property
municipal-dues   | municipalities       | property
military-service | conscription         | person
import-record    | customs              | firm
health-cover     | health-insurance     | person
business-licence | industry-ministry    | firm
degree-record    | science-ministry     | person
sim-ownership    | communications-reg   | person
farm-parcel      | agriculture-ministry | property
site-clearance   | environment          | property
conformity       | standards            | firm
product-licence  | food-and-drug        | firm
veteran-status   | veterans-foundation  | person
pension-record   | state-pensions       | person
skill-record     | vocational-training  | person
zoning-plan      | roads-ministry       | property
school-record    | education-ministry   | person
care-facility    | health-ministry      | firm
medical-standing | medical-council      | person
motor-policy     | central-insurance    | property
power-account    | power-distribution   | property
gas-account      | national-gas         | property
well-permit      | water-resources      | property
listed-firm      | securities           | firm
disability-card  | welfare-organization | person
relief-cover     | relief-committee     | person
passport-record  | immigration-police   | person
custody-record   | prisons              | person
injury-report    | forensic-medicine    | person
engineer-grade   | engineering-order    | person
carrier-licence  | road-transport       | firm
heritage-status  | cultural-heritage    | property
foreign-permit   | foreign-investment   | firm
employment-order | admin-employment     | person
map-sheet        | cartographic-centre  | property
exam-result      | exam-organization    | person
herd-health      | veterinary           | firm
rangeland-border | forests-rangelands   | property
guild-licence    | guilds-centre        | firm
endowed-land     | endowments           | property
""")
)
