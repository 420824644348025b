"""The catalogue over HTTP, as the shop's pages, a merchant and a curious stranger use it."""

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette

from livecommerce.catalogue.facts import NewLocation
from livecommerce.catalogue.importer import FILE_BYTES_MAX
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.gateway.web import build_app
from livecommerce.ledger.database import Database
from livecommerce.reservations import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves
from tests.people.support import EMAIL, PASSWORD, Shop, refusal

CSV = (
    "URL handle,Title,Type,Tags,Option1 name,Option1 value,Price,Inventory quantity,Variant Swatch\n"
    'velvet-lip,Velvet Lip,Lipstick,"Lips, Matte",Shade,Rosewood,29.00,24,#9b4a4f\n'
    "velvet-lip,,,,,Fig,29.00,3,#5f2a3c\n"
    "creme,Crème de Lin,Hand cream,Body,Title,Default Title,18.00,0,\n"
)


@dataclass
class Store(Shop):
    """The people's shop with its catalogue."""

    catalogue: Catalogue = field(init=False)

    def __post_init__(self) -> None:
        Shop.__post_init__(self)
        self.catalogue = Catalogue(self.database, self.settings, self.clock)
        self.parts.catalogue = self.catalogue
        engine = ReservationEngine(self.redis, self.settings, self.clock)  # nothing lies on a shelf: it is not asked
        self.parts.shelves = Shelves(self.database, engine, self.catalogue, self.settings, self.clock)

    @cached_property
    def app(self) -> Starlette:
        return build_app(self.parts)

    async def signed_in(self, browser: httpx.AsyncClient, role: str = "admin", unit: str = "") -> None:
        await self.staff(role, unit)
        answer = await browser.post("/api/login", json={"email": EMAIL, "password": PASSWORD})
        browser.headers["x-csrf-token"] = answer.json()["csrf"]


@pytest.fixture
def store(settings: Settings, database: Database, redis: Any, clock: TestClock) -> Store:
    return Store(settings, database, redis, clock)


def png(size: tuple[int, int] = (1200, 600), colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


async def test_a_shops_manager_does_not_import_for_everybody(store: Store) -> None:
    headquarters = await store.people.organisation.add("headquarters", "All")
    await store.people.organisation.add("shop", "Lyon", headquarters.org_unit_id)
    async with store.browser() as browser:
        await store.signed_in(browser, "manager", "Lyon")
        assert await refusal(await browser.post("/api/staff/imports", content=CSV)) == (403, "forbidden")
        assert (await browser.get("/api/products")).json()["found"] == 0


async def test_a_merchant_imports_and_a_stranger_browses(store: Store) -> None:
    async with store.browser() as browser:
        await store.signed_in(browser)
        report = (await browser.post("/api/staff/imports", content=CSV, headers={"content-type": "text/csv"})).json()
        assert (report["added"], report["refused"], report["variants"], report["units_moved"]) == (2, [], 3, 27)
    async with store.browser() as browser:
        page = (await browser.get("/api/products")).json()
        assert (page["found"], page["pages"], page["types"]) == (2, 1, ["Hand cream", "Lipstick"])
        lip = page["products"][0]
        assert (lip["handle"], lip["price_from_minor"], lip["swatches"]) == ("velvet-lip", 2900, ["#9b4a4f", "#5f2a3c"])
        assert lip["image"] == "/img/none/velvet-lip.svg"
        facts = (await browser.get("/api/products/velvet-lip")).json()
        assert [variant["stock"]["words"] for variant in facts["variants"]] == ["in stock", "last 3"]
        assert facts["variants"][0]["stock"]["left"] is None
        assert facts["variants"][0]["stock_by_location"][0]["name"] == "Online"
        assert await refusal(await browser.get("/api/products/none")) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "handles"),
    [
        ("q=creme", ["creme"]), ("q=LIN+creme", ["creme"]), ("q=fig", ["velvet-lip"]), ("q=nothing", []),
        ("type=lipstick", ["velvet-lip"]), ("tag=Matte", ["velvet-lip"]), ("tag=Matte&q=creme", []),
        ("page=2", []), ("page=-1", ["velvet-lip", "creme"]), ("page=x", ["velvet-lip", "creme"]),
        ("q=%25", []), ("q=%27--", []),
    ],
)  # fmt: skip
async def test_search_by_words_type_and_tag(store: Store, query: str, handles: list[str]) -> None:
    await store.catalogue.import_csv(CSV.encode())
    async with store.browser() as browser:
        page = (await browser.get(f"/api/products?{query}")).json()
    assert [product["handle"] for product in page["products"]] == handles


