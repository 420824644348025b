"""The native receiver comes from one C file: how it is built, found again, and done without."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from livecommerce import compiled
from livecommerce.compiled import CannotBuild
from loadtest.wire import native
from loadtest.wire.choose import open_receiver
from loadtest.wire.receiver import LATENCY_US_MAX, FrameFacts, bucket_us


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache folder's parent, empty; nothing loaded in this process counts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native.library.cache_clear()
    yield tmp_path
    native.library.cache_clear()


def _never(_: bytes) -> FrameFacts:
    raise AssertionError("nothing was sent")


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    flags = ("-O2", "-std=c11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Werror")
    source = Path(native.__file__).with_name("native.c")
    subprocess.run(["cc", *flags, "-o", str(tmp_path / "receiver.so"), str(source)], check=True)


def test_it_is_built_once_and_found_again(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.library()
    (built,) = (fresh / "livecommerce").iterdir()
    native.library.cache_clear()
    monkeypatch.setattr(compiled, "_compile", lambda *_: pytest.fail("built again"))
    native.library()

    assert [*(fresh / "livecommerce").iterdir()] == [built]
    assert stat.S_IMODE(built.parent.stat().st_mode) == 0o700


def test_once_built_it_needs_no_compiler(fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.library()
    native.library.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    native.library()

    assert len([*(fresh / "livecommerce").iterdir()]) == 1


def test_other_flags_make_another_library(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.library()
    native.library.cache_clear()
    monkeypatch.setenv("CFLAGS", "-g")
    native.library()

    assert len([*(fresh / "livecommerce").iterdir()]) == 2


def test_where_no_cache_can_be_written_it_is_built_for_this_process_alone(fresh: Path) -> None:
    (fresh / "livecommerce").write_text("a file where the folder would be")
    receiver, why = open_receiver(_never)

    assert (receiver.name, why) == ("native", "")
    receiver.close()


def test_a_spoilt_library_in_the_cache_is_done_without(fresh: Path) -> None:
    native.library()
    (built,) = (fresh / "livecommerce").iterdir()
    built.unlink()
    built.write_bytes(b"not a library")
    native.library.cache_clear()
    receiver, _ = open_receiver(_never)

    assert receiver.name == "native"
    receiver.close()


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_the_portable_one_comes_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    receiver, why = open_receiver(_never)

    assert receiver.name == "portable"
    assert why == "there is no C compiler (cc, gcc, clang) on this machine"
    receiver.close()


def test_a_compiler_that_fails_is_quoted(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cc = fresh / "cc"
    cc.write_text("#!/bin/sh\necho 'fatal error: stdint.h: No such file or directory' >&2\nexit 1\n")
    cc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fresh}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CannotBuild, match=r"could not build the receiver: fatal error: stdint\.h"):
        native.library()
    receiver, why = open_receiver(_never)

    assert receiver.name == "portable"
    assert "stdint.h" in why
    receiver.close()


@pytest.mark.usefixtures("fresh")
def test_a_system_without_epoll_gets_the_portable_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    receiver, why = open_receiver(_never)

    assert receiver.name == "portable"
    assert "epoll" in why
    receiver.close()


def test_who_asks_for_the_portable_one_or_for_tls_gets_it() -> None:
    asked, why_asked = open_receiver(_never, portable=True)
    tls, why_tls = open_receiver(_never, tls=True)

    assert (asked.name, tls.name) == ("portable", "portable")
    assert "asked for" in why_asked
    assert "TLS" in why_tls
    asked.close()
    tls.close()


def test_a_receiver_that_nobody_closed_gives_its_descriptors_back() -> None:
    native.library()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        receiver = native.NativeReceiver(_never)
        receiver.close()
        receiver.close()

    assert len(os.listdir("/proc/self/fd")) == before


def test_no_descriptors_left_is_an_error_of_the_system() -> None:
    native.library()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            native.NativeReceiver(_never)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@given(us=st.integers(0, LATENCY_US_MAX))
def test_buckets_are_the_histograms_own(us: int) -> None:
    histogram = HdrHistogram(1, LATENCY_US_MAX, 3)
    index = histogram._counts_index_for(us)
    lowest = bucket_us(us)

    assert lowest <= us
    assert histogram._counts_index_for(lowest) == index
    assert lowest == 0 or histogram._counts_index_for(lowest - 1) == index - 1
