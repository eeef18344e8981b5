"""The order of names."""

from __future__ import annotations

import random

import pytest

from services.console.texts import alphabetical


@pytest.mark.parametrize(
    "names",
    [
        tuple("آابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی"),
        ("بانک مرکزی", "پلیس راهنمایی و رانندگی", "کمیتهٔ امداد", "گمرک", "وزارت نیرو", "هواپیمایی کشوری"),
        ("گمرک", "گمرک ایران", "گمرك شمال", "گمرک‌های مرزی"),
        ("ریاست‌جمهوری", "رئیس‌جمهور"),
        ("مؤسسهٔ استاندارد", "موسسهٔ بیمه"),
        ("Agriculture", "éducation", "Energy", "وزارت نیرو"),
    ],
)
def test_names_have_the_order_of_their_alphabet(names: tuple[str, ...]) -> None:
    """Persian letters are sorted as in a Persian dictionary, whichever code point a keyboard gives for them."""
    shuffled = random.Random(1).sample(names, len(names))
    assert sorted(shuffled, key=alphabetical) == list(names)


def test_marks_and_stretching_make_no_difference() -> None:
    """A name is found in one place with or without its marks."""
    assert alphabetical("هیأت  عـالی") == alphabetical("هیات عالي")
