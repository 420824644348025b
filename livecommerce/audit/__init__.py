"""The audit: does what was held, paid and told add up? It reads all the books of a show and changes nothing.

`digest`    one event of the show in sixteen bytes, the same on both sides
`books`     everything needed to prove from outside that stock is conserved: rows, and how they are read
`breaches`  pure: the books in, a sentence for each thing that does not add up out
"""
