"""Settings come from one file, the environment and flags, in that order, and are refused where they are wrong."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bifrost_domain.errors import ConfigurationError
from bifrost_domain.report import Language
from bifrost_entrypoints.settings import MASK, Settings, default_path, flatten, load, locale_language, time_zone


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def write(home: dict[str, str], text: str) -> Path:
    path = default_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_anything_the_defaults_hold(home: dict[str, str]) -> None:
    loaded = load(environment=home)
    assert loaded.settings == Settings()
    assert loaded.origins == {}
    assert loaded.path is None


def test_flags_beat_the_environment_which_beats_the_file(home: dict[str, str]) -> None:
    path = write(home, "provider: a\nlanguage: ko\ndigest: {budget: 100}\n")
    home |= {"BIFROST_LANGUAGE": "en", "BIFROST_DIGEST__BUDGET": "200"}
    loaded = load(flags={"digest.budget": 300}, environment=home)
    assert (loaded.settings.provider, loaded.settings.language, loaded.settings.digest.budget) == ("a", "en", 300)
    assert loaded.origins == {
        "provider": f"file {path}",
        "language": "environment BIFROST_LANGUAGE",
        "digest.budget": "flag --budget",
    }


def test_the_documented_variables_are_read(home: dict[str, str], tmp_path: Path) -> None:
    named = tmp_path / "other.yaml"
    named.write_text("provider: heuristic\n")
    home |= {
        "BIFROST_CONFIG": str(named),
        "BIFROST_DATABASE_URL": "memory:",
        "BIFROST_CACHE_URL": "off:",
        "BIFROST_ORDER": "local, aws",
        "BIFROST_REDACTION__PII": "false",
        "BIFROST_LIMITS__TOTAL_SECONDS": "5",
    }
    settings = load(environment=home).settings
    assert settings.provider == "heuristic"
    assert (settings.database.url, settings.cache.url) == ("memory:", "off:")
    assert settings.order == ("local", "aws")
    assert settings.redaction.pii is False
    assert settings.limits.total_seconds == 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("provder: auto", "did you mean 'provider'"),
        ("cache: {ulr: 'off:'}", "did you mean 'cache.url'"),
        ("digest: {budget: lots}", "digest.budget: Expected `int`"),
        ("order: 5", "order: Expected `array`"),
        ("- a\n- b", "must be a mapping"),
        ("a: [", "not valid YAML"),
        ("cache: 3", "cache: Expected"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(home: dict[str, str], text: str, told: str) -> None:
    write(home, text)
    with pytest.raises(ConfigurationError) as caught:
        load(environment=home)
    assert told in f"{caught.value.message} {caught.value.hint}"


def test_an_unknown_variable_of_a_section_is_refused_by_its_name(home: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="BIFROST_CACHE__TLT_HOURS"):
        load(environment=home | {"BIFROST_CACHE__TLT_HOURS": "1"})


def test_a_named_file_that_is_missing_is_an_error(home: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load("/nowhere/config.yaml", environment=home)


def test_secrets_are_masked_wherever_they_stand(home: dict[str, str]) -> None:
    write(
        home,
        "redaction: {key: 0123456789abcdef0123456789abcdef}\n"
        "database: {url: 'sqlite://someone:hunter2@place/db'}\n"
        "providers: {gw: {kind: ollama, api_key: hunter2}}\n",
    )
    settings = load(environment=home).settings
    shown = str(flatten(settings)) + repr(settings.redaction)
    assert "hunter2" not in shown
    assert "0123456789abcdef" not in shown
    assert MASK in shown


def test_an_unknown_provider_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(providers={"local": {"kind": "ollama"}}).entry("locl")
    assert "did you mean 'local'" in caught.value.hint


def test_an_entry_without_a_kind_is_its_own_kind() -> None:
    assert Settings(providers={"ollama": {"model": "m"}}).entry("ollama") == ("ollama", {"model": "m"})


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, Language.EN),
        ({"LANG": "ko_KR.UTF-8"}, Language.KO),
        ({"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, Language.EN),
        ({"LC_ALL": "", "LANG": "ko"}, Language.KO),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: Language) -> None:
    assert locale_language(environment) is language


def test_a_relative_xdg_path_is_ignored(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}
    assert default_path(environment) == tmp_path / ".config" / "bifrost" / "config.yaml"


@pytest.mark.parametrize(
    ("name", "environment", "hours"),
    [("UTC", {}, 0), ("Asia/Seoul", {}, 9), ("local", {"TZ": "Asia/Seoul"}, 9), ("local", {"TZ": ":Asia/Seoul"}, 9)],
)
def test_a_time_zone_is_named_or_that_of_the_machine(name: str, environment: dict[str, str], hours: int) -> None:
    zone = time_zone(Settings(time_zone=name), environment)
    assert datetime(2026, 11, 20, tzinfo=zone).utcoffset() == timedelta(hours=hours)
    assert time_zone(Settings(time_zone="local"), {}) is not None


@pytest.mark.parametrize("name", ["Nowhere/Land", "../etc/passwd", "", "a\0b"])
def test_a_time_zone_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no time zone"):
        time_zone(Settings(time_zone=name), {})
