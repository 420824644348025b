"""Children that end with their parent, however it dies."""

import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import os, signal, subprocess
from livecommerce.children import end_with_parent
child = subprocess.Popen(["sleep", "600"], preexec_fn=end_with_parent())
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_ends_with_a_parent_that_was_killed() -> None:
    parent = subprocess.run([sys.executable, "-c", PARENT], check=False, capture_output=True, text=True, timeout=60)

    assert parent.returncode == -signal.SIGKILL
    while _runs(int(parent.stdout)):
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """Whether it does anything yet: one that nobody has buried is dead all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
