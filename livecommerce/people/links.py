"""Share links: each knows the advisor it credits, so attribution is in the data from the first visit on.

What arrives: an advisor and, where the link is for one, a show. What leaves: a link, its address, its QR as SVG.
Every advisor has one default link per show: its id is computed from the two, so that two processes that make it at
once make the same one. It does not know what a visitor does after following it.
"""

import base64
import hashlib
import io

import msgspec
import segno
from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import is_id, new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import links
from livecommerce.settings import Settings


class ShareLink(msgspec.Struct, frozen=True):
    """A link and whom it credits. Without a show it leads to the shop's first page."""

    link_id: str
    advisor_id: str
    shop_id: str
    show_id: str
    invitation_id: str
    label: str


class Links:
    """Makes and finds share links."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    async def make(
        self, advisor_id: str, shop_id: str, show_id: str = "", label: str = "", invitation_id: str = ""
    ) -> ShareLink:
        """A further link, with a label or an invitation of its own."""
        link = ShareLink(new_id("lnk"), advisor_id, shop_id, show_id, invitation_id, label)
        await self._keep(link)
        return link

    async def default_for(self, advisor_id: str, shop_id: str, show_id: str) -> ShareLink:
        """The advisor's own link to the show, made at the first asking."""
        link = ShareLink(_default_id(advisor_id, show_id), advisor_id, shop_id, show_id, "", "")
        try:
            return await self.find(link.link_id)
        except Refused:
            pass
        try:
            await self._keep(link)
        except IntegrityError:
            # Another process was faster; its row says the same.
            return await self.find(link.link_id)
        return link

    async def find(self, link_id: str) -> ShareLink:
        """Raises `Refused(NOT_FOUND)`."""
        if not is_id(link_id):
            raise Refused(R.NOT_FOUND, what="link")
        async with self._database.read() as connection:
            row = (await connection.execute(select(links).where(links.c.id == link_id))).first()
        if row is None:
            raise Refused(R.NOT_FOUND, what="link")
        return _link(row)

    def url(self, link: ShareLink) -> str:
        """What people share and scan."""
        return f"{self._settings.base_url}/s/{link.link_id}"

    async def _keep(self, link: ShareLink) -> None:
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                insert(links).values(
                    id=link.link_id,
                    advisor_id=link.advisor_id,
                    shop_id=link.shop_id,
                    show_id=link.show_id,
                    invitation_id=link.invitation_id,
                    label=link.label,
                    created_at_ms=now_ms,
                )
            )

        await self._database.write(work)


def qr_svg(text: str) -> str:
    """A QR code as an SVG element that scales with its box; dark on white whatever the page's colours are."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, border=4, omitsize=True, light="#fff", dark="#000"
    )
    return out.getvalue().decode().strip()


def _default_id(advisor_id: str, show_id: str) -> str:
    digest = hashlib.sha256(f"{advisor_id}\0{show_id}".encode()).digest()[:10]
    # The alphabet of our ids: Crockford's, which leaves out the letters that are misread.
    standard, crockford = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz"
    return "lnk_" + base64.b32encode(digest).translate(bytes.maketrans(standard, crockford)).decode()


def _link(row: "Row[tuple[str, ...]]") -> ShareLink:
    return ShareLink(row.id, row.advisor_id, row.shop_id, row.show_id, row.invitation_id, row.label)
