"""TwiML documents, read back by a parser."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge.twilio import twiml

URL = "wss://bridge.example.com/media"
UNFIT = {*map(chr, range(0x20)), *map(chr, range(0xD800, 0xE000)), "\ufffe", "\uffff"} - set("\t\n\r")
"""What a document may not hold (XML 1.0, section 2.2)."""


def parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document.encode())  # noqa: S314  our own document


def connect(**parameters: str) -> ElementTree.Element:
    return parsed(
        twiml.connect_stream(
            URL,
            action="https://b.example/after",
            parameters=parameters,
            status_callback="https://b.example/s",
        )
    )


def test_a_call_is_connected_to_the_stream() -> None:
    response = connect(token="t", assistant="demo")
    assert response.tag == "Response"
    (verb,) = response
    assert (verb.tag, verb.attrib) == ("Connect", {"action": "https://b.example/after", "method": "POST"})
    (stream,) = verb
    assert stream.attrib == {
        "url": URL,
        "statusCallback": "https://b.example/s",
        "statusCallbackMethod": "POST",
    }
    assert [parameter.attrib for parameter in stream] == [
        {"name": "token", "value": "t"},
        {"name": "assistant", "value": "demo"},
    ]


def test_nothing_follows_the_stream_that_would_leave_the_caller_in_silence() -> None:
    assert [verb.tag for verb in connect()] == ["Connect"]


def test_empty_parameters_are_left_out() -> None:
    assert not list(connect(assistant="")[0][0])


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=60))
def test_any_text_survives_in_a_parameter(value: str) -> None:
    assert connect(v=value)[0][0][0].attrib["value"] == value


@pytest.mark.parametrize(
    "parameters",
    [
        {"": "x"},
        {"n" * 500: "x"},
        {"n": "v" * 500},
        {"n": "a\x00b"},
        {"n": "\ud800"},
        {"n": "\uffff"},
        {"n": "a\nb"},
    ],
)
def test_a_parameter_that_twilio_would_not_take_is_an_error(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="parameter"):
        twiml.connect_stream(URL, action="/after", parameters=parameters)


def test_499_characters_are_taken() -> None:
    assert connect(**{"n" * 499: "v" * 499}) is not None


@pytest.mark.parametrize("url", [URL + "?token=t", URL + "#x"])
def test_a_stream_address_with_a_query_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="query"):
        twiml.connect_stream(url, action="/after", parameters={})


def test_speech_is_escaped() -> None:
    response = parsed(twiml.say_and_hangup("Tom & <Jerry>"))
    assert [(verb.tag, verb.text) for verb in response] == [("Say", "Tom & <Jerry>"), ("Hangup", None)]


@given(st.text(st.characters()) | st.text(st.sampled_from("a\x00\x0b\x1f\ud800\udfff\ufffe\uffff😀\t ")))
def test_any_words_are_said_without_what_xml_cannot_hold(words: str) -> None:
    carried = "".join(" " if character in UNFIT else character for character in words)
    said = parsed(twiml.say_and_hangup(words))[0].text or ""
    assert said == carried.replace("\r\n", "\n").replace("\r", "\n")
    assert parsed(twiml.dial("+15550100", first_words=f"Hello.{words}"))[0].tag == "Say"


@given(st.text(st.characters()))
def test_no_address_makes_a_document_that_is_no_xml(host: str) -> None:
    address = f"https://{host}/after"
    assert parsed(twiml.ask_again(address, 1))[1].tag == "Redirect"
    assert parsed(twiml.dial("+15550100", action=address))[0].tag == "Dial"
    assert parsed(twiml.connect_stream(URL, action=address, parameters={}))[0].tag == "Connect"


def test_hangup_and_dial() -> None:
    assert [verb.tag for verb in parsed(twiml.hangup())] == ["Hangup"]
    (verb,) = parsed(twiml.dial("+15550100"))
    assert verb.tag == "Dial"
    assert [(number.tag, number.text) for number in verb] == [("Number", "+15550100")]
