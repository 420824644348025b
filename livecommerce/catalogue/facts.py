"""The nouns of the catalogue as they travel: products, variants, pictures, counters, stock in words.

Money in minor units of the shop's currency. What the public reads of stock is words ("in stock", "last 3", "sold
out"); numbers are for staff. It knows no table.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

# What Shopify's file says of a product that has only one form.
DEFAULT_OPTIONS = ("Default Title",)
Availability = Literal["in_stock", "last", "sold_out"]
# From this many units down the shop says how many are left.
LAST_UNITS = 5


class ImageFacts(msgspec.Struct, frozen=True):
    """A picture in its three widths. `width` and `height` are 0 until it was fetched."""

    image_id: str
    small: str  # 160 px wide
    medium: str  # 480
    large: str  # 960
    alt: str
    width: int = 0
    height: int = 0


class StockWords(msgspec.Struct, frozen=True):
    """Stock as the public reads it; `left` only where few are left."""

    availability: Availability
    words: str
    left: int | None = None


class LocationStock(msgspec.Struct, frozen=True):
    """What one counter or warehouse has of a variant."""

    location_id: str
    name: str
    kind: Literal["warehouse", "shop"]
    stock: StockWords


class VariantFacts(msgspec.Struct, frozen=True):
    """One variant. `label` is what people call it: the shade, the size; "" where a product has only one."""

    variant_id: str
    product_id: str
    handle: str
    title: str  # the product's
    label: str
    options: tuple[str, ...]
    sku: str
    price_minor: int
    was_minor: int | None
    swatch: str  # #rrggbb, or ""
    image: str  # URL, always one
    retired: bool
    stock: StockWords
    stock_by_location: tuple[LocationStock, ...] = ()


class ProductLine(msgspec.Struct, frozen=True):
    """A product on a list."""

    product_id: str
    handle: str
    title: str
    vendor: str
    type: str
    price_from_minor: int
    price_to_minor: int
    was_minor: int | None
    image: str
    image_alt: str
    swatches: tuple[str, ...]
    stock: StockWords
    published: bool


class ProductPage(msgspec.Struct, frozen=True):
    """One page of a list. `types` and `tags` are what the whole catalogue has, for the filters."""

    products: tuple[ProductLine, ...]
    page: int
    pages: int
    found: int
    types: tuple[str, ...]
    tags: tuple[str, ...]


class Detail(msgspec.Struct, frozen=True):
    """A named fact about a product: scent notes, ingredients."""

    name: str
    text: str


class ProductFacts(msgspec.Struct, frozen=True):
    """A product with everything its page shows. `body_html` is sanitised."""

    product_id: str
    handle: str
    title: str
    body_html: str
    vendor: str
    type: str
    tags: tuple[str, ...]
    published: bool
    currency: str
    option_names: tuple[str, ...]
    variants: tuple[VariantFacts, ...]
    images: tuple[ImageFacts, ...]
    details: tuple[Detail, ...]


class LocationFacts(msgspec.Struct, frozen=True):
    """A counter to collect at, or the warehouse that parcels leave."""

    location_id: str
    kind: Literal["warehouse", "shop"]
    name: str
    address: str = ""
    city: str = ""
    hours: str = ""
    is_default: bool = False
    org_unit_id: str = ""


class NewLocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A location to be made or changed."""

    kind: Literal["warehouse", "shop"]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    address: Annotated[str, msgspec.Meta(max_length=300)] = ""
    city: Annotated[str, msgspec.Meta(max_length=120)] = ""
    hours: Annotated[str, msgspec.Meta(max_length=300)] = ""
    org_unit_id: Annotated[str, msgspec.Meta(max_length=40)] = ""


class PoolFacts(msgspec.Struct, frozen=True):
    """The numbers of one variant at one location: `available + in_deals + sold = total`. Of those in deals, `on_shelf`
    lie on the shelf of the shop's own channels, for sale or set aside."""

    location_id: str
    location_name: str
    total: int
    available: int
    in_deals: int
    sold: int
    on_shelf: int = 0


class StaffVariant(msgspec.Struct, frozen=True):
    """A variant with its numbers, for staff."""

    variant_id: str
    handle: str
    title: str
    label: str
    sku: str
    price_minor: int
    was_minor: int | None
    swatch: str
    image: str
    retired: bool
    pools: tuple[PoolFacts, ...]


class StaffProduct(msgspec.Struct, frozen=True):
    """A product with the numbers of its variants, for staff."""

    product_id: str
    handle: str
    title: str
    vendor: str
    type: str
    published: bool
    image: str
    variants: tuple[StaffVariant, ...]


class StaffProductPage(msgspec.Struct, frozen=True):
    products: tuple[StaffProduct, ...]
    page: int
    pages: int
    found: int


def stock_words(available: int) -> StockWords:
    """How the public reads `available` units."""
    if available <= 0:
        return StockWords("sold_out", "sold out", 0)
    if available <= LAST_UNITS:
        return StockWords("last", f"last {available}", available)
    return StockWords("in_stock", "in stock")


def label_of(options: Sequence[str]) -> str:
    """What people call a variant: its option values; "" where a product has only one."""
    return "" if tuple(options) == DEFAULT_OPTIONS else " / ".join(options)
