"""Orders names as a reader of Persian or English looks for them. Pure."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from services.core.texts import name_key

_PERSIAN = "آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"
_HEH = _PERSIAN[-2]
_OTHER_FORMS = {"ي": "ی", "\N{ARABIC LETTER AE}": _HEH, "ة": _HEH}
"""What is left of ئ and ۀ without their marks, and the Arabic teh at the end of words, which is written like a heh."""

_TATWEEL = "ـ"
_PLACES = {ord(letter): chr(0xE000 + place) for place, letter in enumerate(_PERSIAN)}
"""Characters of no alphabet, in the order of the Persian one and behind all others.

The code points of پ, چ, ژ, ک, گ and ی follow those of all other letters, and that of heh precedes that of و.
"""


@lru_cache(10_000)
def alphabetical(name: str) -> str:
    """Return a key that sorts names by the Persian and the Latin alphabet, without regard to case and marks."""
    text = unicodedata.normalize("NFC", name_key(name)).replace("آ", _PLACES[ord("آ")])
    letters = (one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one) and one != _TATWEEL)
    return "".join(_OTHER_FORMS.get(one, one) for one in letters).translate(_PLACES)
