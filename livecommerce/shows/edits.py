"""A show's plan as rows: what an edit changes of it, and who may plan it where.

What arrives: plans of staff, already typed. What leaves: values of the row of `shows`, or a refusal. It knows no cards.
"""

from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import accounts, org_units, shows
from livecommerce.people.identity import StaffIdentity
from livecommerce.shows import corners, lifecycle
from livecommerce.shows.claims import plain_text
from livecommerce.shows.plans import EditClaims, EditShow, NewVideo
from livecommerce.shows.state import ShowState, has_zero


async def write_edit(connection: AsyncConnection, state: ShowState, edit: EditShow) -> None:
    facts = state.facts
    on_air = facts.status in ("live", "interrupted")
    values: dict[str, Any] = {
        name: value
        for name in (
            "title", "about", "corner", "access", "scheduled_at_ms", "launch_at_ms", "slow_seconds",
            "limit_per_person",
        )
        if (value := getattr(edit, name)) is not UNSET
    }  # fmt: skip
    values = {name: value for name, value in values.items() if value != _now(state, name)}
    if on_air and {"corner", "scheduled_at_ms", "launch_at_ms"} & values.keys():
        raise Refused(R.WRONG_STATE, state=facts.status)
    corner = corners.of(values.get("corner", facts.corner))
    if edit.corner_settings is not UNSET:
        values["corner_settings"] = corner.settings_of(edit.corner_settings)
    elif corner.name != facts.corner:
        values["corner_settings"] = corner.settings_of({})
    if edit.video is not UNSET:
        values["video"] = video_of(edit.video, _zero(state, edit.video, on_air=on_air))
    if edit.claims is not UNSET:
        values["claims"] = claims_of(edit.claims)
    if edit.move is not UNSET:
        values["status"] = lifecycle.moved(facts.status, edit.move)
    elif "scheduled_at_ms" in values:  # as in a new show: an instant schedules it, none makes it a draft again
        move: lifecycle.Move = "schedule" if values["scheduled_at_ms"] is not None else "unschedule"
        values["status"] = lifecycle.MOVES.get((facts.status, move), facts.status)
    if values:
        await connection.execute(update(shows).where(shows.c.id == facts.show_id).values(values))


async def refuse_place(connection: AsyncConnection, staff: StaffIdentity, org_unit_id: str, host_id: str) -> None:
    unit = select(org_units.c.path).where(org_units.c.id == org_unit_id)
    path = (await connection.execute(unit)).scalar_one_or_none()
    if path is None:
        raise Refused(R.NOT_FOUND, what="place in the organisation")
    refuse_scope(staff, path)
    host = select(org_units.c.path).join(accounts, accounts.c.org_unit_id == org_units.c.id)
    host_path = (await connection.execute(host.where(accounts.c.id == host_id))).scalar_one_or_none()
    if host_path is None:
        raise Refused(R.NOT_FOUND, what="host")
    refuse_scope(staff, host_path)


def refuse_scope(staff: StaffIdentity, org_path: str) -> None:
    if not staff.may_act_in(org_path):
        raise Refused(R.FORBIDDEN)


def _now(state: ShowState, name: str) -> Any:
    return state.slow_seconds if name == "slow_seconds" else getattr(state.facts, name)


def _zero(state: ShowState, new: NewVideo, *, on_air: bool) -> int | None:
    """When the picture's programme began. Another clip or film begins when it comes on air."""
    before = state.facts.video
    if new.restart and on_air and has_zero(new):
        return state.now_ms
    if (new.source or new.kind) == (before.source or before.kind):
        return before.started_at_ms
    return state.now_ms if on_air and has_zero(new) and not new.by_hand else None


def video_of(new: NewVideo, started_at_ms: int | None = None) -> dict[str, Any]:
    if new.kind in ("hls", "file") and not new.url:
        raise Refused(R.MALFORMED, expected="the address of the picture")
    plain: dict[str, Any] = msgspec.to_builtins(new)
    del plain["restart"]  # a wish, not a fact
    plain["clock"] = new.clock or "pdt"
    return {**plain, "started_at_ms": started_at_ms}


def claims_of(rules: EditClaims) -> dict[str, Any]:
    """Refuses MALFORMED for claims without a word to begin with."""
    if any(not plain_text(word).strip() for word in rules.keywords) or (rules.on and not rules.keywords):
        raise Refused(R.MALFORMED, expected="at least one word that a claim begins with, and none of blanks alone")
    plain: dict[str, Any] = msgspec.to_builtins(rules)
    return plain
