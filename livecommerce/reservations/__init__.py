"""Reservations: who gets a unit. One script in Redis decides; everything here carries requests to it and answers back.

`keys`          the names of everything in Redis
`states`        states and moves of a hold, as tables
`engine`        the verbs, in words and types: what the other parts call
`drawing`       a deal's draw, carried out part by part; `draw` is its arithmetic, `drawn_again` after books were lost
`pulling`       everybody who holds of a deal that is pulled, let go
`batcher`       many requests, one call
`store`         the one connection, the scripts of `lua/`
`relay_format`  the stored record of a hold ⇄ what people see
`tokens`        signed hold tokens
`model`         the same rules in plain Python, for the tests to compare with
"""

from livecommerce.reservations.engine import Beat, DealStock, ReservationEngine

__all__ = ["Beat", "DealStock", "ReservationEngine"]
