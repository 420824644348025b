"""The catalogue over HTTP: the public shop's lists and pictures, and staff's import, stock, locations and uploads.

What arrives: calls with a settled identity. What leaves: facts of the catalogue. Numbers of stock go to staff only.
"""

from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from livecommerce.catalogue.facts import (
    ImageFacts,
    LocationFacts,
    NewLocation,
    PoolFacts,
    ProductFacts,
    ProductPage,
    StaffProductPage,
)
from livecommerce.catalogue.images import IMAGE_BYTES_MAX
from livecommerce.catalogue.importer import FILE_BYTES_MAX, Report
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Nothing, Table, read_body
from livecommerce.people.identity import StaffIdentity, StaffRole

table = Table()

_MANAGES: tuple[StaffRole, ...] = ("admin", "manager")
_STAFF: tuple[StaffRole, ...] = ("admin", "manager", "advisor", "moderator")
# What multipart adds around a file: boundaries and headers of its parts.
_ENVELOPE_BYTES = 65_536
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_MINUTE = "public, max-age=60"
# An SVG is a document: opened by itself it must not be able to run or load anything.
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class StockChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`delta` units more or less. `move_id` is made by the caller: the same again changes nothing."""

    move_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,40}$")]
    variant_id: Annotated[str, msgspec.Meta(max_length=40)]
    location_id: Annotated[str, msgspec.Meta(max_length=40)]
    delta: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)]


class Locations(msgspec.Struct, frozen=True):
    locations: tuple[LocationFacts, ...]


# --- the public shop ------------------------------------------------------------------------------------------------


@table.get("/api/products", answer=ProductPage)
async def list_products(call: Call) -> ProductPage:
    """Products of the shop, by words, type and tag.

    Query: `q`, `type`, `tag`, `page` (from 1).
    """
    return await call.parts.catalogue.search(
        call.query("q"), call.query("type"), call.query("tag"), _page(call.query("page", "1"))
    )


@table.get("/api/products/{handle}", answer=ProductFacts, refuses=(R.NOT_FOUND,))
async def read_product(call: Call) -> ProductFacts:
    """A product with variants, swatches, pictures, details, and stock by location in words."""
    return await call.parts.catalogue.product(call.path("handle"))


@table.get("/api/locations", answer=Locations)
async def list_locations(call: Call) -> Locations:
    """The counters where an order can be collected, with address and hours."""
    return Locations(await call.parts.catalogue.locations("shop"))


@table.get("/img/none/{handle}.svg", answer=Response)
async def read_placeholder(call: Call) -> Response:
    """A drawn picture for a product that has none."""
    return _svg(await call.parts.catalogue.placeholder(call.path("handle")[:200]), "public, max-age=3600")


@table.get("/img/{image_id}/{width:int}.webp", answer=Response, refuses=(R.NOT_FOUND,))
async def read_image(call: Call) -> Response:
    """A picture, 160, 480 or 960 pixels wide; the product's placeholder while the picture cannot be had."""
    path, handle = await call.parts.catalogue.image_file(call.path("image_id"), int(call.path("width")))
    if path is None:
        return _svg(await call.parts.catalogue.placeholder(handle), _FOR_A_MINUTE)
    return FileResponse(
        path, media_type="image/webp", headers={"cache-control": _FOR_EVER, "x-content-type-options": "nosniff"}
    )


# --- staff ----------------------------------------------------------------------------------------------------------


@table.get("/api/staff/products", auth="staff", roles=_STAFF, answer=StaffProductPage)
async def list_staff_products(call: Call) -> StaffProductPage:
    """Products with the numbers of every pool, unpublished ones too.

    Query: `q`, `page` (from 1).
    """
    return await call.parts.catalogue.staff_products(call.query("q"), _page(call.query("page", "1")))


@table.post(
    "/api/staff/imports", auth="staff", roles=_MANAGES, answer=Report,
    refuses=(R.IMPORT, R.TOO_LARGE, R.MALFORMED, R.FORBIDDEN),
)  # fmt: skip
async def import_products_file(call: Call) -> Report:
    """Import a product CSV of up to 20 MB: the raw file as `text/csv`, or a form with one file.

    Headquarters only: prices are everybody's, and the stock goes to the default location. Rows that cannot be taken are
    listed in the report with line, column and what to do; the others go in.
    """
    _only_headquarters(call.the_staff())
    data, _ = await _uploaded(call.request, FILE_BYTES_MAX)
    # A file says how many there are, and may say fewer than before: what merely lies on shelves must not be in its way.
    await call.parts.shelves.clear(await call.parts.catalogue.default_location())
    return await call.parts.catalogue.import_csv(data)


