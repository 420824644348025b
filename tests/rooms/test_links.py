"""Links lead to our own pages or nowhere, however an address is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.rooms.links import foreign_link, hosts_of

OURS = hosts_of(["https://shop.example", "http://127.0.0.1:8080", "*.brand.com", "help.brand.org/faq"])


@pytest.mark.parametrize(
    "line",
    [
        "http://x.y",
        "HTTPS : //x",
        "www.shop",
        "evil.com",
        "evil . com",
        "ｅｖｉｌ．ｃｏｍ",
        "t.me/abc",
        "my-shop.io",
        "evil[.]com",
        "evil (dot) com",
        "evil dot com",
        "evil点com",
        "evil。com",
        "ev\u200bil.com",
        "write to x@gmail.com",
        "1.2.3.4/login",
        "javascript://x",
        "https://shop.example@evil.com",
        "https://shop.example\\@evil.com",
        "https://shop.example.evil.com/",
        "https://evil.com/shop.example",
        "https://shоp.example/",  # a Cyrillic о
        "http://127.0.0.1:9090/p",  # another port is another server
        "ftp://shop.example/x",
        "evilbrand.com",
        "brand.com.evil.net",
        "bit.ly/3x",
        "linktr.ee/x",
        "evil.com看看",
        "看看evil.com吧",
        "买它www.evil.com吧",
        "看1.2.3.4/login吧",
        "去evil . com吧",
        "look...evil.com",
        "go to:.evil.com",
        "@evil.com",
        "foo_evil.com",
    ],
)
def test_a_link_to_another_page_is_found(line: str) -> None:
    assert foreign_link(line, OURS) != ""
    assert foreign_link(f"look: {line} !", OURS) != ""


@pytest.mark.parametrize(
    "line",
    [
        "https://shop.example/p/lip?shade=10#top",
        "HTTPS://SHOP.EXAMPLE/p",
        "see https://shop.example.",
        "(https://shop.example:443/x)",
        "http://127.0.0.1:8080/p/lip",
        "https://eu.brand.com/x",
        "help.brand.org",
        "看看help.brand.org吧",
        "看https://shop.example/p/lip吧",
    ],
)
def test_a_link_to_our_own_pages_passes(line: str) -> None:
    assert foreign_link(line, OURS) == ""
    assert foreign_link(line) != ""


@pytest.mark.parametrize(
    "line",
    [
        "it costs 3.50", "nice. me too", "nice.me too", "ok...so", "v1.2", "great!the best", "24.11.2026",
        "便宜。me too",
        "Is it in M or L.it is", "C'est top.merci", "e.g. this", "etc.in the bag", "J.Crew", "price 1.2.3.4", "50/50",
        "@Ana yes",
        "10:30", "a:b", "w/ love",
    ],
)  # fmt: skip
def test_ordinary_lines_are_no_links(line: str) -> None:
    assert foreign_link(line) == ""


@given(st.text(max_size=120))
def test_no_text_makes_it_fail(line: str) -> None:
    found = foreign_link(line, OURS)
    assert isinstance(found, str)


@given(st.text(st.characters(whitelist_categories=["Ll", "Zs"], max_codepoint=0x24F), max_size=20))
def test_whatever_stands_around_it_an_address_is_found(around: str) -> None:
    assert foreign_link(f"{around} https://evil.com/{around.replace(' ', '')} {around}", OURS) != ""
