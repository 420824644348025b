"""Does stock add up? What every simulated viewer was told, against the show's log and the ledger.

`books`     fetches the server's books over its API, once nothing is under way
`checker`   records and books in, `CheckResult` out; nothing else
`stories`   one viewer's requests: what she asked, what she was told, what the books say of it
`stretches` one viewer's news: what she saw of the show, and whether it joins up
`streams`   records from files, and put in order by viewer, in bounded memory
`findings`  counts every breach, keeps the first few with their history
`words`     records as lines that a person reads
"""
