"""Which receiver a generator gets.

What arrives: who is asked about shared frames, and what the run needs. What leaves: a receiver, and the reason in words
where it is not the fast one, for the report.
"""

from livecommerce.compiled import CannotBuild
from loadtest.wire.native import NativeReceiver
from loadtest.wire.portable import PortableReceiver
from loadtest.wire.receiver import OnShared, Receiver


def open_receiver(on_shared: OnShared, *, portable: bool = False, tls: bool = False) -> tuple[Receiver, str]:
    """The fastest receiver that will do here, and why it is not the native one ("" where it is)."""
    if portable:
        return PortableReceiver(on_shared), "the portable receiver was asked for"
    if tls:
        return PortableReceiver(on_shared), "the native receiver does not speak TLS"
    try:
        return NativeReceiver(on_shared), ""
    except CannotBuild as error:
        return PortableReceiver(on_shared), str(error)
