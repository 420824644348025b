"""A page as a build leaves it, small enough to read: what the reports are put into where the real one is not built."""

from pathlib import Path

import pytest

BUILT = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>Load test</title>
    <script type="module" crossorigin src="/static/assets/report-1.js"></script>
    <link rel="stylesheet" crossorigin href="/static/assets/report-1.css">
  </head>
  <body class="page-report">
    <div id="root"></div>
  </body>
</html>
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "report.html").write_text(BUILT)
    (folder / "assets" / "report-1.js").write_text('console.log("</script><!-- \\\\1");')
    (folder / "assets" / "report-1.css").write_text("body{color:red}")
    return folder
