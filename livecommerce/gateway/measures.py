"""What the hub measures, for `/metrics`: histograms, so that processes can be added up."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

SOCKETS = Gauge("livecommerce_hub_sockets", "Open sockets of this process")
ROOMS = Gauge("livecommerce_hub_rooms", "Shows with viewers in this process")
PUBLISH_TO_WRITE = Histogram(
    "livecommerce_hub_publish_to_write_seconds", "From an event's stamp to its last write here", buckets=_SECONDS
)
FAN_OUT = Histogram("livecommerce_hub_fan_out_seconds", "One frame to every viewer of a room", buckets=_SECONDS)
LOOP_LAG = Histogram("livecommerce_hub_loop_lag_seconds", "How late the event loop wakes", buckets=_SECONDS)
ANSWER = Histogram(
    "livecommerce_hub_answer_seconds", "From a reserve, release or accept to its answer", ["kind"], buckets=_SECONDS
)
DISCONNECTS = Counter("livecommerce_hub_disconnects", "Closed by us, by close code", ["code"])
REJECTED = Counter("livecommerce_hub_rejected", "Handshakes refused, by the word of the refusal", ["word"])
DROPPED = Counter("livecommerce_hub_dropped", "Frames not queued for a viewer", ["lane", "reason"])
RECOVER = Counter("livecommerce_hub_recover", "Joins that asked to resume", ["recovered"])
RELAY_UP = Gauge("livecommerce_hub_relay_up", "1 while this process hears Redis")