async def test_search_sees_a_change_at_once(store: Store) -> None:
    await store.catalogue.import_csv(CSV.encode())
    assert (await store.catalogue.search("renamed")).found == 0
    await store.catalogue.import_csv(b"Handle,Title\nvelvet-lip,Renamed\n")
    assert (await store.catalogue.search("renamed")).found == 1


async def test_only_those_who_manage_may_import(store: Store) -> None:
    async with store.browser() as browser:
        assert await refusal(await browser.post("/api/staff/imports", content=CSV)) == (401, "sign_in")
        await store.signed_in(browser, "advisor")
        assert await refusal(await browser.post("/api/staff/imports", content=CSV)) == (403, "forbidden")
    assert (await store.catalogue.search()).found == 0


async def test_an_import_comes_as_a_form_too_and_bad_ones_are_refused(store: Store) -> None:
    async with store.browser() as browser:
        await store.signed_in(browser)
        latin = await browser.post("/api/staff/imports", content="Handle,Title\na,é".encode("latin-1"))
        assert (latin.status_code, latin.json()["facts"]) == (422, {"line": 2, "column": 3})
        big = await browser.post("/api/staff/imports", content=b"x" * (FILE_BYTES_MAX + 100_000))
        assert await refusal(big) == (413, "too_large")
        none = await browser.post("/api/staff/imports", files={}, data={"a": "b"})
        assert none.status_code == 422
        empty = {"content-type": "multipart/form-data; boundary=x"}
        assert await refusal(await browser.post("/api/staff/imports", content=b"junk", headers=empty)) == (
            400,
            "malformed",
        )
        form = await browser.post("/api/staff/imports", files={"file": ("goods.csv", CSV.encode(), "text/csv")})
        assert form.json()["added_handles"] == ["velvet-lip", "creme"]


