"""Whom a request is counted for, and which of its headers are believed."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.errors import ConfigurationError
from bifrost_entrypoints.api.visit import accepted_id, caller, header, networks

PROXIES = networks(["10.0.0.0/8", "fd00::/8"])
inside = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fd00::/8")
outside = st.ip_addresses().filter(
    lambda address: (
        not any(address in network for network in PROXIES)
        and not (isinstance(address, IPv6Address) and address.ipv4_mapped)
    )
)
junk = st.text(st.characters(exclude_characters=",", max_codepoint=255), max_size=80)


def scope(peer: object, *forwarded: str) -> dict[str, Any]:
    return {
        "client": None if peer is None else (str(peer), 1234),
        "headers": [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded],
    }


def counted_for(address: IPv4Address | IPv6Address) -> str:
    return str(address) if isinstance(address, IPv4Address) else str(IPv6Network((int(address), 64), strict=False))


@given(peer=outside, said=st.lists(junk | outside.map(str), max_size=4))
def test_what_a_stranger_says_of_itself_changes_nothing(peer: Any, said: list[str]) -> None:
    assert caller(scope(peer, ", ".join(said)), PROXIES) == counted_for(peer)


@given(peer=inside, said=st.lists(junk | st.ip_addresses().map(str), max_size=4))
def test_without_trusted_proxies_no_header_is_read(peer: Any, said: list[str]) -> None:
    assert caller(scope(peer, ", ".join(said)), ()) == counted_for(peer)


@given(
    peer=inside,
    before=st.lists(junk, max_size=4),
    client=outside,
    proxies=st.lists(inside, max_size=3),
    split=st.booleans(),
)
def test_behind_proxies_it_is_the_last_address_that_no_proxy_has(
    peer: Any, before: list[str], client: Any, proxies: list[Any], split: bool
) -> None:
    hops = [*before, str(client), *map(str, proxies)]
    forwarded = hops if split else [", ".join(hops)]
    assert caller(scope(peer, *forwarded), PROXIES) == counted_for(client)


@given(peer=inside, proxies=st.lists(inside, max_size=3))
def test_where_all_are_proxies_it_is_the_first_of_them(peer: Any, proxies: list[Any]) -> None:
    assert caller(scope(peer, ", ".join(map(str, proxies))), PROXIES) == counted_for((proxies or [peer])[0])


@given(st.ip_addresses(v=6).filter(lambda address: int(address) >> 65), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_ipv6_network_of_64_bits_are_one_caller(address: IPv6Address, host: int) -> None:
    neighbour = IPv6Address(int(address) >> 64 << 64 | host)
    assert caller(scope(address), ()) == caller(scope(neighbour), ())
    stranger = IPv6Address(int(address) ^ 1 << 64)
    assert caller(scope(address), ()) != caller(scope(stranger), ())


@given(st.ip_addresses(v=4), outside)
def test_an_ipv4_address_is_the_same_one_on_a_socket_for_both(address: IPv4Address, client: Any) -> None:
    mapped = f"::ffff:{address}"
    assert caller(scope(mapped), ()) == caller(scope(address), ()) == str(address)
    assert caller(scope(mapped, str(client)), PROXIES) == caller(scope(address, str(client)), PROXIES)


@given(st.none() | junk, st.lists(junk, max_size=4))
def test_whatever_is_said_there_is_a_caller_of_bounded_length(peer: str | None, said: list[str]) -> None:
    for trusted in ((), PROXIES, networks(["0.0.0.0/0", "::/0"])):
        found = caller(scope(peer, *said), trusted)
        assert found == "unknown" or ip_network(found)


def test_a_peer_that_has_no_address_is_unknown() -> None:
    assert caller(scope(None, "192.0.2.1"), PROXIES) == "unknown"
    assert caller(scope("fe80::1%eth0"), ()) == "fe80::/64"


@given(st.text(max_size=140))
def test_a_request_id_is_taken_as_it_is_or_not_at_all(given_id: str) -> None:
    found = accepted_id(given_id)
    assert found in (None, given_id)
    if found is not None:
        assert 1 <= len(found) <= 128
        assert found.isascii()
        assert set(found) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")


def test_ids_of_the_usual_forms_are_taken() -> None:
    for text in ("01a20956-ef48-75c2-afd0-79af057f51d1", "req_1.2:3", "x" * 128):
        assert accepted_id(text) == text
    for text in (None, "", "x" * 129, "a b", "a\n", "é"):
        assert accepted_id(text) is None


def test_of_a_header_that_is_there_twice_the_first_counts() -> None:
    headers = [(b"x-a", b"1"), (b"x-b", b"\xe9"), (b"x-a", b"2")]
    assert header({"headers": headers}, b"x-a") == "1"
    assert header({"headers": headers}, b"x-b") == "é"
    assert header({"headers": headers}, b"x-c") is None


def test_a_network_that_is_none_is_told_by_its_setting() -> None:
    assert ip_address("10.1.2.3") in networks(["10.1.2.3/8"])[0]
    with pytest.raises(ConfigurationError, match=r"trusted_proxies has 'proxy\.example'"):
        networks(["proxy.example"])
