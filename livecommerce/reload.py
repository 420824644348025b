"""`livecommerce reload`: asks the supervisor of a data folder to replace its processes, and waits for what came of it.

What arrives: a data folder. What leaves: a signal to its supervisor, and words of how far it is. Between the two stands
a note in the data folder, which the supervisor alone writes. It does not know how processes are replaced.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from livecommerce.valkey_child import DataFolderInUse, lock_data_folder

_LOOK_SECONDS = 0.05
Fate = Literal["under_way", "done", "failed"]


class Note(msgspec.Struct, frozen=True):
    """Where the supervisor's last reload stands. `number` grows with each; `text` is for a person."""

    supervisor: int
    number: int = 0
    fate: Fate = "done"
    text: str = "started"


def note_path(data: Path) -> Path:
    return data / "reload.json"


def write_note(data: Path, note: Note) -> None:
    """Written beside it and renamed: nobody reads half a note."""
    draft = note_path(data).with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(note))
    draft.replace(note_path(data))


def reload(data: Path, say: Callable[[str], None]) -> bool:
    """Send SIGHUP and wait for the end of the reload that follows. True where everything was replaced.

    Raises `RuntimeError` where no supervisor runs on this folder, or it ended meanwhile. Interrupting it leaves the
    reload to go on.
    """
    before = _note_of_running(data)
    os.kill(before.supervisor, signal.SIGHUP)
    said = ""
    while True:
        note = _note_of_running(data)
        if note.number > before.number:
            if note.text != said:
                said = note.text
                say(said)
            # One that was under way when we asked is followed by ours.
            if note.fate != "under_way" and note.number > before.number + (before.fate == "under_way"):
                return note.fate == "done"
        time.sleep(_LOOK_SECONDS)


def _note_of_running(data: Path) -> Note:
    """Raises `RuntimeError` where nobody holds the folder's lock: the note is of a supervisor that has gone."""
    if not (data / "lock").exists() or _is_free(data) or not note_path(data).exists():
        raise RuntimeError(
            f"No `livecommerce serve` runs on the data folder {data.resolve()}: there is nothing to reload."
        )
    return msgspec.json.decode(note_path(data).read_bytes(), type=Note)


def _is_free(data: Path) -> bool:
    try:
        os.close(lock_data_folder(data))
    except DataFolderInUse:
        return False
    return True
