"""Bytes ⇄ typed messages. No I/O, no state, no decisions.

`facts`       the things messages are made of: cards, deals, holds, lines of chat, events of the show
`from_viewer` what a viewer's page may send over the socket
`from_host`   what a host's console may command (over HTTP)
`to_viewer`   what the server sends over the socket
`codec`       the two subprotocols, msgpack and JSON
"""
