"""Rows of the ledger in the words a person reads: the order in a line, its page, the pick-up promise.

What arrives: rows. What leaves: facts and sentences. It reads and decides nothing.
"""

import datetime
import zoneinfo
from collections.abc import Iterable
from typing import Any

from livecommerce.orders.facts import Address, Counter, OrderLine, OrderPage, Pickup, StaffOrder
from livecommerce.protocol.facts import HoldLine, OrderFacts
from livecommerce.settings import Settings

TEST_NOTICE = "TEST — no money moves"


def order_facts(order: Any, pay_url: str = "", *, with_code: bool = True, lines: Iterable[Any] = ()) -> OrderFacts:
    """The order in one line. The link and its clock stand only where they can still be used, its lines once it is
    confirmed."""
    paying, declined = order.status == "paying", order.status == "declined"
    code = order.pickup_code if with_code and order.status == "confirmed" else ""
    return OrderFacts(
        order_id=order.id, number=order.number, rid=order.rid, status=order.status, total_minor=order.total_minor,
        currency=order.currency, livemode=order.livemode, pickup_code=code,
        pay_url=pay_url if paying else "", pay_by_ms=order.pay_by_ms if paying or declined else None,
        retry_by_ms=order.pay_by_ms if declined else None,
        lines=tuple(HoldLine(row.deal_id, row.qty) for row in lines) if order.status == "confirmed" else (),
        version=order.version,
    )  # fmt: skip


def order_page(
    order: Any, lines: Iterable[Any], counter: Counter | None, pay_url: str, settings: Settings
) -> OrderPage:
    """The page of an order, for its owner."""
    lines = tuple(lines)
    return OrderPage(
        order=order_facts(order, pay_url, lines=lines),
        show_id=order.show_id,
        shop_name=settings.shop_name,
        story=_story(order, settings),
        test_notice="" if order.livemode else TEST_NOTICE,
        lines=order_lines_of(lines),
        subtotal_minor=order.subtotal_minor,
        shipping_minor=order.shipping_minor,
        tax_minor=order.tax_minor,
        tax_included=order.tax_included,
        delivery=order.delivery,
        contact_name=order.contact_name,
        contact=order.contact,
        address=Address(**order.address),
        counter=counter,
        pickup_promise=_promise(order, counter),
        promises=tuple(order.promises),
        created_at_ms=order.created_at_ms,
        paid_at_ms=order.paid_at_ms,
        collected_at_ms=order.collected_at_ms,
    )


def staff_order(order: Any, lines: Iterable[Any], counter_name: str) -> StaffOrder:
    """The order for the desk: without the link, the address and how to reach her."""
    shown = order_lines_of(lines)
    return StaffOrder(
        order=order_facts(order, with_code=False), viewer_id=order.viewer_id, contact_name=order.contact_name,
        delivery=order.delivery, units=sum(line.qty for line in shown), lines=shown, advisor_id=order.advisor_id,
        shop_id=order.shop_id, link_id=order.link_id, test=not order.livemode, created_at_ms=order.created_at_ms,
        paid_at_ms=order.paid_at_ms, counter_name=counter_name,
    )  # fmt: skip


def pickup_of(order: Any, lines: Iterable[Any], *, already: bool = False) -> Pickup:
    """The order at the counter."""
    return Pickup(
        code=order.pickup_code, order_id=order.id, number=order.number, contact_name=order.contact_name,
        location_id=order.pickup_location_id, lines=order_lines_of(lines), promises=tuple(order.promises),
        test=not order.livemode, paid_at_ms=order.paid_at_ms, collected_at_ms=order.collected_at_ms, already=already,
    )  # fmt: skip


def order_lines_of(rows: Iterable[Any]) -> tuple[OrderLine, ...]:
    return tuple(OrderLine(row.title, row.label, row.qty, row.unit_minor, row.total_minor) for row in rows)


def _promise(order: Any, counter: Counter | None) -> str:
    if order.status != "confirmed" or counter is None:
        return ""
    if order.collected_at_ms is not None:
        return f"Collected at {counter.name}."
    place = ", ".join(part for part in (counter.name, counter.address, counter.city) if part)
    hours = f" ({counter.hours})" if counter.hours else ""
    return f"Ready at {place}{hours}. Show code {order.pickup_code}; it is kept for you by name."


def _story(order: Any, settings: Settings) -> str:
    by = _clock_time(order.pay_by_ms, settings.time_zone)
    confirmed = (
        "Paid. We are packing it." if order.delivery == "ship" else "Paid. It is waiting for you at the counter."
    )
    return {
        "paying": f"Your unit is safe until {by}. Do not pay twice: if you have paid, this page changes by itself.",
        "declined": f"The payment was declined. Your unit is kept until {by} for another try.",
        "confirmed": confirmed,
        "expired": f"The time to pay ended at {by} and the unit went back. You were not charged.",
        "cancelled": "You cancelled this order. You were not charged.",
        "refund_due": f"Your payment arrived after {by}, when no unit was left. All of it is on its way back to you.",
        "refunded": f"Your payment arrived after {by}, when no unit was left. All of it was given back.",
    }[order.status]


def _clock_time(at_ms: int | None, time_zone: str) -> str:
    at = datetime.datetime.fromtimestamp((at_ms or 0) / 1000, zoneinfo.ZoneInfo(time_zone))
    return at.strftime("%H:%M")
