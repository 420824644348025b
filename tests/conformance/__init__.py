"""What a WebSocket test suite checks, as a table of our own. `python -m tests.conformance` runs it, writes the page."""
