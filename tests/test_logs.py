"""Logs: what is written for people and machines, and what never is."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.logs import PERSONAL, drop_personal, masked, set_up_logs
from livecommerce.settings import Settings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_carry_the_bound_ids(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(replace(settings, log_json=True))
    with structlog.contextvars.bound_contextvars(request_id="r1", show_id="sh_1"):
        structlog.get_logger("livecommerce.test").info("went_live", viewers=3)
    (line,) = lines_of(capsys)
    assert {"event": "went_live", "request_id": "r1", "show_id": "sh_1", "viewers": 3, "level": "info"}.items() <= (
        line.items()
    )
    assert line["logger"] == "livecommerce.test"
    assert str(line["timestamp"]).endswith("Z")


def test_text_lines_are_one_line_each_and_the_level_counts(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(replace(settings, log_level="warning"))
    log = structlog.get_logger("livecommerce.test")
    log.info("not_written")
    log.warning("written", show_id="sh_1")
    (line,) = capsys.readouterr().err.splitlines()
    assert "written" in line
    assert "show_id=sh_1" in line


def test_personal_fields_are_dropped_by_name_at_any_depth(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs(replace(settings, log_json=True))
    structlog.get_logger("t").info(
        "checkout", name="Ada", order={"id": "or_1", "contact": "ada@example.com", "lines": [{"text": "hi", "qty": 1}]}
    )
    (line,) = lines_of(capsys)
    assert line["order"] == {"id": "or_1", "lines": [{"qty": 1}]}
    assert "name" not in line


def test_what_libraries_log_goes_the_same_way(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(replace(settings, log_json=True))
    logging.getLogger("uvicorn.error").warning("lost %s", "ada@example.com", extra={"client": "203.0.113.7"})
    logging.getLogger("uvicorn.access").info('203.0.113.7:1234 - "GET /s/lnk_1"')
    logging.getLogger("httpx").info("GET http://127.0.0.1/x")
    (line,) = lines_of(capsys)
    assert line["event"] == "lost <e-mail>"
    assert "client" not in line


def test_a_traceback_repeats_no_address_and_no_pass(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs(replace(settings, log_json=True))
    try:
        raise ValueError("Key (email)=(Ada Lovelace) already exists. for ada@example.com from 203.0.113.7")
    except ValueError:
        structlog.get_logger("t").exception("failed")
    (line,) = lines_of(capsys)
    text = str(line["exception"])
    assert "ValueError" in text
    assert "test_logs.py" in text
    # The source line itself is code, and stands in the traceback; what was raised is masked.
    raised = text.rpartition("ValueError:")[2]
    assert raised.strip() == "Key (email)=(<value>) already exists. for <e-mail> from <address>"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mail to ada.l+x@example.co.uk now", "mail to <e-mail> now"),
        ("from 10.0.0.1:8080", "from <address>:8080"),
        ("from 2001:db8:0:1:0:0:0:5", "from <address>"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ2dyJ9.c2ln", "Bearer <token>"),
        ("show sh_01 at 12:30:45 took 1.5 ms, version 0.1.0", "show sh_01 at 12:30:45 took 1.5 ms, version 0.1.0"),
    ],
)
def test_what_is_masked_in_texts(text: str, kept: str) -> None:
    assert masked(text) == kept


def test_a_close_code_is_a_number_and_stays() -> None:
    assert drop_personal(None, "info", {"event": "closed", "code": 4003}) == {"event": "closed", "code": 4003}
    assert drop_personal(None, "info", {"event": "entered", "code": "abc"}) == {"event": "entered"}


@given(st.dictionaries(st.sampled_from(sorted(PERSONAL | {"event", "show_id"})), st.text(), max_size=6))
def test_no_personal_name_is_ever_left(event: dict[str, str]) -> None:
    assert not set(drop_personal(None, "info", dict(event))) & PERSONAL
