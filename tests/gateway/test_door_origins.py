"""The allow-list of origins: our own pages, those of the settings, and in development what cannot be a stranger's."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.gateway.origins import Origins
from livecommerce.settings import Settings

PUBLIC: dict[str, Any] = {"mode": "production", "public_url": "https://live.example.com"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://live.example.com", True),
        ("https://live.example.com:443", True),
        ("https://LIVE.example.com", True),
        ("https://shop.example.com", True),
        ("http://live.example.com", False),
        ("https://live.example.com:8443", False),
        ("https://live.example.com.evil.org", False),
        ("https://evil.org", False),
        ("https://live.example.com@evil.org", False),
        ("https://evil.org/live.example.com", False),
        ("http://127.0.0.1:8080", False),
        ("null", False),
        ("", False),
        ("https://", False),
        ("https://x:port", False),
        ("https://[broken", False),
    ],
)
def test_in_production_only_our_own_and_the_named_origins_count(settings: Settings, origin: str, allowed: bool) -> None:
    origins = Origins(replace(settings, **PUBLIC, allowed_origins=("https://shop.example.com",)))
    assert origins.allows(origin, host="127.0.0.1:8080") is allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://localhost:5173", "127.0.0.1:8080", True),
        ("http://127.0.0.1:9999", "", True),
        ("http://[::1]:8080", "", True),
        ("http://192.168.1.20:8080", "192.168.1.20:8080", True),
        ("http://192.168.1.20:8080", "192.168.1.99:8080", False),
        ("http://192.168.1.20:8080", "", False),
        ("http://studio.local:8080", "studio.local:8080", True),
        ("http://studio:8080", "studio:8080", True),
        # A public name brought along by the request proves nothing: its owner can point it here.
        ("http://evil.org:8080", "evil.org:8080", False),
    ],
)
def test_in_development_loopback_and_the_local_host_of_the_request_count(
    settings: Settings, origin: str, host: str, allowed: bool
) -> None:
    assert Origins(settings).allows(origin, host) is allowed


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_text_makes_it_fail(origin: str, host: str) -> None:
    Origins(Settings()).allows(origin, host)
