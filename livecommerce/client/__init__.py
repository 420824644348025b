"""The Python client of a livecommerce server: the socket of a show, and the HTTP API.

`ShowSocket` (socket.py) keeps one viewer in one show through breaks; `Api` (api.py) speaks typed JSON and raises the
closed list's refusals. Both know the protocol and nothing of the server's insides.
"""

from livecommerce.client.api import Api
from livecommerce.client.socket import Closed, ShowSocket, return_delay_seconds

__all__ = ["Api", "Closed", "ShowSocket", "return_delay_seconds"]
