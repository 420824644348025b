"""Where a show's picture may come from: one adapter for each way, ours and a shop's own.

`contract.py` says what an adapter is, `registry.py` which there are, `addresses.py` which addresses of others we put
into a page. Each other file is one of ours.
"""
