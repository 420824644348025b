"""Webhooks that come twice, out of order, late, forged or for nobody: each moves what it should, once, or nothing."""

import base64
import datetime
import json

import pytest
from sqlalchemy import func, select
from standardwebhooks.webhooks import Webhook

from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import webhook_events
from livecommerce.orders.payments.signing import sign, signed_headers, verify
from tests.orders.world import World, viewer

SECRET = "a secret of this test"
BODY = b'{"type":"payment.captured"}'
NOW_MS = 1_800_000_000_000


def event_of(ref: str, amount: int = 2489, kind: str = "payment.captured", currency: str = "EUR") -> bytes:
    return json.dumps({"type": kind, "data": {"ref": ref, "amount_minor": amount, "currency": currency}}).encode()


async def tell(world: World, event_id: str, body: bytes, *, at_ms: int | None = None) -> None:
    headers = signed_headers(world.settings.webhook_secret, event_id, at_ms or world.clock.now_ms(), body)
    await world.orders.webhook("test", body, headers)
    await world.orders.run_outbox()


async def ref_of(world: World) -> str:
    return (await world.checkout()).pay_url.rpartition("/")[2]


async def test_the_same_event_three_times_has_one_effect(world: World) -> None:
    answer = await world.checkout()

    pressed = await world.press(answer, "duplicate")

    assert pressed.webhooks == (200, 200, 200)
    assert await world.deal() == (3, 0, 1)
    assert (await world.one(select(func.count()).select_from(webhook_events)))[0] == 1


async def test_the_same_news_under_two_event_ids_has_one_effect(world: World) -> None:
    ref = await ref_of(world)

    await tell(world, "evt_1", event_of(ref))
    await tell(world, "evt_2", event_of(ref))

    assert await world.status() == "confirmed"
    assert await world.deal() == (3, 0, 1)


async def test_a_decline_that_comes_after_the_capture_is_stale(world: World) -> None:
    ref = await ref_of(world)
    await tell(world, "evt_1", event_of(ref))
    before = await world.everything()

    await tell(world, "evt_0", event_of(ref, kind="payment.declined"))

    assert await world.everything() == before


async def test_a_capture_that_comes_after_the_decline_of_the_same_link_counts(world: World) -> None:
    ref = await ref_of(world)
    await tell(world, "evt_0", event_of(ref, kind="payment.declined"))

    await tell(world, "evt_1", event_of(ref))

    assert await world.status() == "confirmed"


async def test_a_decline_of_an_old_link_does_not_touch_the_new_try(world: World) -> None:
    first = await world.checkout()
    await world.press(first, "decline")
    await world.orders.retry(viewer(), first.order.order_id)

    await tell(world, "evt_x", event_of(first.pay_url.rpartition("/")[2], kind="payment.declined"))

    assert await world.status() == "paying"


async def test_an_event_of_no_interest_is_acknowledged_and_moves_nothing(world: World) -> None:
    ref = await ref_of(world)
    before = await world.everything()

    await tell(world, "evt_1", event_of(ref, kind="payment.viewed"))

    assert await world.everything() == before


@pytest.mark.parametrize(("amount", "currency"), [(1, "EUR"), (2490, "EUR"), (2489, "USD")])
async def test_money_of_another_amount_or_currency_confirms_nothing_and_goes_back(
    world: World, amount: int, currency: str
) -> None:
    ref = await ref_of(world)

    await tell(world, "evt_1", event_of(ref, amount, currency=currency))

    assert await world.status() == "paying"
    assert await world.payment_states() == [("refunded", "refunded")]


async def test_a_forged_webhook_is_refused_and_nothing_moves(world: World) -> None:
    answer = await world.checkout()
    before = await world.everything()

    pressed = await world.press(answer, "bad_signature")

    assert pressed.webhooks == (401,)
    assert await world.everything() == before
    assert (await world.one(select(func.count()).select_from(webhook_events)))[0] == 0


@pytest.mark.parametrize("off_seconds", [-301, 301])
async def test_a_webhook_signed_too_long_ago_or_ahead_is_refused(world: World, off_seconds: int) -> None:
    ref = await ref_of(world)
    before = await world.everything()

    with pytest.raises(Refused) as refused:
        await tell(world, "evt_1", event_of(ref), at_ms=world.clock.now_ms() + off_seconds * 1000)

    assert refused.value.why is R.SIGNATURE
    assert await world.everything() == before


async def test_a_payment_nobody_knows_is_refused_and_may_be_told_again(world: World) -> None:
    with pytest.raises(Refused) as refused:
        await tell(world, "evt_1", event_of("test_unknown"))

    assert refused.value.why is R.NOT_FOUND
    assert (await world.one(select(func.count()).select_from(webhook_events)))[0] == 0


async def test_a_signed_body_that_is_no_event_is_malformed(world: World) -> None:
    with pytest.raises(Refused) as refused:
        await tell(world, "evt_1", b'{"type": 7')

    assert refused.value.why is R.MALFORMED


async def test_a_provider_that_is_not_ours_is_not_found(world: World) -> None:
    with pytest.raises(Refused) as refused:
        await world.orders.webhook("other", b"{}", {})

    assert refused.value.why is R.NOT_FOUND


# --- the signature itself -------------------------------------------------------------------------------------------


def test_our_signature_is_the_one_of_the_standard() -> None:
    """The published package signs the same; it is not used itself because it reads the machine's clock."""
    theirs = Webhook("whsec_" + base64.b64encode(SECRET.encode()).decode())
    at = datetime.datetime.fromtimestamp(NOW_MS // 1000, datetime.UTC)

    assert sign(SECRET, "msg_1", NOW_MS // 1000, BODY) == theirs.sign("msg_1", at, BODY.decode())


def test_a_message_is_good_under_the_new_and_the_old_secret_while_one_is_replaced() -> None:
    headers = signed_headers("old", "msg_1", NOW_MS, BODY)

    assert verify(["new", "old"], BODY, headers, NOW_MS) == "msg_1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"}, {"webhook-id": ""}, {"webhook-timestamp": str(NOW_MS // 1000 + 1)},
        {"webhook-timestamp": "soon"}, {"webhook-timestamp": "١٨٠٠٠٠٠٠٠٠"}, {"webhook-timestamp": "9" * 40},
        {"webhook-signature": ""}, {"webhook-signature": "v1,"}, {"webhook-signature": "v2,abc"},
        {"webhook-signature": "v1,é"},
    ],
)  # fmt: skip
def test_whatever_is_changed_breaks_the_signature(change: dict[str, str]) -> None:
    headers = signed_headers(SECRET, "msg_1", NOW_MS, BODY) | change

    with pytest.raises(Refused) as refused:
        verify([SECRET], BODY, headers, NOW_MS)

    assert refused.value.why is R.SIGNATURE


def test_another_body_breaks_the_signature() -> None:
    with pytest.raises(Refused):
        verify([SECRET], BODY + b" ", signed_headers(SECRET, "msg_1", NOW_MS, BODY), NOW_MS)
