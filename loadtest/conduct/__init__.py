"""Conducts a run: starts the server or opens the target, orders the crowd, closes the seconds, settles, judges.

run → own_server | target        the server, and the hands of its host
    → conductor → generators     orders out, samples and records in
    → stage ← scenario           what a scenario is written in
"""
