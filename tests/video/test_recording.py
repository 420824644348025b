"""A recording on disk: one writer, any number of readers, and a process that may die between any two bytes."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from livecommerce.video.boxes import Fragment, Header, Track
from livecommerce.video.recording import Recording, SomebodyElse, open_writer

HEADER = Header(b"HEADER", (Track(1, "video", 1000, "avc1.42c01e", 720, 1280),))


def fragment(number: int, size: int = 1000) -> Fragment:
    return Fragment(bytes([65 + number % 26]) * size, number * 500.0, 500.0, number % 2 == 0)


def test_what_was_written_is_read_again_by_any_other(tmp_path: Path) -> None:
    writer, reader = open_writer(tmp_path / "show"), Recording(tmp_path / "show")
    assert not reader.refresh()

    writer.begin(HEADER, 5000.0)
    for number in range(5):
        writer.add(fragment(number))

    assert reader.refresh()
    assert len(reader.timeline.parts) == 5
    assert reader.header(0) == b"HEADER"
    assert reader.parts(0, 0) == b"A" * 1000
    assert reader.parts(3, 4) == b"D" * 1000 + b"E" * 1000
    assert reader.timeline.parts[4].programme_ms == 7000.0
    assert not reader.refresh()
    writer.add(fragment(5))
    assert reader.refresh()
    assert reader.parts(5, 5) == b"F" * 1000
    writer.close()


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    writer, reader = open_writer(tmp_path), Recording(tmp_path)
    writer.begin(HEADER, 0.0)
    writer.add(fragment(0))
    reader.refresh()

    assert reader.header(1) is None
    assert reader.parts(1, 1) is None
    writer.close()
    (tmp_path / "0.mp4").unlink()
    assert reader.parts(0, 0) is None


def test_a_show_has_one_writer_and_the_next_begins_an_epoch(tmp_path: Path) -> None:
    first = open_writer(tmp_path)
    first.begin(HEADER, 0.0)
    first.add(fragment(0))
    with pytest.raises(SomebodyElse):
        open_writer(tmp_path)
    first.close()

    second = open_writer(tmp_path)
    second.begin(HEADER, 9000.0)
    second.add(fragment(1))
    second.close()

    reader = Recording(tmp_path)
    reader.refresh()
    assert [part.epoch for part in reader.timeline.parts] == [0, 1]
    assert reader.parts(1, 1) == b"B" * 1000


def test_a_row_that_a_death_cut_off_is_no_row_and_spoils_no_other(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.begin(HEADER, 0.0)
    writer.add(fragment(0))
    writer.close()
    index = (tmp_path / "index.ndjson").read_bytes()
    for cut in range(len(index)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "0.mp4").write_bytes((tmp_path / "0.mp4").read_bytes())
        (folder / "index.ndjson").write_bytes(index[:cut])
        again = open_writer(folder)
        again.begin(HEADER, 1.0)
        again.add(fragment(1))
        again.close()
        reader = Recording(folder)
        reader.refresh()
        assert reader.parts(len(reader.timeline.parts) - 1, len(reader.timeline.parts) - 1) == b"B" * 1000


def test_a_reader_that_looks_between_two_halves_of_a_row_waits_for_the_other(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.begin(HEADER, 0.0)
    writer.add(fragment(0))
    writer.close()
    index = (tmp_path / "index.ndjson").read_bytes()
    (tmp_path / "index.ndjson").write_bytes(b"")
    reader = Recording(tmp_path)
    for at in range(len(index)):
        with (tmp_path / "index.ndjson").open("ab") as file:
            file.write(index[at : at + 1])
        reader.refresh()
    assert len(reader.timeline.parts) == 1


# Writes for ever, and says after each fragment how many there are.
_WRITES = """
import sys
from pathlib import Path
from tests.video.test_recording import HEADER, fragment
from livecommerce.video.recording import open_writer
writer = open_writer(Path(sys.argv[1]))
writer.begin(HEADER, 0.0)
for number in range(1_000_000):
    writer.add(fragment(number, 30_000))
    print(number, flush=True)
"""


def test_kill_9_at_any_moment_leaves_all_that_was_written(tmp_path: Path) -> None:
    for lines in (1, 7, 40):
        folder = tmp_path / str(lines)
        process = subprocess.Popen([sys.executable, "-c", _WRITES, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        last = int(rest[-1]) if rest else said[-1]

        reader = Recording(folder)
        reader.refresh()
        count = len(reader.timeline.parts)
        assert count >= last + 1
        for number in (0, count - 1):
            assert reader.parts(number, number) == fragment(number, 30_000).data
        open_writer(folder).close()  # the dead process's lock went with it


# Every file of this process may be this large; beyond it a write fails as it does on a full disk.
_DISK_FULL = """
import resource, signal, sys
from pathlib import Path
from tests.video.test_recording import HEADER, fragment
from livecommerce.video.recording import open_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = open_writer(Path(sys.argv[1]))
writer.begin(HEADER, 0.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
kept = 0
try:
    for number in range(1000):
        writer.add(fragment(number, int(sys.argv[3])))
        kept += 1
except OSError:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.add(fragment(kept, int(sys.argv[3])))
print(kept)
"""


@pytest.mark.parametrize(("most", "size"), [(50_500, 1000), (1024, 1)], ids=["in the film", "in the index"])
def test_a_full_disk_costs_the_fragment_that_did_not_fit_and_no_other(tmp_path: Path, most: int, size: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", _DISK_FULL, str(tmp_path), str(most), str(size)],
        capture_output=True, text=True, check=True, cwd=os.getcwd(),
    )  # fmt: skip
    kept = int(done.stdout)

    reader = Recording(tmp_path)
    reader.refresh()
    assert kept > 2
    assert len(reader.timeline.parts) == kept + 1
    for number in range(kept + 1):
        assert reader.parts(number, number) == fragment(number, size).data
