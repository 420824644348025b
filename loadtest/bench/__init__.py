"""Benchmarks: what one core of the server does, beside comparators or another version. `make bench`.

declarations (scenarios/) → run → lab, sides → audience → figures → page
"""
