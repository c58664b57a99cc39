"""Signatures of webhooks."""

from __future__ import annotations

from offhook.config.server import signing_key
from offhook.pipeline.providers.web.signing import signature_headers


def test_the_example_of_the_specification_is_signed_alike() -> None:
    # Standard Webhooks, the example that its libraries are tested with.
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert signature_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
