"""Addresses that a tool may and may not connect to."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from offhook.pipeline.providers.web.address_guard import any_but_metadata, public_only, refuse_connections

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "64:ff9b::808:808",
)
PRIVATE = (
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "fd00::1",
    "fec0::1",
    "2001:db8::1",
    "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b:1::808:808",
)
ON_THIS_MACHINE = ("127.0.0.1", "127.8.8.8", "::1")
LINK_LOCAL = ("169.254.1.1", "fe80::1", "fe80::1%eth0")
NEVER = (
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "fd00:ec2::254",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_asked(address: str) -> None:
    assert public_only(address) == ""
    assert any_but_metadata(address) == ""


@pytest.mark.parametrize("address", [*PRIVATE, *ON_THIS_MACHINE, *LINK_LOCAL])
def test_others_only_where_the_operator_named_the_host(address: str) -> None:
    assert public_only(address) != ""
    assert any_but_metadata(address) == ""


@pytest.mark.parametrize("address", NEVER)
def test_some_never(address: str) -> None:
    assert public_only(address) != ""
    assert any_but_metadata(address) != ""


@pytest.mark.parametrize("hidden", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"])
@pytest.mark.parametrize("form", ["::ffff:{}", "::{}", "64:ff9b::{}", "64:ff9b:1::{}", "2002:{hex}::1"])
def test_no_form_hides_an_address(hidden: str, form: str) -> None:
    digits = IPv4Address(hidden).packed.hex()
    address = form.format(hidden, hex=f"{digits[:4]}:{digits[4:]}")
    if address == "::0.0.0.0":
        address = "::"
    assert public_only(address) != ""
    if hidden == "169.254.169.254":
        assert any_but_metadata(address) != ""


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_like_the_plain_one(address: IPv4Address) -> None:
    assert public_only(f"::ffff:{address}") == public_only(str(address))


@given(st.ip_addresses(v=6))
def test_every_address_is_judged(address: IPv6Address) -> None:
    if address.is_loopback or address.is_private or address.is_link_local or address.is_multicast:
        assert public_only(str(address)) != ""


def test_no_socket_is_made_for_a_refused_address_and_the_operator_is_told() -> None:
    make = refuse_connections(public_only)
    with capture_logs() as logs, pytest.raises(PermissionError):
        make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("tool.address-refused", "this machine itself")
    ]
    with make((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))) as made:
        assert made.family == socket.AF_INET
