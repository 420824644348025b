"""Bytes that nobody would send: every place that reads what strangers wrote, each as a function of bytes.

`python -m tests.fuzz` runs them (with atheris where it is installed: `pip install -e .[fuzz]`), `corpus/` keeps what is
worth trying again, and the suite tries all of it and some thousand changes of it.
"""