async def test_an_uploaded_picture_is_served_small_and_for_ever(store: Store) -> None:
    await store.catalogue.import_csv(CSV.encode())
    async with store.browser() as browser:
        await store.signed_in(browser)
        sent = {"file": ("front.png", png(), "image/png")}
        words = {"alt": "Fig", "option": "Fig"}
        image = (await browser.post("/api/staff/products/velvet-lip/images", files=sent, data=words)).json()
        assert (image["width"], image["height"], image["alt"]) == (960, 480, "Fig")
        for width, address in ((160, image["small"]), (480, image["medium"]), (960, image["large"])):
            answer = await browser.get(address)
            assert answer.headers["content-type"] == "image/webp"
            assert "immutable" in answer.headers["cache-control"]
            assert Image.open(io.BytesIO(answer.content)).size == (width, width // 2)
        facts = (await browser.get("/api/products/velvet-lip")).json()
        assert [variant["image"] for variant in facts["variants"]] == [image["medium"]] * 2
        assert await refusal(await browser.get(f"/img/{image['image_id']}/333.webp")) == (404, "not_found")
        assert await refusal(await browser.get("/img/img_0/160.webp")) == (404, "not_found")


async def test_the_same_picture_again_is_the_same_image(store: Store) -> None:
    await store.catalogue.import_csv(CSV.encode())
    first = await store.catalogue.add_image("creme", png())
    assert await store.catalogue.add_image("creme", png()) == first
    assert len((await store.catalogue.product("creme")).images) == 1


async def test_what_is_no_picture_is_refused_and_nothing_kept(store: Store) -> None:
    await store.catalogue.import_csv(CSV.encode())
    async with store.browser() as browser:
        await store.signed_in(browser)
        there = "/api/staff/products/velvet-lip/images"
        assert await refusal(await browser.post(there, content=b"<svg onload=x>")) == (422, "image")
        assert await refusal(await browser.post("/api/staff/products/none/images", content=png())) == (404, "not_found")
        assert await refusal(await browser.post(f"{there}?option=Green", content=png())) == (404, "not_found")
    assert (await store.catalogue.product("velvet-lip")).images == ()


async def test_a_product_without_picture_gets_a_drawn_one_that_can_do_nothing(store: Store) -> None:
    await store.catalogue.import_csv(b'Handle,Title,Price\nx,"<script>alert(1)</script>",1\n')
    async with store.browser() as browser:
        answer = await browser.get("/img/none/x.svg")
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
        assert (await browser.get("/img/none/x.svg")).text == answer.text
        assert (await browser.get("/img/none/unheard-of.svg")).status_code == 200


async def test_a_picture_that_cannot_be_fetched_gives_way_to_the_drawn_one(store: Store) -> None:
    # The address is this machine's own: the guard refuses it before anything is connected to.
    await store.catalogue.import_csv(b"Handle,Title,Price,Image Src\na,A,1,https://127.0.0.1/a.png\n")
    async with store.browser() as browser:
        address = (await browser.get("/api/products/a")).json()["images"][0]["medium"]
        answer = await browser.get(address)
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert answer.headers["cache-control"] == "public, max-age=60"


async def test_stock_is_changed_by_deltas_once_for_each_move(store: Store) -> None:
    await store.catalogue.import_csv(CSV.encode())
    async with store.browser() as browser:
        await store.signed_in(browser)
        products = (await browser.get("/api/staff/products?q=velvet")).json()["products"]
        fig = products[0]["variants"][1]
        where = {"variant_id": fig["variant_id"], "location_id": fig["pools"][0]["location_id"]}
        for _ in range(2):
            answer = await browser.post("/api/staff/stock", json=where | {"move_id": "count-0001", "delta": 5})
            assert (answer.json()["total"], answer.json()["available"]) == (8, 8)
        short = await browser.post("/api/staff/stock", json=where | {"move_id": "count-0002", "delta": -9})
        assert (await refusal(short), short.json()["facts"]["free"]) == ((409, "stock_short"), 8)
        other = await browser.post("/api/staff/stock", json=where | {"move_id": "count-0001", "delta": 6})
        assert await refusal(other) == (409, "rid_reused")
        for wrong in ({"variant_id": "var_0"}, {"location_id": "loc_0"}):
            answer = await browser.post("/api/staff/stock", json=where | wrong | {"move_id": "count-0003", "delta": 1})
            assert await refusal(answer) == (404, "not_found")
        for body in (
            {"delta": 1},
            where | {"move_id": "x", "delta": 1},
            where | {"move_id": "count-0004", "delta": 1.5},
        ):
            assert await refusal(await browser.post("/api/staff/stock", json=body)) == (400, "malformed")
        assert (await store.catalogue.pool(**where)).total == 8


async def test_an_advisor_changes_stock_at_her_own_counter_only(store: Store) -> None:
    await store.catalogue.import_csv(CSV.encode())
    root = await store.people.organisation.add("headquarters", "House")
    lyon = await store.people.organisation.add("shop", "Lyon", root.org_unit_id)
    paris = await store.people.organisation.add("shop", "Paris", root.org_unit_id)
    hers = await store.catalogue.add_location(NewLocation("shop", "Counter Lyon", org_unit_id=lyon.org_unit_id))
    other = await store.catalogue.add_location(NewLocation("shop", "Counter Paris", org_unit_id=paris.org_unit_id))
    variant = (await store.catalogue.product("creme")).variants[0].variant_id
    async with store.browser() as browser:
        await store.signed_in(browser, "advisor", lyon.org_unit_id)
        places = (hers.location_id, other.location_id, await store.catalogue.default_location())
        answers = [
            await browser.post(
                "/api/staff/stock",
                json={"move_id": f"advisor-{n}", "variant_id": variant, "location_id": place, "delta": 2},
            )
            for n, place in enumerate(places)
        ]
        assert [answer.status_code for answer in answers] == [200, 403, 403]
        made = await browser.post("/api/staff/locations", json={"kind": "shop", "name": "Mine"})
        assert await refusal(made) == (403, "forbidden")
    counters = await store.catalogue.product("creme")
    assert [place.stock.words for place in counters.variants[0].stock_by_location] == ["last 2", "sold out"]


async def test_counters_are_added_changed_listed_and_removed(store: Store) -> None:
    async with store.browser() as browser:
        await store.signed_in(browser)
        new = {
            "kind": "shop",
            "name": "Rue de Rivoli",
            "address": "12 rue de Rivoli",
            "city": "Paris",
            "hours": "10–19",
        }
        made = (await browser.post("/api/staff/locations", json=new)).json()
        there = f"/api/staff/locations/{made['location_id']}"
        assert (await browser.put(there, json=new | {"hours": "10–20"})).json()["hours"] == "10–20"
        listed = (await browser.get("/api/locations")).json()["locations"]
        assert [(place["name"], place["hours"]) for place in listed] == [("Rue de Rivoli", "10–20")]
        assert (await browser.delete(there)).json() == {"ok": True}
        assert (await browser.get("/api/locations")).json()["locations"] == []
        assert await refusal(await browser.delete(there)) == (404, "not_found")
        assert await refusal(await browser.post("/api/staff/locations", json=new | {"kind": "boat"})) == (
            400,
            "malformed",
        )
        default = await store.catalogue.default_location()
        assert await refusal(await browser.delete(f"/api/staff/locations/{default}")) == (409, "in_use")


async def test_pictures_of_the_data_folder_cannot_be_walked_out_of(store: Store, tmp_path: Path) -> None:
    async with store.browser() as browser:
        for path in ("/img/..%2F..%2Fledger/160.webp", "/img/none/..%2F..%2Fx.svg"):
            answer = await browser.get(path)
            assert answer.status_code in (200, 404)
            assert b"SQLite" not in answer.content
