"""What was measured: histograms, tallies, thresholds; how healthy the generator and how busy the server were.

What leaves: rows of a second, totals, verdicts and the sentence that names what held a run back. Nothing here opens a
line to the server's rooms or draws anything.
"""
