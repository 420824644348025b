"""What a run found, for people and for programs: terminal, live page, one HTML file, JSON, NDJSON, JUnit, HDR text.

What arrives: a `Result`, or its rows while the run goes on. What leaves: text and files. It measures nothing and
decides nothing but how to say it.
"""
