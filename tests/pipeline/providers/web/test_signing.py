"""Signatures of webhooks."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from offhook.config.server import Server, signing_key
from offhook.pipeline.providers.web.signing import server_headers, signature_headers


def test_the_example_of_the_specification_is_signed_alike() -> None:
    # Standard Webhooks, the example that its libraries are tested with.
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert signature_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("url", "chosen", "sent"),
    [
        ("https://example.com/events", None, True),
        ("http://example.com/events", None, False),
        ("http://tools:3000/events", None, False),
        ("http://tools:3000/events", True, True),
        ("http://127.0.0.1:3000/events", None, True),
        ("http://localhost/events", None, True),
        ("http://127.0.0.1.example.com/events", None, False),
        ("https://example.com/events", False, False),
    ],
)
def test_the_secret_itself_goes_only_where_nobody_reads_it_on_its_way(
    url: str, chosen: bool | None, sent: bool
) -> None:
    server = Server(url=url, secret=SecretStr("hush"), send_secret=chosen)
    headers = server_headers(server, "msg_1", 1_700_000_000, b"{}")
    assert ("x-vapi-secret" in headers) is sent
    assert {"webhook-signature", "x-vapi-signature"} <= headers.keys()
