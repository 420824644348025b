"""Everything on one machine: what `livecommerce serve` is, before and beside its supervisor.

What arrives: checked settings. What leaves: tables that are up to date, a supervisor that runs until it is stopped, and
its exit code. It loads nothing that serves a request: this process lives as long as the shop and only keeps others
alive, so what the web process and the worker are made of would cost every start a quarter of a second and 20 MB, for
nothing.
"""

import asyncio

from livecommerce.gateway.judge import refuse_unknown_judge
from livecommerce.ledger.migrate import migrate
from livecommerce.logs import set_up_logs
from livecommerce.orders.payments.registry import refuse_unknown_provider
from livecommerce.settings import Settings
from livecommerce.supervisor import Supervisor, say_what_is_lost


def serve(settings: Settings) -> int:
    """Everything on this machine, until SIGINT or SIGTERM. Raises as `Supervisor.run`, and `SettingsError` for a
    payment provider or a judge of lines that is not installed: told once and here, not by children that are started
    again and again."""
    refuse_unknown_provider(settings.payment_provider)
    refuse_unknown_judge(settings)
    set_up_logs(settings)
    say_what_is_lost(settings)
    asyncio.run(migrate(settings.sql_url))
    return Supervisor(settings).run()
