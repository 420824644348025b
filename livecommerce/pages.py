"""Where the built pages are. What leaves: the folder, or None in a checkout whose pages were not built yet."""

from pathlib import Path


def pages_folder() -> Path | None:
    folder = Path(__file__).parent / "static"
    return folder if (folder / "watch.html").exists() else None
