"""The server's settings from the environment, `.env` and secret files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from offhook.config.errors import ConfigError, ConfigProblem
from offhook.config.settings import Settings, load_settings, with_options
from offhook.config.settings_checks import contradictions, notices
from offhook.config.vendors import KEY_VARIABLES


def problems_of(environ: dict[str, str], env_file: Path | None = None) -> dict[str, ConfigProblem]:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ, env_file)
    return {problem.key: problem for problem in caught.value.problems}


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = load_settings({}, None)
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, None)
    assert (settings.max_calls, settings.max_call_s) == (20, 14_400)
    assert (settings.insecure, settings.log_words, settings.require_stream_token) == (False, False, False)


def test_every_variable_reaches_its_field() -> None:
    settings = load_settings(
        {
            "PUBLIC_URL": "https://bridge.example.com/",
            "PORT": "9000",
            "HOST": "0.0.0.0",
            "TWILIO_ACCOUNT_SID": "AC123",
            "TWILIO_AUTH_TOKEN": "token",
            "TWILIO_PHONE_NUMBER": "+15551234567",
            "TWILIO_API_BASE_URL": "http://127.0.0.1:9200/",
            "DEEPGRAM_API_KEY": "d",
            "DEEPGRAM_BASE_URL": "https://api.eu.deepgram.com/",
            "OPENAI_API_KEY": "o",
            "OPENAI_BASE_URL": "http://127.0.0.1:1234/v1",
            "ELEVENLABS_API_KEY": "e",
            "ELEVENLABS_BASE_URL": "https://api.eu.residency.elevenlabs.io",
            "WEBHOOK_URL": "https://example.com/events?team=1",
            "WEBHOOK_SECRET": "w",
            "REDIS_URL": "redis://:pw@localhost/0",
            "OFFHOOK_REQUIRE_STREAM_TOKEN": "true",
            "OFFHOOK_MAX_CALLS": "7",
            "OFFHOOK_MAX_CALL_S": "60",
            "OFFHOOK_INSECURE": "1",
            "OFFHOOK_LOG_WORDS": "yes",
        },
        None,
    )
    assert settings.public_url == "https://bridge.example.com"
    assert (settings.port, settings.host, settings.max_calls, settings.max_call_s) == (9000, "0.0.0.0", 7, 60)
    assert settings.twilio_auth_token is not None
    assert settings.twilio_auth_token.get_secret_value() == "token"
    assert settings.twilio_api_base_url == "http://127.0.0.1:9200"
    assert settings.webhook_url == "https://example.com/events?team=1"
    assert settings.openai_base_url == "http://127.0.0.1:1234/v1"
    assert settings.account("openai").base_url == "http://127.0.0.1:1234/v1"
    assert settings.account("deepgram").base_url == "https://api.eu.deepgram.com"
    assert settings.account("elevenlabs").base_url == "https://api.eu.residency.elevenlabs.io"
    key = settings.account("elevenlabs").key
    assert key is not None
    assert key.get_secret_value() == "e"
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://:pw@localhost/0"
    assert settings.insecure
    assert settings.log_words
    assert settings.require_stream_token


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OFFHOOK_MAX_CALLS", "3")
    monkeypatch.chdir(tmp_path)
    assert load_settings().max_calls == 3


def test_making_settings_directly_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9")
    assert Settings().port == 8080
    assert Settings(port=1).port == 1


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError):
        load_settings({}, None).port = 1


@pytest.mark.parametrize(
    ("alias", "field"), [("SERVER_URL", "public_url"), ("VAPI_SERVER_SECRET", "webhook_secret")]
)
def test_aliases_are_accepted(alias: str, field: str) -> None:
    value = "https://example.com"
    found = getattr(load_settings({alias: value}, None), field)
    assert value == (found if isinstance(found, str) else found.get_secret_value())


def test_a_name_and_its_alias_may_agree_but_not_differ() -> None:
    same = {"PUBLIC_URL": "https://a.example", "SERVER_URL": "https://a.example"}
    assert load_settings(same, None).public_url == "https://a.example"
    problem = problems_of({**same, "SERVER_URL": "https://b.example"})["PUBLIC_URL"]
    assert "SERVER_URL" in problem.message


def test_empty_variables_count_as_unset() -> None:
    settings = load_settings({"PORT": "", "TWILIO_AUTH_TOKEN": " ", "OFFHOOK_BOGUS": ""}, None)
    assert (settings.port, settings.twilio_auth_token) == (8080, None)


# -------------------------------------------------------------------- secret files


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hush\n")
    settings = load_settings({"TWILIO_AUTH_TOKEN_FILE": str(secret)}, None)
    assert settings.twilio_auth_token is not None
    assert settings.twilio_auth_token.get_secret_value() == "hush"


def test_a_variable_and_its_file_are_both_named_when_both_are_set(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hush")
    problem = problems_of({"TWILIO_AUTH_TOKEN": "hush", "TWILIO_AUTH_TOKEN_FILE": str(secret)})
    assert "TWILIO_AUTH_TOKEN_FILE" in str(problem["TWILIO_AUTH_TOKEN"])


def test_a_secret_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    empty, binary, large = tmp_path / "empty", tmp_path / "binary", tmp_path / "large"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_text("x" * 70_000)
    for path, reason in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "directory"),
        (empty, "empty"),
        (binary, "UTF-8"),
        (large, "64 KiB"),
    ):
        assert reason in problems_of({"OPENAI_API_KEY_FILE": str(path)})["OPENAI_API_KEY_FILE"].message


def test_a_bad_value_in_a_file_is_told_with_the_files_variable(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("nonsense")
    assert "PUBLIC_URL_FILE" in problems_of({"PUBLIC_URL_FILE": str(path)})


# ------------------------------------------------------------------------- `.env`


def test_the_env_file_is_read_and_the_environment_goes_before_it(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("# mine\nPORT=9001\nexport HOST='::1'\nTWILIO_AUTH_TOKEN=\"a b\"\nUNRELATED=1\n")
    settings = load_settings({"PORT": "9002"}, env_file)
    assert (settings.port, settings.host) == (9002, "::1")
    assert settings.twilio_auth_token is not None
    assert settings.twilio_auth_token.get_secret_value() == "a b"


def test_an_alias_in_the_environment_goes_before_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PUBLIC_URL=https://old.example\n")
    assert load_settings({"SERVER_URL": "https://new.example"}, env_file).public_url == "https://new.example"


def test_a_missing_env_file_is_nothing_special(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path / "none").port == 8080


def test_an_unreadable_env_file_is_an_error(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"PORT=\xff\n")
    assert "cannot be read" in problems_of({}, env_file)[""].message


def test_a_problem_in_the_env_file_names_it(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=http\n")
    assert problems_of({}, env_file)["PORT"].source == str(env_file)


# ------------------------------------------------------------------------- errors


def test_every_problem_is_told_at_once() -> None:
    problems = problems_of(
        {
            "PORT": "99999",
            "PUBLIC_URL": "wss://example.com",
            "TWILIO_ACCOUNT_SID": "SK1",
            "TWILIO_PHONE_NUMBER": "555",
            "OFFHOOK_MAX_CALLS": "none",
            "OFFHOOK_INSECURE": "perhaps",
            "OFFHOOK_MAX_CALL": "3",
            "REDIS_URL_FILE": "/nowhere/at/all",
        }
    )
    assert set(problems) == {
        "PORT",
        "PUBLIC_URL",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_PHONE_NUMBER",
        "OFFHOOK_MAX_CALLS",
        "OFFHOOK_INSECURE",
        "OFFHOOK_MAX_CALL",
        "REDIS_URL_FILE",
    }
    assert all(problem.source == "environment" for problem in problems.values())
    assert problems["OFFHOOK_MAX_CALL"].fix.startswith("Did you mean `OFFHOOK_MAX_CALL")
    assert "http" in problems["PUBLIC_URL"].message


def test_an_unknown_setting_far_from_all_lists_what_there_is() -> None:
    assert "OFFHOOK_LOG_WORDS" in problems_of({"OFFHOOK_ZEBRA": "1"})["OFFHOOK_ZEBRA"].fix


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "https://",
        "ftp://example.com",
        "https://a b.example",
        "https://x:y/",
        "https://x/#a",
        "http://[",
    ],
)
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    assert "PUBLIC_URL" in problems_of({"PUBLIC_URL": url})


def test_a_public_url_has_no_query() -> None:
    assert "`?`" in problems_of({"PUBLIC_URL": "https://a.example/?x=1"})["PUBLIC_URL"].message


def test_secrets_never_show() -> None:
    settings = load_settings({"TWILIO_AUTH_TOKEN": "tops3cret", "REDIS_URL": "redis://:tops3cret@x"}, None)
    assert "tops3cret" not in repr(settings) + str(settings)


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=20))
def test_no_message_shows_a_value_of_a_secret(value: str) -> None:
    problems = problems_of({"TWILIO_AUTH_TOKEN": f"<{value}>", "TWILIO_AUTH_TOKEN_FILE": "/x", "PORT": "x"})
    assert f"<{value}>" not in str(ConfigError(list(problems.values())))


def test_networks_of_local_peers_are_read_and_a_bad_one_is_named() -> None:
    settings = load_settings({"OFFHOOK_LOCAL_PEERS": "172.16.0.0/12, fd00::/8"}, None)
    assert [str(network) for network in settings.local_peers] == ["172.16.0.0/12", "fd00::/8"]
    with pytest.raises(ConfigError, match="OFFHOOK_LOCAL_PEERS") as raised:
        load_settings({"OFFHOOK_LOCAL_PEERS": "172.16.0.0/99"}, None)
    assert "172.16.0.0/12, separated by commas" in str(raised.value)


# ------------------------------------------------------------------------ lines of .env


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("HOST=a\nPORT 8081\n", ":2", "is no variable"),
        ("\n\nnonsense\nHOST=a\n", ":3", "has no `=`"),
        ('# port\nPORT="8081\nHOST=a\n', ":2", "not closed"),
    ],
)
def test_a_line_of_env_that_is_no_variable_is_told_with_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, place: str, said: str
) -> None:
    env = tmp_path / ".env"
    env.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings({}, env)
    (problem,) = caught.value.problems
    assert problem.source == f"{env}{place}"
    assert said in problem.message
    assert not caplog.records


def test_env_files_keep_quotes_comments_export_and_references(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("\ufeffexport HOST='a' # here\n\nBASE=https://b.example\nPUBLIC_URL=${BASE}/x\n# end")
    settings = load_settings({}, env)
    assert (settings.host, settings.public_url) == ("a", "https://b.example/x")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TWILO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN"),
        ("twilio_auth_token", "TWILIO_AUTH_TOKEN"),
        ("PUBLIC_URLL", "PUBLIC_URL"),
        ("PUBLIC_ULR", "PUBLIC_URL"),
        ("OFFHOOK_MAX_CALS", "OFFHOOK_MAX_CALLS"),
    ],
)
def test_a_name_in_env_that_is_almost_ours_is_told(tmp_path: Path, name: str, meant: str) -> None:
    env = tmp_path / ".env"
    env.write_text(f"{name}=1\n")
    assert problems_of({}, env)[name].fix == f"Did you mean `{meant}`?"


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "HOSTS", "POST", "TWILIO_API_TOKEN", "OLD_PUBLIC_URL", "WEBHOOK_URL_2"]
)
def test_other_programs_names_in_env_are_let_be(tmp_path: Path, name: str) -> None:
    env = tmp_path / ".env"
    env.write_text(f"{name}=1\n")
    assert load_settings({}, env) == Settings()


def test_the_environment_may_hold_names_that_are_almost_ours() -> None:
    assert load_settings({"PUBLIC_URLL": "1"}, None) == Settings()


# ---------------------------------------------------------------- options and what goes together


def test_options_go_before_settings_and_are_checked_like_them() -> None:
    settings = load_settings({"HOST": "::1", "TWILIO_AUTH_TOKEN": "t"}, None)
    changed = with_options(settings, {"port": 1, "host": None, "insecure": True})
    assert (changed.port, changed.host, changed.insecure) == (1, "::1", True)
    assert changed.twilio_auth_token == settings.twilio_auth_token
    with pytest.raises(ConfigError, match="options: --port: ") as caught:
        with_options(settings, {"port": 99_999, "host": ""})
    assert [problem.key for problem in caught.value.problems] == ["--port", "--host"]


def test_a_token_needs_a_public_url_and_the_other_way_round_is_noted() -> None:
    token, url = {"TWILIO_AUTH_TOKEN": "t"}, {"PUBLIC_URL": "https://a.example"}
    assert [problem.key for problem in contradictions(load_settings(token, None))] == ["PUBLIC_URL"]
    assert "every call is refused" in notices(load_settings(url, None))[0]
    both = load_settings({**token, **url}, None)
    assert (contradictions(both), notices(both)) == ([], [])
    insecure = load_settings({**token, "OFFHOOK_INSECURE": "1"}, None)
    assert contradictions(insecure) == []
    assert "nobody signed" in notices(insecure)[0]


def test_no_text_of_the_settings_holds_a_secret() -> None:
    names = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    settings = Settings.model_validate({name: f"s3cret-{name}" for name in names})
    accounts = [settings.account(vendor) for vendor in KEY_VARIABLES]
    assert len(names) >= 6
    for text in (
        repr(settings),
        str(settings),
        str(settings.model_dump()),
        settings.model_dump_json(),
        repr(accounts),
        f"{accounts}",
        json.dumps(structlog.processors.KeyValueRenderer()(None, "info", {"settings": settings})),
    ):
        assert "s3cret" not in text


@pytest.mark.parametrize("name", ["DEEPGRAM_BASE_URL", "OPENAI_BASE_URL", "ELEVENLABS_BASE_URL"])
@pytest.mark.parametrize("address", ["api.example.com", "wss://api.example.com", "https://"])
def test_an_address_of_a_vendor_that_is_none_is_told_with_an_example(name: str, address: str) -> None:
    problem = problems_of({name: address})[name]
    assert problem.fix.startswith("Write it as https://")


@pytest.mark.parametrize("secret", ["whsec_?", "ünï", "two\nlines"])
def test_a_webhook_secret_that_cannot_sign_is_told_before_the_server_starts(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"WEBHOOK_SECRET": secret}, env_file=None)
    (problem,) = caught.value.problems
    assert problem.key == "WEBHOOK_SECRET"
    assert secret not in str(problem)


def test_numbers_are_given_to_assistants() -> None:
    given = {"OFFHOOK_ASSISTANT_NUMBERS": "+15551234567=sales, +15557654321 = support,"}
    assert load_settings(given, env_file=None).assistant_numbers == {
        "+15551234567": "sales",
        "+15557654321": "support",
    }


@pytest.mark.parametrize(
    "text", ["sales", "5551234567=sales", "+15551234567=Sales!", "+15551234567=a,+15551234567=b"]
)
def test_what_is_no_such_pair_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"OFFHOOK_ASSISTANT_NUMBERS.*\+15551234567=sales"):
        load_settings({"OFFHOOK_ASSISTANT_NUMBERS": text}, env_file=None)
