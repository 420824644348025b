"""Measures the server from outside, beside plain comparators, and writes down what came out: `python -m loadtest`."""
