"""Settings: read once, verified together, every mistake told at once."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import (
    SECRETS,
    Settings,
    SettingsError,
    describe,
    fingerprint,
    load_settings,
    mask_url,
    secret_fingerprints,
    signing_secret,
)
from app.vocabulary import LimitScope

GOOD_SECRET = "9f2b7c1e4d8a6053b1e7f4c2a9d8e6b3"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_serve_a_developer() -> None:
    settings = load_settings()
    assert settings.is_development
    assert settings.guests_enabled
    assert settings.port == 8080
    assert settings.event_log_url == "sqlite:///var/code-racer.db"
    assert settings.log_path == Path("logs/app.log")


def test_the_guides_variables_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTEND_URL", "https://yourdomain.com")
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", "https://yourdomain.com, https://www.yourdomain.com/")
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    settings = load_settings()
    assert settings.allowed_origins == {"https://yourdomain.com", "https://www.yourdomain.com"}
    assert not settings.guests_enabled
    assert settings.log_path is None


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=9000\nHOST=0.0.0.0\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("PORT", "9001")
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 9001)  # noqa: S104 - a value, nothing listens


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "99999")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("EVENT_LOG_URL", "postgres://x")
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", "*")
    monkeypatch.setenv("JWT_SECRET", "short-but-telling")
    with pytest.raises(SettingsError) as error:
        load_settings()
    lines = str(error.value).splitlines()
    names = sorted(line.split(":")[0] for line in lines)
    assert names == ["CORS_ALLOWED_ORIGINS", "EVENT_LOG_URL", "JWT_SECRET", "LOG_LEVEL", "PORT"]
    assert "short-but-telling" not in str(error.value)


@pytest.mark.parametrize(
    "secret", ["", "a" * 40, "change-me-change-me-change-me-change-me", "your_jwt_token_here_your_jwt_token"]
)
def test_production_wants_a_real_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("JWT_SECRET", secret)
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        load_settings()


def test_the_development_secret_is_made_once_and_private() -> None:
    settings = load_settings()
    first = signing_secret(settings, settings.environment)
    assert signing_secret(settings, settings.environment) == first
    assert len(first) >= 32
    assert stat.S_IMODE(Path("var/dev-secret").stat().st_mode) == 0o600


def test_settings_are_shown_with_secrets_starred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    shown = dict(describe(load_settings()))
    assert shown["JWT_SECRET"] == "******"
    assert shown["PORT"] == "8080"
    assert GOOD_SECRET not in repr(load_settings())


UNPRINTED = st.text("KEY/@?#:,=& \n", min_size=1)
"""What is secret has capitals, and all else that may lead astray whoever looks for its end."""


@given(user=UNPRINTED, password=UNPRINTED, path=st.sampled_from(["", "/", "/a/b"]), query=UNPRINTED)
def test_no_secret_in_a_url_is_shown(user: str, password: str, path: str, query: str) -> None:
    for url in (f"http://{user}:{password}@h:9093{path}", f"http://u@h{path}?{query}", f"http://{user}@h#{query}"):
        assert mask_url(url) == mask_url(url).lower()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@ss@h:9093/a", "http://******@h:9093/a"),
        ("http://h/?token=abc&b=c", "http://h/?******"),
        ("http://u:p/ss@h:9093", "http://******"),
        ("http://h:9093/a/b", "http://h:9093/a/b"),
        ("nats://a:4222,tls://b:4222", "nats://a:4222,tls://b:4222"),
        ("sqlite:////srv/code@racer/a.db", "sqlite:////srv/code@racer/a.db"),
        ("memory:", "memory:"),
    ],
)
def test_of_a_url_it_is_shown_where_it_leads(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_every_url_among_the_settings_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name.upper() for name in Settings.model_fields if name.endswith(("_url", "_endpoint", "_server_address"))]
    own = {"EVENT_LOG_URL": "nats://h:4222?key=sesame", "PUBLIC_URL": "http://h", "FRONTEND_URL": "http://h"}
    for name in names:
        monkeypatch.setenv(name, own.get(name, "http://u:p@sesame@h/?key=sesame"))
    shown = dict(describe(load_settings()))
    assert "sesame" not in repr(shown)
    assert {shown[name] for name in names} == {"http://h", "http://******@h/?******", "nats://h:4222?******"}


@pytest.mark.parametrize("name", ["PUBLIC_URL", "CORS_ALLOWED_ORIGINS"])
def test_a_password_that_does_not_belong_there_is_not_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://u:sesame@h")
    with pytest.raises(SettingsError, match="more than scheme") as error:
        load_settings()
    assert "sesame" not in str(error.value)


def test_the_example_file_names_every_setting_and_no_other() -> None:
    example = Path(__file__).parent.parent / ".env.example"
    names = {line.lstrip("# ").split("=")[0] for line in example.read_text().splitlines() if "=" in line}
    assert names == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TRUSTED_PROXIES", "10.0.0.0/8,nonsense", "nonsense"),
        ("JWT_ALGORITHMS", "RS256,HS256", "HS256"),
        ("JWT_JWKS_URL", "file:///etc/passwd", "no http"),
        ("LIMITS_DRY_RUN", "messages,cats", "cats"),
        ("READY_GATES", "weather", "weather"),
        ("JWT_PREVIOUS_SECRET", "short", "at least 32"),
        ("TICKET_SECRET", "short", "at least 32"),
        ("MESSAGE_BURST", "49", "greater than or equal to 50"),
        ("MAX_BATCH", "500", "MESSAGE_BURST"),
        ("BYTES_BURST", "2048", "BYTES_BURST"),
        ("TLS_KEY_FILE", "x.pem", "TLS_CERT_FILE"),
        ("OPS_TOKEN", "short", "at least 32"),
        ("OPS_READ_TOKEN", "short", "at least 32"),
        ("OPERATORS_CLAIM", "operator", "role=operator"),
        ("OPERATORS_CLAIM", "name=ann", "call themselves"),
        ("OPS_ADDRESS", "10.0.0.7", "10.0.0.7:9090"),
        ("OPS_ADDRESS", "http://h:9090", "is no address"),
        ("OPS_ADDRESS", "a@h:9090", "is no address"),
        ("PROMETHEUS_URL", "file:///etc/passwd", "no http"),
        ("ALERTMANAGER_URL", "http://[x", "no http"),
        ("ALERTMANAGER_URL", "http://u:p/ss@h", "no http"),
    ],
)
def test_a_mistake_in_the_limits_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says):
        load_settings()


def test_one_kind_of_token_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_JWKS_URL", "https://id.example/keys.json")
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert not load_settings(guests=True).guests_enabled, "there is no secret to sign a guest's token with"
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    with pytest.raises(SettingsError, match="not both"):
        load_settings()


@pytest.mark.parametrize("other", ["JWT_SECRET", "JWT_PREVIOUS_SECRET"])
def test_a_ticket_is_signed_with_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    monkeypatch.setenv(other, GOOD_SECRET)
    monkeypatch.setenv("TICKET_SECRET", GOOD_SECRET)
    with pytest.raises(SettingsError, match="a ticket would pass as a token"):
        load_settings()


def test_who_may_only_look_has_another_token_than_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_TOKEN", GOOD_SECRET)
    monkeypatch.setenv("OPS_READ_TOKEN", GOOD_SECRET)
    with pytest.raises(SettingsError, match="whoever is to look could act"):
        load_settings()


def test_all_limits_can_be_tried_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITS_DRY_RUN", "all")
    assert set(load_settings().limits_dry_run) == set(LimitScope)


def test_a_developer_need_not_wait_for_a_drain_and_a_cluster_gets_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(close_timeout_s=1).drain.longest_s == 3 + 1 + 3 + 3
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("JWT_SECRET", GOOD_SECRET)
    plan = load_settings(drain_spread_s=60, leave_timeout_s=2).drain
    assert (plan.delay_s, plan.spread_s) == (5, 60)
    closed_s = plan.delay_s + plan.game_wait_s + 60 + 3 * plan.close_timeout_s
    assert plan.longest_s == closed_s + plan.scrape_wait_s + 2 + 6


def test_secrets_are_told_apart_by_fingerprints_that_tell_nothing_else() -> None:
    one, other = load_settings(jwt_secret="a" * 32 + "1"), load_settings(jwt_secret="a" * 32 + "2", replica="b")
    mine, theirs = secret_fingerprints(one), secret_fingerprints(other)
    assert mine.keys() == set(SECRETS) >= {"JWT_SECRET", "JWT_PREVIOUS_SECRET", "TICKET_SECRET", "NATS_PASSWORD"}
    assert {name for name in SECRETS if mine[name] != theirs[name]} == {"JWT_SECRET"}
    assert mine["NATS_PASSWORD"] == "none"
    rotated = load_settings(jwt_secret="b" * 33, jwt_previous_secret="a" * 32 + "1")
    assert secret_fingerprints(rotated)["JWT_PREVIOUS_SECRET"] == mine["JWT_SECRET"], "where it went is seen"
    assert fingerprint(one) == fingerprint(other), "which leaves secrets out, and what is a replica's own"
    assert len(mine["JWT_SECRET"]) == 4, "too short to tell a guessed secret from others"
