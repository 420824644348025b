"""The generator looks at itself: its loop's lag, its use, and limits told in words before a crowd is begun."""

import asyncio
import errno
import resource
import socket
from collections.abc import Iterator

import pytest

from loadtest.measure.health import (
    DESCRIPTORS_SPARE,
    Health,
    LimitError,
    connections_per_address,
    descriptors_max,
    need_descriptors,
    source_addresses,
    why_not_connected,
)
from loadtest.measure.suspect import OWN_LIMITS

SOMEWHERE_ELSE = "http://192.0.2.7:8080"  # an address that belongs to nobody; nothing is sent there


class TurnedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is turned by hand."""

    now = 1000.0

    def time(self) -> float:
        return self.now


def lags_after(turns: list[float]) -> list[int]:
    """The lags, in microseconds, that are recorded when the loop's clock goes on by these seconds."""
    lags: list[int] = []
    loop = TurnedLoop()

    async def run() -> None:
        health = Health(lags.append)
        health.start()
        for turn in turns:
            loop.now += turn
            for _ in range(3):
                await asyncio.sleep(0)
        health.stop()
        loop.now += 10.0
        await asyncio.sleep(0)

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
    return lags


def roughly(lags: list[int]) -> list[int]:
    """To the millisecond: floats of a clock."""
    return [round(lag / 1000) for lag in lags]


def test_a_loop_that_wakes_in_time_has_no_lag() -> None:
    assert roughly(lags_after([0.01, 0.01, 0.01])) == [0, 0, 0]


def test_a_loop_that_wakes_late_says_how_late() -> None:
    assert roughly(lags_after([0.015])) == [5]


def test_the_ticks_that_a_long_stop_hid_are_counted_too() -> None:
    assert roughly(lags_after([0.055])) == [45, 35, 25, 15, 5]


def test_after_the_stop_nothing_is_recorded() -> None:
    assert lags_after([]) == []


def test_the_interval_s_gauges_are_those_of_this_process() -> None:
    health = Health(lambda _: None)

    gauges = health.interval()

    assert set(gauges) == {"cpu", "cpu_wait", "descriptors", "rss_mib"}
    assert gauges["rss_mib"] > 10
    with socket.socket():
        assert health.interval()["descriptors"] == gauges["descriptors"] + 1
    assert gauges["cpu"] >= 0


@pytest.fixture
def low_limit() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("low_limit")
def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    most = need_descriptors(500)

    assert most >= 500 + DESCRIPTORS_SPARE
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_more_viewers_than_descriptors_are_refused_with_what_to_do() -> None:
    most = descriptors_max()

    assert need_descriptors(most - DESCRIPTORS_SPARE) == most
    with pytest.raises(LimitError) as refused:
        need_descriptors(most - DESCRIPTORS_SPARE + 1)
    for word in (f"may have {most}", f"ulimit -n {most + 1}", "LimitNOFILE", "--workers"):
        assert word in refused.value.text


def test_one_source_address_carries_what_the_kernel_has_ports_for_and_further_ones_the_rest() -> None:
    each, url = connections_per_address(), "http://127.0.0.1:8080"

    assert source_addresses(1, url) == ["127.0.0.1"]
    assert source_addresses(each, url) == ["127.0.0.1"]
    assert source_addresses(each + 1, url) == ["127.0.0.1", "127.0.0.2"]
    assert source_addresses(each + 1, url, place=1) == ["127.0.0.3", "127.0.0.4"]


def test_a_further_source_address_reaches_a_server_on_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = source_addresses(1, "http://127.0.0.1", place=4)[0]
        with socket.create_connection(door.getsockname(), timeout=5, source_address=(address, 0)) as plug:
            assert plug.getsockname()[0] == address == "127.0.0.5"


def test_to_another_host_one_source_address_must_carry_all() -> None:
    each = connections_per_address()

    assert source_addresses(each, SOMEWHERE_ELSE) == []
    with pytest.raises(LimitError, match=r"ip_local_port_range"):
        source_addresses(each + 1, SOMEWHERE_ELSE)


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.EMFILE, "descriptors"),
        (errno.EADDRNOTAVAIL, "ports"),
        (errno.ECONNREFUSED, "refused"),
        (errno.EPIPE, "connection"),
    ],
)
def test_a_connection_that_did_not_come_about_has_a_word(number: int, word: str) -> None:
    assert why_not_connected(OSError(number, "")) == word
    assert why_not_connected(OSError()) == "connection"


def test_the_words_of_our_own_limits_are_those_the_rules_look_for() -> None:
    ours = (errno.EMFILE, errno.EADDRNOTAVAIL, errno.ENOMEM)

    assert {why_not_connected(OSError(number, "")) for number in ours} == set(OWN_LIMITS)
