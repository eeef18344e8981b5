"""Settings come from flags, then variables, then a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.core.errors import SettingsError
from services.core.settings import load_settings


def test_flags_beat_variables_beat_the_file(tmp_path: Path) -> None:
    """The nearest source wins, field by field."""
    file = tmp_path / "settings.yaml"
    file.write_text("vantage: from-file\nseed: 3\nbus: from-file\n")
    settings = load_settings(
        "prober",
        ["--settings", str(file), "--vantage", "from-flag"],
        {"PEYVAND_VANTAGE": "from-variable", "PEYVAND_SEED": "2"},
    )
    assert (settings.vantage, settings.seed, settings.bus) == ("from-flag", 2, "from-file")


def test_each_component_has_its_own_metrics_port() -> None:
    """Components on one machine do not collide by default."""
    assert {load_settings(name, [], {}).metrics for name in ("prober", "scorer", "api")} == {
        "127.0.0.1:7421",
        "127.0.0.1:7422",
        "127.0.0.1:7424",
    }


def test_every_bad_setting_is_named() -> None:
    """One sentence lists all that is wrong."""
    with pytest.raises(SettingsError) as caught:
        load_settings("sandbox", ["--slot", "never", "--base-port", "0"], {})
    assert str(caught.value) == (
        "the settings of sandbox cannot be used: "
        "slot: Input should be a valid integer, unable to parse string as an integer (got 'never'); "
        "base_port: Input should be greater than 0 (got '0')"
    )


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    """A settings file must hold names and values."""
    file = tmp_path / "settings.yaml"
    file.write_text("- a\n- b\n")
    with pytest.raises(SettingsError, match="must hold `name: value` lines"):
        load_settings("api", ["--settings", str(file)], {})
    file.write_text("[" * 5000)
    with pytest.raises(SettingsError, match="cannot be read: it is nested too deeply"):
        load_settings("api", ["--settings", str(file)], {})
