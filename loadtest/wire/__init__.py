"""The raw protocol of ten thousand light viewers: handshakes, frames, and two receivers that behave the same.

`receiver.py` is the interface and what both share; `native.py` with `native.c` is the fast one, `portable.py` the one
that runs everywhere and speaks TLS. It knows nothing of shows beyond the first word of a message.
"""
