"""The demo's own goods: an invented house, its catalogue as a product CSV, its pictures and its clip."""

from pathlib import Path

GOODS = Path(__file__).parent
CLIP_FILES = ("clip.mp4", "clip.webm", "poster.webp")
