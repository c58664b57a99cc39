"""The assistant of someone who followed a hosted platform's tutorial."""

from __future__ import annotations

from typing import Any

TUTORIAL: dict[str, Any] = {
    "name": "Order line",
    "model": {
        "provider": "openai",
        "model": "gpt-4o",
        "temperature": 0.7,
        "maxTokens": 150,
        "messages": [{"role": "system", "content": "You answer calls of a shop."}],
        "functions": [
            {
                "name": "checkOrder",
                "description": "Tells where an order is.",
                "parameters": {"type": "object", "properties": {"orderId": {"type": "string"}}},
            }
        ],
    },
    "voice": {
        "provider": "11labs",
        "voiceId": "21m00Tcm4TlvDq8ikWAM",
        "stability": 0.5,
        "similarityBoost": 0.8,
        "optimizeStreamingLatency": 3,
    },
    "transcriber": {
        "provider": "deepgram",
        "model": "nova-2",
        "language": "en-US",
        "smartFormat": True,
        "endpointing": 200,
    },
    "firstMessage": "Hello, how can I help?",
    "serverUrl": "https://example.com/webhook/vapi",
    "serverUrlSecret": "a-shared-secret",
    "startSpeakingPlan": {"waitSeconds": 0.4},
    "stopSpeakingPlan": {"numWords": 0, "voiceSeconds": 0.2, "backoffSeconds": 1},
}
