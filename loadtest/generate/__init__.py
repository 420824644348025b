"""One generator: a process with thousands of light viewers, that does what a conductor orders and tells what it saw.

orders → link → generator → pacer, viewers → wire → the server
samples, records ← link ← generator ← viewers ← wire
"""
