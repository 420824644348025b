"""The demo's goods: the committed catalogue is the one the house writes, imports whole, and can be looked at."""

import hashlib
import io
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.demo import clip
from livecommerce.demo.goods import CLIP_FILES
from livecommerce.demo.goods.house import CATALOGUE, GOODS, catalogue_csv
from livecommerce.demo.goods.pictures import LOOKS, draw, pictures_of, tasks
from livecommerce.ledger.database import Database
from livecommerce.settings import Settings

FOLDER = CATALOGUE.parent
FILE_BYTES_MAX = 3 * 1024 * 1024


@pytest.fixture
def catalogue(database: Database, settings: Settings, clock: TestClock) -> Catalogue:
    return Catalogue(database, settings, clock)


def test_the_committed_catalogue_is_the_one_the_house_writes() -> None:
    assert CATALOGUE.read_text(encoding="utf-8") == catalogue_csv()


async def test_the_whole_house_imports_without_a_refusal(catalogue: Catalogue) -> None:
    report = await catalogue.import_csv(CATALOGUE.read_bytes())
    assert (report.added, report.variants, report.refused) == (len(GOODS), sum(len(g.shades) for g in GOODS), ())
    assert (await catalogue.import_csv(CATALOGUE.read_bytes())).unchanged == len(GOODS)


async def test_what_the_demo_show_sells_is_there(catalogue: Catalogue) -> None:
    await catalogue.import_csv(CATALOGUE.read_bytes())
    lip = await catalogue.product("velvet-lip")
    assert (lip.variants[0].label, lip.variants[0].swatch) == ("Rosewood", "#9b4a4f")
    assert {variant.price_minor for variant in lip.variants} == {2900}
    assert len({variant.swatch for variant in lip.variants}) == 6
    assert (await catalogue.product("glow-serum")).variants[0].price_minor == 5200
    assert (await catalogue.product("silk-cleanser")).variants[0].label == ""
    iris = await catalogue.product("nuit-diris")
    assert [detail.name for detail in iris.details] == ["Scent notes", "Ingredients"]


def test_each_kind_of_thing_has_its_own_picture_and_is_always_drawn_the_same() -> None:
    one_of_each = {task.look: task for task in reversed(tasks())}
    assert one_of_each.keys() == LOOKS.keys()
    drawn = {look: draw(task).tobytes() for look, task in one_of_each.items()}
    assert len({hashlib.sha256(pixels).digest() for pixels in drawn.values()}) == len(LOOKS)
    assert draw(one_of_each["lipstick"]).tobytes() == drawn["lipstick"]


def test_pictures_are_made_for_the_products_and_shades_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text("URL handle,Title\nhalo-highlighter,Halo\nsomebody-elses,X\n")
    pictures = list(pictures_of(file))
    assert [picture.options for picture in pictures] == [(), ("Champagne",), ("Rosé",), ("Copper",)]
    assert pictures[1].alt == "Halo Highlighter, Champagne"
    assert len({picture.data for picture in pictures}) == 4
    for picture in pictures:
        with Image.open(io.BytesIO(picture.data)) as image:
            assert image.size == (960, 960)
        assert len(picture.data) < 60 * 1024


def test_the_clip_is_there_small_enough_and_can_be_drawn() -> None:
    for name in CLIP_FILES:
        assert 0 < (FOLDER / name).stat().st_size < FILE_BYTES_MAX
    assert 60 <= clip.SECONDS <= 90
    assert clip.PARTS[0].start == 0
    assert clip.PARTS[-1].end == clip.SECONDS
    assert all(one.end == other.start for one, other in pairwise(clip.PARTS))
    moment = clip.frame(12.0)
    assert moment.size == (clip.WIDTH, clip.HEIGHT)
    assert moment.tobytes() != clip.frame(12.5).tobytes()
    assert clip.frame(0.0).tobytes() == clip.frame(float(clip.SECONDS)).tobytes()
