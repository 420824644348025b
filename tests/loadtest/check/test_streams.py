"""Records from files, and put in order by viewer: all of them, in their order, and never all in memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.check import streams
from loadtest.check.checker import check
from loadtest.check.streams import ByViewer, records_of
from loadtest.records import Answered, AnyRecord, Ended, EventSeen, encode
from tests.loadtest.check.test_checker import evening
from tests.loadtest.check.world import PATIENCE_US

VIEWERS, EACH = 500, 60


def written(folder: Path, records: list[AnyRecord], cut: int = 0) -> Path:
    path = folder / "records"
    stream = b"".join(map(encode, records))
    path.write_bytes(stream[: len(stream) - cut])
    return path


def many() -> Iterator[AnyRecord]:
    """In turns, as a crowd writes them; some 100 bytes each."""
    for turn in range(EACH):
        for number in range(VIEWERS):
            yield Answered(turn, f"vw_{number:016}", f"{turn:032}", "released", 7, (("dea_0000000000000000", 1),))


@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 1 << 20])
def test_a_file_is_read_record_by_record_wherever_its_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    monkeypatch.setattr(streams, "PIECE_BYTES", piece_bytes)
    records, _ = evening().finish()

    assert list(records_of(written(tmp_path, records))) == records


@pytest.mark.parametrize("cut", [1, 3, 20])
def test_what_a_generator_that_died_had_begun_to_write_is_left_out(tmp_path: Path, cut: int) -> None:
    records: list[AnyRecord] = [EventSeen(1, "ep1", number, "f" * 32) for number in range(3)]

    assert list(records_of(written(tmp_path, records, cut))) == records[:2]


def test_a_generator_that_never_sent_any_has_none(tmp_path: Path) -> None:
    assert list(records_of(tmp_path / "nothing")) == []


def test_every_viewers_records_come_back_in_their_order_from_memory_and_from_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sorted_by_viewer() -> dict[tuple[int, str], list[AnyRecord]]:
        with ByViewer() as by_viewer:
            for number, record in enumerate(many()):
                assert isinstance(record, Answered)
                by_viewer.put((number % 2, record.viewer), record)
            by_viewer.put((2, "vw_last"), Ended("vw_last", "in"))
            return dict(by_viewer.stories())

    in_memory = sorted_by_viewer()
    monkeypatch.setattr(streams, "PART_BYTES_IN_MEMORY", 100)
    from_files = sorted_by_viewer()

    assert from_files == in_memory
    assert len(in_memory) == VIEWERS + 1
    assert in_memory[2, "vw_last"] == [Ended("vw_last", "in")]
    assert all(
        [getattr(each, "at_us", None) for each in story] == list(range(EACH))
        for (generator, _), story in in_memory.items()
        if generator < 2
    )


def test_a_long_run_is_judged_without_having_its_records_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PART_BYTES_IN_MEMORY", 4096)
    monkeypatch.setattr(streams, "PIECE_BYTES", 1 << 16)
    _, books = evening().finish()
    path = tmp_path / "records"
    with path.open("wb") as file:
        for record in many():
            file.write(encode(record))

    tracemalloc.start()
    result = check([records_of(path)], books, patience_us=PATIENCE_US)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert result.checked["answers"] == VIEWERS * EACH
    assert peak_bytes < path.stat().st_size / 2


def test_what_was_written_in_passing_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART_BYTES_IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with ByViewer() as by_viewer:
        for record in many():
            assert isinstance(record, Answered)
            by_viewer.put((0, record.viewer), record)

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        next(by_viewer.stories())
