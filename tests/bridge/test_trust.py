"""Who may be served: signed by Twilio, or direct from this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bridge_rig import settings
from multidict import CIMultiDict

from offhook.bridge.trust import Audience, Request, control_key, refusal, stream_origin, trust_policy
from offhook.bridge.twilio.signature import signature
from offhook.config.errors import ConfigError

TOKEN = "t0ken"
PUBLIC = "https://bridge.example.com"
SIGNED = trust_policy(settings(public_url=PUBLIC, twilio_auth_token=TOKEN))
LOCAL = trust_policy(settings())
INSECURE = trust_policy(settings(insecure=True))
FORM = {"CallSid": ["CA1"], "Blank": [""]}


def request(
    remote: str | None = "127.0.0.1",
    host: str | None = "localhost:8080",
    path: str = "/voice/inbound",
    form: dict[str, list[str]] | None = None,
    **headers: str,
) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if host is not None:
        named["Host"] = host
    return Request(remote, CIMultiDict(named), path, form or {})


def reason(incoming: Request, audience: Audience = Audience.CARRIER, policy: object = LOCAL) -> str | None:
    refused = refusal(incoming, audience, policy)  # type: ignore[arg-type]
    assert refused is None or refused.status == 403
    return None if refused is None else refused.reason


# -------------------------------------------------------------- with a token


def test_a_signed_webhook_is_served_from_anywhere() -> None:
    path = "/voice/inbound?assistant=demo"
    signed = signature(PUBLIC + path, FORM, TOKEN)
    incoming = request("203.0.113.9", "internal:80", path, FORM, X_Twilio_Signature=signed, Via="1.1 proxy")
    assert reason(incoming, policy=SIGNED) is None


def test_the_upgrade_is_checked_as_wss() -> None:
    def stream(scheme: str) -> Request:
        signed = signature(f"{scheme}://bridge.example.com/media", {}, TOKEN)
        return request("203.0.113.9", path="/media", X_Twilio_Signature=signed)

    assert reason(stream("wss"), Audience.STREAM, SIGNED) is None
    assert reason(stream("https"), Audience.STREAM, SIGNED) == "signature_wrong"


@pytest.mark.parametrize("audience", [Audience.CARRIER, Audience.STREAM])
def test_an_unsigned_request_is_refused_even_from_this_machine(audience: Audience) -> None:
    assert reason(request(), audience, SIGNED) == "signature_missing"
    assert reason(request(X_Twilio_Signature="x"), audience, SIGNED) == "signature_wrong"


def test_what_the_request_says_of_its_host_does_not_count() -> None:
    signed = signature("https://evil.example/voice/inbound", {}, TOKEN)
    incoming = request(host="evil.example", X_Forwarded_Host="evil.example", X_Twilio_Signature=signed)
    assert reason(incoming, policy=SIGNED) == "signature_wrong"


def test_a_token_without_a_public_url_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="PUBLIC_URL"):
        trust_policy(settings(twilio_auth_token=TOKEN))


# ------------------------------------------------------------ without a token


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_direct_loopback_is_served(remote: str, host: str) -> None:
    for audience in Audience:
        assert reason(request(remote, host), audience) is None


@pytest.mark.parametrize(
    "remote", ["192.168.1.5", "203.0.113.9", "fe80::1", "::ffff:10.0.0.1", "", None, "x"]
)
def test_another_machine_is_refused(remote: str | None) -> None:
    for audience in Audience:
        assert reason(request(remote), audience) == "remote_address"


@pytest.mark.parametrize(
    "host", ["bridge.example.com", "127.0.0.1.nip.io", "[::", "", None, "localhost.evil"]
)
def test_a_foreign_host_is_refused(host: str | None) -> None:
    assert reason(request(host=host)) == "foreign_host"


@pytest.mark.parametrize(
    "header",
    [
        *("Forwarded", "forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "x-forwarded-proto"),
        *("X-Forwarded-Host", "X-Forwarded-Anything", "CF-Connecting-IP"),
    ],
)
def test_whatever_came_through_a_proxy_is_refused(header: str) -> None:
    incoming = Request("127.0.0.1", CIMultiDict({"Host": "localhost", header: ""}), "/media")
    for audience in Audience:
        assert reason(incoming, audience) == "proxied"


def test_a_proxy_that_says_nothing_is_known_by_its_old_http() -> None:
    incoming = Request("127.0.0.1", CIMultiDict({"Host": "127.0.0.1:8080"}), "/media", {}, (1, 0))
    for audience in Audience:
        assert reason(incoming, audience) == "proxied"


def test_a_public_url_without_a_token_makes_nothing_direct() -> None:
    policy = trust_policy(settings(public_url=PUBLIC))
    for audience in Audience:
        assert reason(request(), audience, policy) == "unsigned_public"


def test_a_container_may_count_its_gateway_as_this_machine_and_every_other_rule_stays() -> None:
    policy = trust_policy(settings(local_peers="172.16.0.0/12"))
    assert reason(request("172.17.0.1"), policy=policy) is None
    assert reason(request("10.0.0.1"), policy=policy) == "remote_address"
    assert reason(request("172.17.0.1", "bridge.example.com"), policy=policy) == "foreign_host"
    assert reason(request("172.17.0.1", X_Forwarded_For="203.0.113.9"), policy=policy) == "proxied"


def test_insecure_lifts_it() -> None:
    for audience in Audience:
        assert reason(request("203.0.113.9", "x.example", Via="1.1 p"), audience, INSECURE) is None


# ----------------------------------------------------------- web pages, control


@pytest.mark.parametrize("policy", [LOCAL, INSECURE, SIGNED])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", ""])
def test_a_page_of_another_site_is_refused(policy: object, origin: str) -> None:
    for audience in Audience:
        assert reason(request(Origin=origin), audience, policy) == "foreign_origin"


def test_our_own_page_is_served() -> None:
    assert reason(request(Origin="http://localhost:8080"), Audience.STREAM) is None
    public = request(Origin=PUBLIC, Authorization=f"Bearer {control_key(TOKEN)}")
    assert reason(public, Audience.CONTROL, SIGNED) is None


def test_control_behind_a_public_url_needs_the_key() -> None:
    assert reason(request(), Audience.CONTROL, SIGNED) == "control_key_required"
    for wrong in ("Bearer x", f"Basic {control_key(TOKEN)}", f"Bearer {TOKEN}", "\udcff"):
        assert reason(request(Authorization=wrong), Audience.CONTROL, SIGNED) == "control_key_required"
    key = f"Bearer {control_key(TOKEN)}"
    assert reason(request("203.0.113.9", "x", Authorization=key), Audience.CONTROL, SIGNED) is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page's command needs openssl")
def test_the_page_says_how_to_make_the_control_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^KEY=\$\((.*)\)$", page, re.MULTILINE)
    environ = {**os.environ, "TWILIO_AUTH_TOKEN": TOKEN}
    done = subprocess.run(["sh", "-c", recipe], capture_output=True, text=True, env=environ, check=True)
    assert done.stdout.strip() == control_key(TOKEN)


def test_the_control_key_opens_nothing_else() -> None:
    key = f"Bearer {control_key(TOKEN)}"
    assert reason(request(Authorization=key), Audience.CARRIER, SIGNED) == "signature_missing"
    assert reason(request("203.0.113.9", Authorization=key), Audience.CONTROL, LOCAL) == "remote_address"


def test_a_stream_is_reached_by_the_public_address_with_its_own_scheme() -> None:
    assert stream_origin("https://b.example/base") == "wss://b.example/base"
    assert stream_origin("http://b.example") == "ws://b.example"