@table.post(
    "/api/staff/products/{handle}/images",
    auth="staff",
    roles=_MANAGES,
    answer=ImageFacts,
    refuses=(R.NOT_FOUND, R.IMAGE, R.TOO_LARGE, R.MALFORMED),
)
async def upload_image(call: Call) -> ImageFacts:
    """Add a picture to a product: the raw file, or a form with one file and, if wanted, `alt` and `option`.

    `option` (the first option's value, such as a shade) gives the picture to that variant. With a raw file both go
    into the query.
    """
    data, form = await _uploaded(call.request, IMAGE_BYTES_MAX)
    alt = form.get("alt", call.query("alt"))
    option = form.get("option", call.query("option"))
    return await call.parts.catalogue.add_image(call.path("handle"), data, alt, (option,) if option else ())


@table.post(
    "/api/staff/stock",
    auth="staff",
    roles=("admin", "manager", "advisor"),
    body=StockChange,
    answer=PoolFacts,
    refuses=(R.NOT_FOUND, R.STOCK_SHORT, R.RID_REUSED, R.FORBIDDEN),
)
async def change_stock(call: Call, change: StockChange) -> PoolFacts:
    """Add or take units of a variant at a location; an advisor or a manager at her own places only."""
    catalogue = call.parts.catalogue
    await _may_change(call, change.location_id)
    location = await catalogue.location(change.location_id)
    pool = await call.parts.shelves.change_stock(change.move_id, change.variant_id, change.location_id, change.delta)
    return PoolFacts(location.location_id, location.name, pool.total, pool.available, pool.in_deals, pool.sold)


@table.get("/api/staff/locations", auth="staff", roles=_STAFF, answer=Locations)
async def list_staff_locations(call: Call) -> Locations:
    """All locations: counters and warehouses."""
    return Locations(await call.parts.catalogue.locations())


@table.post(
    "/api/staff/locations", auth="staff", roles=_MANAGES, body=NewLocation, answer=LocationFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)  # fmt: skip
async def add_location(call: Call, new: NewLocation) -> LocationFacts:
    """Add a counter or a warehouse."""
    _only_headquarters(call.the_staff())
    return await call.parts.catalogue.add_location(new)


@table.put(
    "/api/staff/locations/{location_id}", auth="staff", roles=_MANAGES, body=NewLocation, answer=LocationFacts,
    refuses=(R.NOT_FOUND, R.FORBIDDEN),
)  # fmt: skip
async def change_location(call: Call, new: NewLocation) -> LocationFacts:
    """Change a location's name, address, hours and place in the organisation; its stock stays."""
    await _may_change(call, call.path("location_id"))
    if new.org_unit_id != (await call.parts.catalogue.location(call.path("location_id"))).org_unit_id:
        _only_headquarters(call.the_staff())
    return await call.parts.catalogue.change_location(call.path("location_id"), new)


@table.delete(
    "/api/staff/locations/{location_id}", auth="staff", roles=_MANAGES, refuses=(R.NOT_FOUND, R.IN_USE, R.FORBIDDEN)
)
async def remove_location(call: Call) -> Nothing:
    """Remove a location that was never used."""
    _only_headquarters(call.the_staff())
    await call.parts.catalogue.remove_location(call.path("location_id"))
    return Nothing()


def _page(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _svg(document: str, cache: str) -> Response:
    headers = {"cache-control": cache, "content-security-policy": _SVG_POLICY, "x-content-type-options": "nosniff"}
    return Response(document, media_type="image/svg+xml", headers=headers)


async def _may_change(call: Call, location_id: str) -> None:
    """Refuses `FORBIDDEN` unless the location lies in this person's part of the organisation."""
    scope = await call.parts.catalogue.location_scope(location_id)
    if scope:
        if not call.the_staff().may_act_in(scope):
            raise Refused(R.FORBIDDEN)
    else:
        _only_headquarters(call.the_staff())


def _only_headquarters(staff: StaffIdentity) -> None:
    # The root's path has one id: "/a/". What belongs to no shop belongs to headquarters.
    if staff.role not in _MANAGES or staff.org_path.strip("/").count("/"):
        raise Refused(R.FORBIDDEN)


async def _uploaded(request: Request, limit: int) -> tuple[bytes, dict[str, str]]:
    """The file of the request, raw or as the one file of a form, and the form's other fields."""
    body = await read_body(request, limit + _ENVELOPE_BYTES)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        if len(body) > limit:
            raise Refused(R.TOO_LARGE, limit=f"{limit // 1024 // 1024} MB")
        return body, {}

    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, once(), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, UnicodeError) as error:
        raise Refused(R.MALFORMED, expected=f"a form with one file ({error})") from None
    with_files = [value for value in form.values() if isinstance(value, UploadFile)]
    if len(with_files) != 1:
        raise Refused(R.MALFORMED, expected="a form with one file")
    data = await with_files[0].read()
    await form.close()
    if len(data) > limit:
        raise Refused(R.TOO_LARGE, limit=f"{limit // 1024 // 1024} MB")
    return data, {name: value for name, value in form.items() if isinstance(value, str)}
