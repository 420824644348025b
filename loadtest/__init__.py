"""The load tester: proves, before the evening, that the evening will hold. `livecommerce loadtest --help`.

    scenario → conductor → orders → generators → light viewers → the server
    report, verdict, checker ← conductor ← samples, records ← generators

It is an outsider: it speaks the server's HTTP API and socket, as staff and as viewers, and reads the books of a show
through an endpoint of its own. Nothing here runs inside the server.
"""
