"""TwiML as Twilio reads it."""

from __future__ import annotations

import pytest

from offhook.config.errors import ProtocolError
from offhook.lab.twilio.twiml import parse_twiml, stream_url
from offhook.lab.twilio.verbs import ConnectStream, Dial, Hangup, Pause, Play, Record, Redirect, SayText

BASE = "http://127.0.0.1:8080/voice/inbound?assistant=demo"


def read(body: str, base: str = BASE) -> object:
    return parse_twiml(f"<?xml version='1.0' encoding='UTF-8'?><Response>{body}</Response>".encode(), base)


def test_a_whole_document_is_read() -> None:
    body = """
      <Say>  Please
        wait. </Say>
      <Pause/>
      <Connect action="/voice/after">
        <Stream url="ws://127.0.0.1:8080/media" statusCallback="http://127.0.0.1:8080/s" name="n">
          <Parameter name="token" value="abc"/><Parameter name="empty" value=""/>
        </Stream>
      </Connect>
      <Redirect method="GET">/next</Redirect>
      <Dial callerId="+15550001111"><Number>+15550002222</Number></Dial>
      <Dial timeLimit="9"><Number>+15550002222</Number><Number>+15550003333</Number></Dial>
      <Play digits="1w#"/>
      <Record maxLength="30" playBeep="false"/>
      <Hangup/>
    """
    assert read(body) == (
        SayText("Please wait."),
        Pause(1.0),
        ConnectStream(
            url="ws://127.0.0.1:8080/media",
            parameters={"token": "abc", "empty": ""},
            action="http://127.0.0.1:8080/voice/after",
            name="n",
            status_callback="http://127.0.0.1:8080/s",
        ),
        Redirect("http://127.0.0.1:8080/next", "GET"),
        Dial(("+15550002222",)),
        Dial(("+15550002222", "+15550003333"), time_limit_s=9.0),
        Play(digits="1w#"),
        Record(BASE, longest_s=30.0, beep=False),
        Hangup(),
    )


def test_a_relative_stream_url_is_joined_with_the_documents() -> None:
    (verb,) = parse_twiml(
        b'<Response><Connect><Stream url="/media"/></Connect></Response>', "https://a.example/v"
    )
    assert isinstance(verb, ConnectStream)
    assert verb.url == "wss://a.example/media"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ws://bridge.example/media", "31922"),
        ("https://bridge.example/media", "31922"),
        ("wss:///media", "31923"),
        ("wss://bridge.example/media?token=1", "31920"),
        ("wss://bridge.example/media?", "31920"),
        ("wss://bridge.example/media#a", "31920"),
    ],
)
def test_a_stream_url_that_twilio_refuses(url: str, code: str) -> None:
    with pytest.raises(ProtocolError, match=code):
        stream_url(url)


@pytest.mark.parametrize("url", ["wss://bridge.example/media", "ws://localhost:1/m", "ws://[::1]:1/m"])
def test_a_stream_url_that_twilio_takes_or_that_is_loopback(url: str) -> None:
    assert stream_url(url) == url


def connect(stream_attributes: str = "", inside: str = "", *, attributes: str = "", streams: int = 1) -> str:
    stream = f'<Stream url="wss://a.example/m" {stream_attributes}>{inside}</Stream>'
    return f"<Connect {attributes}>{stream * streams}</Connect>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<Say>", "12100"),
        ("<Gather/>", "12200"),
        ("<Start/>", "12200"),
        ("<Connect/>", "12200"),
        (connect(streams=2), "12200"),
        ("<Connect><Stream/></Connect>", "12200"),
        (connect(attributes='timeout="4"'), "12200"),
        (connect(attributes='method="PUT" action="/x"'), "12200"),
        (connect('track="both_tracks"'), "31941"),
        (connect('codec="opus"'), "12200"),
        (connect('statusCallback="/s"'), "12200"),
        (connect("", "<Header/>"), "12200"),
        (connect("", '<Parameter value="1"/>'), "12200"),
        (connect("", f'<Parameter name="a" value="{"x" * 499}"/>'), "12200"),
        ('<Pause length="long"/>', "12200"),
        ('<Pause length="-1"/>', "12200"),
        ("<Redirect/>", "12200"),
        ("<Dial/>", "13201"),
        ("<Dial><Number>+15550002222</Number><Number/></Dial>", "13201"),
        ("<Dial><Client>sales</Client></Dial>", "12200"),
        ('<Dial><Number url="/whisper">+15550002222</Number></Dial>', "12200"),
        ('<Dial answerOnBridge="yes">+15550002222</Dial>', "12200"),
        ("<Play/>", "12200"),
        ('<Play digits="1">/a.wav</Play>', "12200"),
        ('<Play digits="1x"/>', "12200"),
        ('<Play loop="0">/a.wav</Play>', "12200"),
        ('<Record maxLength="long"/>', "12200"),
        ('<Record transcribe="true"/>', "12200"),
        ('<Reject reason="tired"/>', "12200"),
    ],
)
def test_twiml_that_twilio_refuses(body: str, code: str) -> None:
    with pytest.raises(ProtocolError, match=code):
        read(body)


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "12100"),
        (b"hello", "12100"),
        (b"<html/>", "12200"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Response/>', "12100"),
        (b"<Response>" + b" " * 65536 + b"</Response>", "11750"),
    ],
)
def test_a_document_that_is_no_twiml(document: bytes, code: str) -> None:
    with pytest.raises(ProtocolError, match=code):
        parse_twiml(document, BASE)
