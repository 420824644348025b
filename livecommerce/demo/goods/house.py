"""Maison Aurelle, the invented house whose goods the demo sells: every product with its words, shades and stock.

What arrives: nothing. What leaves: `GOODS`, and by `python -m livecommerce.demo.goods.house` the file `catalogue.csv`
beside this one, in the shape of today's Shopify exports, so that the demo's import is the import a merchant runs.
It knows nothing of how the pictures are drawn: `look` names the drawing, `pictures` draws it.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

VENDOR = "Maison Aurelle"
CATALOGUE = Path(__file__).with_name("catalogue.csv")


@dataclass(frozen=True, slots=True)
class Shade:
    """One shade, tone or size: its name, its colour as #rrggbb ("" for a size), units, and a price of its own."""

    name: str
    colour: str = ""
    stock: int = 30
    price: str = ""


@dataclass(frozen=True, slots=True)
class Good:
    """One product. What the demo sells in shows has stock for hours of deals that come again. Prices in EUR; `look` and
    `colours` are what its picture is drawn from."""

    handle: str
    title: str
    kind: str
    look: str
    price: str
    text: str
    points: tuple[str, ...]
    tags: tuple[str, ...]
    was: str = ""
    option: str = "Title"
    shades: tuple[Shade, ...] = (Shade("Default Title"),)
    colours: tuple[str, str] = ("#d8b48a", "#f3e7d8")  # the product's own colour, and its stage
    grams: int = 120
    notes: str = ""  # perfume: head, heart, base
    ingredients: str = ""


def _shades(*rows: tuple[str, str, int]) -> tuple[Shade, ...]:
    return tuple(Shade(name, colour, stock) for name, colour, stock in rows)


def _sizes(*rows: tuple[str, str, int]) -> tuple[Shade, ...]:
    return tuple(Shade(name, "", stock, price) for name, price, stock in rows)


_LIP_INGREDIENTS = "Ricinus communis seed oil, candelilla wax, jojoba esters, silica, tocopherol, mica, iron oxides"
_SKIN_INGREDIENTS = "Aqua, glycerin, squalane, niacinamide, sodium hyaluronate, centella asiatica extract, tocopherol"
_PARFUM = "Alcohol denat., parfum, aqua, linalool, limonene, coumarin, alpha-isomethyl ionone"

LIPS = (
    Good(
        "velvet-lip",
        "Velvet Lip",
        "Lipstick",
        "lipstick",
        "29.00",
        "A whipped matte lipstick that feels like nothing and stays through dinner. One stroke colours.",
        ("Soft-focus matte, never dry", "Eight hours, no feathering", "Refillable brass case"),
        ("Lips", "Bestseller", "Matte", "Refillable"),
        option="Shade",
        grams=32,
        ingredients=_LIP_INGREDIENTS,
        colours=("#9b4a4f", "#efdcd6"),
        shades=_shades(
            ("Rosewood", "#9b4a4f", 960),
            ("Bare Silk", "#c08a78", 400),
            ("Fig", "#5f2a3c", 320),
            ("Poppy", "#c92b2f", 360),
            ("Terracotta", "#a9543a", 280),
            ("Old Rose", "#b5656f", 300),
        ),
    ),
    Good(
        "satin-rouge",
        "Satin Rouge",
        "Lipstick",
        "lipstick",
        "27.00",
        "The red-carpet satin: a quiet gleam, deep pigment, and camellia oil that keeps lips supple.",
        ("Luminous satin", "Camellia oil at heart", "Fragrance free"),
        ("Lips", "Satin"),
        option="Shade",
        grams=32,
        ingredients=_LIP_INGREDIENTS,
        colours=("#a81e2d", "#ecd9d8"),
        shades=_shades(
            ("Rouge Aurelle", "#a81e2d", 44),
            ("Cherry Noir", "#6d1526", 26),
            ("Coral Hour", "#d95c4e", 31),
            ("Peony", "#cb5a7e", 22),
            ("Cinnamon", "#8f4a34", 27),
            ("Nude Rue", "#b97c6a", 38),
            ("Plum Wine", "#562138", 18),
        ),
    ),
    Good(
        "gloss-lumiere",
        "Gloss Lumière",
        "Lip gloss",
        "gloss",
        "22.00",
        "Glass shine without the stick. A cushion of peptides and a trace of mint for lips that look well slept.",
        ("High shine, no glue", "Peptide cushion", "Wear alone or over colour"),
        ("Lips", "Shine", "New"),
        option="Shade",
        grams=28,
        ingredients=_LIP_INGREDIENTS,
        colours=("#d98c8c", "#f6e5e2"),
        shades=_shades(
            ("Clear Water", "#f1d9d2", 50),
            ("Petal", "#e2a3a4", 34),
            ("Apricot", "#e39a72", 29),
            ("Mulberry", "#93405e", 25),
        ),
    ),
    Good(
        "lip-balm-miel",
        "Baume Miel",
        "Lip care",
        "jar",
        "14.00",
        "A honey and shea balm for the hour after the wind. Melts, sinks in, asks for nothing more.",
        ("Acacia honey and shea", "Overnight repair", "No mineral oil"),
        ("Lips", "Care"),
        grams=24,
        colours=("#d59a3e", "#f7ead1"),
        ingredients="Shea butter, acacia honey, beeswax, squalane",
    ),
    Good(
        "lip-liner-contour",
        "Contour Lip Pencil",
        "Lip pencil",
        "pencil",
        "16.00",
        "A gel pencil that glides, then locks. Draws the line that Velvet Lip stays behind.",
        ("Waterproof gel", "Sharpens clean", "Matches Velvet Lip"),
        ("Lips", "Matte"),
        option="Shade",
        grams=9,
        colours=("#8d4a48", "#eddfda"),
        ingredients=_LIP_INGREDIENTS,
        shades=_shades(
            ("Rosewood", "#8f4348", 33), ("Bare", "#b07a68", 41), ("Fig", "#57283a", 20), ("Brick", "#98402f", 24)
        ),
    ),
)

FACE = (
    Good(
        "second-skin-foundation",
        "Second Skin Foundation",
        "Foundation",
        "pump",
        "42.00",
        "Serum-light, skin-like coverage that moves with you. Twelve tones in three undertones, tuned on real faces.",
        ("Light to medium, buildable", "Hyaluronic serum base", "Sits well on camera"),
        ("Face", "Bestseller"),
        option="Tone",
        grams=95,
        colours=("#d9ab86", "#f1e6da"),
        ingredients=_SKIN_INGREDIENTS,
        shades=_shades(
            ("01 Porcelain", "#f3dcc8", 22),
            ("02 Ivory", "#edd0b3", 28),
            ("03 Sand", "#e2bc98", 35),
            ("04 Honey", "#d3a277", 31),
            ("05 Amber", "#bd8457", 24),
            ("06 Chestnut", "#966241", 21),
            ("07 Cocoa", "#70452f", 19),
            ("08 Ebony", "#4b2e22", 17),
        ),
    ),
    Good(
        "cloud-cushion",
        "Cloud Cushion SPF 30",
        "Foundation",
        "compact",
        "46.00",
        "A tap of cool, dewy cover with daily sun protection. The compact clicks shut like a good car door.",
        ("SPF 30, dewy finish", "Cool touch", "Refill in the box"),
        ("Face", "SPF"),
        option="Tone",
        grams=85,
        colours=("#e3c09c", "#f3ece2"),
        ingredients=_SKIN_INGREDIENTS,
        shades=_shades(
            ("Fair 10", "#f2d9c2", 26),
            ("Light 20", "#e8c6a4", 30),
            ("Medium 30", "#d4a67c", 27),
            ("Tan 40", "#b98259", 22),
            ("Deep 50", "#7b4d35", 16),
        ),
    ),
    Good(
        "veil-concealer",
        "Veil Concealer",
        "Concealer",
        "gloss",
        "26.00",
        "One dot, gone. Brightens under the eye without the chalk line at four in the afternoon.",
        ("Crease-proof", "Caffeine and rice peptide", "One dot is enough"),
        ("Face",),
        option="Tone",
        grams=22,
        colours=("#e1b894", "#f3e9df"),
        ingredients=_SKIN_INGREDIENTS,
        shades=_shades(
            ("Shell", "#f0d4bd", 30), ("Oat", "#dfb48f", 34), ("Toffee", "#b98158", 25), ("Umber", "#754a33", 18)
        ),
    ),
    Good(
        "blush-pressee",
        "Blush Pressé",
        "Blush",
        "compact",
        "31.00",
        "Finely milled colour that looks like a walk by the sea. Pressed with the house's wave.",
        ("Sheer to bright", "Talc free", "Mirror inside"),
        ("Face", "Cheeks"),
        option="Shade",
        grams=54,
        colours=("#d97f76", "#f5e1dc"),
        ingredients="Mica, squalane, zinc stearate, iron oxides",
        shades=_shades(
            ("Seashell", "#e5a597", 28),
            ("Rose Thé", "#cf7478", 32),
            ("Brique", "#b55a45", 21),
            ("Berry", "#9d3f5c", 19),
        ),
    ),
    Good(
        "halo-highlighter",
        "Halo Highlighter",
        "Highlighter",
        "compact",
        "33.00",
        "Candlelight, pressed. No glitter you can count, only light where you want it.",
        ("Micro-fine pearl", "Cream to powder", "Face and collarbone"),
        ("Face", "Glow"),
        option="Shade",
        grams=54,
        colours=("#e8cfa9", "#f6eee0"),
        ingredients="Mica, squalane, titanium dioxide",
        shades=_shades(("Champagne", "#ecd3ac", 30), ("Rosé", "#e8bfae", 26), ("Copper", "#c98d62", 18)),
    ),
    Good(
        "poudre-nuage",
        "Poudre Nuage",
        "Powder",
        "compact",
        "34.00",
        "A translucent setting powder so fine it pours like smoke. Sets, blurs, disappears.",
        ("Translucent", "Soft focus", "No flashback"),
        ("Face", "Matte"),
        grams=60,
        colours=("#efe0cf", "#efe8e0"),
        ingredients="Rice starch, silica, mica",
    ),
    Good(
        "bronze-riviera",
        "Bronze Riviera",
        "Bronzer",
        "compact",
        "36.00",
        "Warm, never orange: a late-August bronze in two depths.",
        ("Warm matte", "Blends by itself", "Mirror inside"),
        ("Face", "Cheeks"),
        option="Shade",
        grams=62,
        colours=("#b07a4f", "#f2e4d5"),
        ingredients="Mica, zinc stearate, iron oxides",
        shades=_shades(("Light", "#c0926a", 25), ("Deep", "#8a5836", 22)),
    ),
)

EYES = (
    Good(
        "palette-crepuscule",
        "Palette Crépuscule",
        "Eye palette",
        "palette",
        "58.00",
        "Nine shades of the hour between day and night. Mattes that blend, metals that stay.",
        ("Nine shades", "Six mattes, three metals", "Full-size mirror"),
        ("Eyes", "Bestseller"),
        was="64.00",
        grams=140,
        colours=("#7a4a5a", "#e9dde0"),
        ingredients="Mica, dimethicone, iron oxides, carmine free",
    ),
    Good(
        "palette-sable",
        "Palette Sable",
        "Eye palette",
        "palette",
        "52.00",
        "Six quiet neutrals for people who do not want to be asked whether they are wearing eyeshadow.",
        ("Six shades", "All skin tones", "Vegan"),
        ("Eyes", "Neutral"),
        grams=118,
        colours=("#b08a68", "#f0e6da"),
        ingredients="Mica, dimethicone, iron oxides",
    ),
    Good(
        "palette-jardin",
        "Palette Jardin",
        "Eye palette",
        "palette",
        "54.00",
        "Moss, iris, clay and one improbable green. A walk through a garden after rain.",
        ("Nine shades", "Buttery texture", "Limited edition"),
        ("Eyes", "New", "Limited"),
        grams=138,
        colours=("#5f7a5b", "#e4eade"),
        ingredients="Mica, dimethicone, chromium oxide greens",
    ),
    Good(
        "mascara-plume",
        "Mascara Plume",
        "Mascara",
        "mascara",
        "29.00",
        "Feather-light fibres, tubing formula: long until you say otherwise, off with warm water.",
        ("Tubing, no smudge", "Lifts all day", "Ophthalmologist tested"),
        ("Eyes", "Bestseller"),
        option="Shade",
        grams=26,
        colours=("#2b2430", "#e6e0e6"),
        ingredients="Aqua, acrylates copolymer, carnauba wax",
        shades=_shades(("Black", "#1a1719", 60), ("Espresso", "#3b261e", 24), ("Aubergine", "#3c2038", 14)),
    ),
    Good(
        "liner-trait",
        "Trait Liquid Liner",
        "Eyeliner",
        "pencil",
        "24.00",
        "A brush-tip pen with an honest black and a steady hand built in.",
        ("0.3 mm tip", "24 hours", "Waterproof"),
        ("Eyes",),
        option="Shade",
        grams=11,
        colours=("#26222a", "#e5e3e6"),
        ingredients="Aqua, acrylates copolymer, iron oxides",
        shades=_shades(("Ink", "#17151a", 48), ("Bronze", "#6d4a2c", 19), ("Night Blue", "#1f2c52", 16)),
    ),
    Good(
        "brow-sculpt",
        "Brow Sculpt",
        "Brow",
        "pencil",
        "21.00",
        "A slim pencil and a spoolie that knows when to stop.",
        ("Hair-fine strokes", "Spoolie at the other end", "Stays through sport"),
        ("Eyes", "Brows"),
        option="Shade",
        grams=8,
        colours=("#6b4d3a", "#ece4dc"),
        ingredients="Stearic acid, jojoba esters, iron oxides",
        shades=_shades(
            ("Blonde", "#a98a66", 22),
            ("Taupe", "#7d6753", 35),
            ("Brunette", "#553b2b", 33),
            ("Soft Black", "#332a27", 20),
        ),
    ),
)

SKIN = (
    Good(
        "glow-serum",
        "Glow Serum",
        "Serum",
        "dropper",
        "52.00",
        "Twelve percent vitamin C in a quiet serum. Two drops, and colleagues ask about your weekend.",
        ("12 % stabilised vitamin C", "Ferulic acid and vitamin E", "Visible in fourteen days"),
        ("Skin", "Bestseller", "Glow"),
        grams=110,
        colours=("#e0913f", "#f8e9d3"),
        ingredients="Aqua, ascorbyl glucoside, glycerin, ferulic acid, tocopherol",
        option="Size",
        shades=_sizes(("30 ml", "52.00", 900), ("50 ml", "74.00", 25)),
    ),
    Good(
        "silk-cleanser",
        "Silk Cleanser",
        "Cleanser",
        "pump",
        "28.00",
        "A milk-to-silk cleanser that takes the day off and leaves the skin on.",
        ("pH 5.5", "Oat milk and ceramides", "Takes off Mascara Plume"),
        ("Skin", "Sensitive"),
        grams=190,
        colours=("#dfe5e2", "#edf1ee"),
        ingredients=_SKIN_INGREDIENTS,
        shades=(Shade("Default Title", stock=600),),
    ),
    Good(
        "nuit-repair-cream",
        "Nuit Repair Cream",
        "Cream",
        "jar",
        "68.00",
        "A cushion of ceramides and bakuchiol for the seven hours nobody is looking.",
        ("Bakuchiol 1 %", "Three ceramides", "Refill pod"),
        ("Skin", "Night", "Refillable"),
        grams=160,
        colours=("#43507c", "#e0e4ef"),
        ingredients=_SKIN_INGREDIENTS,
    ),
    Good(
        "day-veil-spf50",
        "Day Veil SPF 50",
        "Sun care",
        "tube",
        "38.00",
        "Invisible on every tone, matte by nine, still there at six.",
        ("SPF 50, UVA stars", "No white cast", "Under make-up"),
        ("Skin", "SPF"),
        grams=70,
        colours=("#efc96b", "#f9f0d8"),
        ingredients="Aqua, bemotrizinol, ethylhexyl triazone, niacinamide",
    ),
    Good(
        "hydra-essence",
        "Hydra Essence",
        "Essence",
        "bottle",
        "44.00",
        "Water that stays. Seven weights of hyaluron, one of patience.",
        ("Seven hyaluronic weights", "Layers under anything", "Glass bottle"),
        ("Skin",),
        grams=230,
        colours=("#9cc3cf", "#e6f1f3"),
        ingredients=_SKIN_INGREDIENTS,
        option="Size",
        shades=_sizes(("100 ml", "44.00", 33), ("200 ml", "72.00", 14)),
    ),
    Good(
        "eye-contour-serum",
        "Eye Contour Serum",
        "Serum",
        "dropper",
        "46.00",
        "Caffeine, peptides and the cool tip of a metal applicator: eight hours of sleep in one gesture.",
        ("Cooling tip", "Matrix peptides", "Fragrance free"),
        ("Skin", "Eyes"),
        grams=60,
        colours=("#86a98f", "#e5eee6"),
        ingredients=_SKIN_INGREDIENTS,
    ),
    Good(
        "retinal-drops",
        "Retinal Night Drops",
        "Serum",
        "dropper",
        "64.00",
        "Encapsulated retinal that works at night and apologises to no one.",
        ("0.1 % retinal", "Slow release", "Squalane base"),
        ("Skin", "Night"),
        grams=105,
        colours=("#8d6fae", "#ebe4f2"),
        ingredients="Squalane, retinal, bisabolol, tocopherol",
    ),
    Good(
        "clay-mask",
        "Rose Clay Mask",
        "Mask",
        "jar",
        "32.00",
        "Ten minutes of kaolin and rose water. Comes off before it cracks.",
        ("Pink kaolin", "Never tight", "Ten minutes"),
        ("Skin", "Mask"),
        grams=210,
        colours=("#cf8f8a", "#f4e3df"),
        ingredients="Kaolin, rosa damascena water, glycerin",
    ),
    Good(
        "sheet-mask-set",
        "Overnight Sheet Masks",
        "Mask",
        "sachet",
        "24.00",
        "Five bio-cellulose masks for five late evenings.",
        ("Set of five", "Bio-cellulose", "Compostable sachets"),
        ("Skin", "Mask", "Set"),
        grams=150,
        colours=("#a9b9d6", "#e8ecf5"),
        ingredients=_SKIN_INGREDIENTS,
    ),
    Good(
        "body-oil-soleil",
        "Huile Soleil",
        "Body oil",
        "bottle",
        "48.00",
        "Monoï, sesame and a gold that does not come off on linen.",
        ("Dry oil", "Satin, not shine", "Glass bottle"),
        ("Body", "Glow"),
        grams=240,
        colours=("#d6a44c", "#f6ead0"),
        ingredients="Caprylic triglyceride, sesame oil, gardenia tahitensis",
    ),
    Good(
        "hand-cream-lin",
        "Crème de Lin",
        "Hand cream",
        "tube",
        "18.00",
        "Linseed and almond, gone in a minute, soft until evening.",
        ("Fast", "No grease on the phone", "Aluminium tube"),
        ("Body", "Care"),
        grams=88,
        colours=("#8fa3b8", "#e6ebf0"),
        ingredients="Aqua, linum usitatissimum oil, sweet almond oil, glycerin",
    ),
)

SCENT = (
    Good(
        "nuit-diris",
        "Nuit d'Iris",
        "Perfume",
        "perfume",
        "96.00",
        "Iris at midnight: cool root, warm suede, a violet that has seen things. The house's signature.",
        ("Eau de parfum", "Ten hours", "Refillable flacon"),
        ("Perfume", "Bestseller", "Refillable"),
        option="Size",
        grams=320,
        colours=("#6d5a9c", "#e6e0f0"),
        ingredients=_PARFUM,
        notes="Head: bergamot, pink pepper. Heart: orris butter, violet leaf. Base: suede, cashmere wood, musk.",
        shades=_sizes(("30 ml", "62.00", 36), ("50 ml", "96.00", 480), ("100 ml", "138.00", 12)),
    ),
    Good(
        "figue-blanche",
        "Figue Blanche",
        "Perfume",
        "perfume",
        "88.00",
        "A fig tree against a white wall at three in the afternoon, green and milky.",
        ("Eau de parfum", "Bright and green", "Refillable flacon"),
        ("Perfume",),
        option="Size",
        grams=320,
        colours=("#8fae86", "#e8efe3"),
        ingredients=_PARFUM,
        notes="Head: fig leaf, mandarin. Heart: fig milk, jasmine. Base: cedar, dry hay.",
        shades=_sizes(("30 ml", "58.00", 28), ("50 ml", "88.00", 24)),
    ),
    Good(
        "ambre-salin",
        "Ambre Salin",
        "Perfume",
        "perfume",
        "92.00",
        "Amber left out by the sea overnight.",
        ("Eau de parfum", "Salt and warmth", "Refillable flacon"),
        ("Perfume", "New"),
        option="Size",
        grams=320,
        colours=("#cf8a45", "#f6e6d2"),
        ingredients=_PARFUM,
        notes="Head: sea salt, cardamom. Heart: labdanum, immortelle. Base: amber, driftwood, vanilla.",
        shades=_sizes(("30 ml", "60.00", 26), ("50 ml", "92.00", 21)),
    ),
    Good(
        "rose-electrique",
        "Rose Électrique",
        "Perfume",
        "perfume",
        "88.00",
        "A rose with the lights on: lychee, pepper, and something metallic that makes people turn around.",
        ("Eau de parfum", "Clear and bright", "Refillable flacon"),
        ("Perfume",),
        option="Size",
        grams=320,
        colours=("#d0607f", "#f7e1e7"),
        ingredients=_PARFUM,
        notes="Head: lychee, black pepper. Heart: Turkish rose, peony. Base: ambrette, white cedar.",
        shades=_sizes(("30 ml", "58.00", 31), ("50 ml", "88.00", 20)),
    ),
    Good(
        "bougie-iris",
        "Bougie Iris",
        "Candle",
        "candle",
        "42.00",
        "Nuit d'Iris, for rooms. Rapeseed wax, forty-five hours.",
        ("45 hours", "Cotton wick", "Reuse the glass"),
        ("Home", "Perfume"),
        grams=480,
        colours=("#8a7ab0", "#e9e4f1"),
        ingredients="Rapeseed wax, parfum",
        notes="Iris, suede, cashmere wood.",
    ),
)

TOOLS = (
    Good(
        "brush-set-studio",
        "Studio Brush Set",
        "Brushes",
        "brushes",
        "74.00",
        "Seven brushes cut by hand, in birch and brass. Soft enough to forget, firm enough to work.",
        ("Seven brushes", "Synthetic, cruelty free", "Linen roll"),
        ("Tools", "Set"),
        was="82.00",
        grams=260,
        colours=("#b58a5c", "#efe6db"),
    ),
    Good(
        "brush-foundation",
        "Foundation Brush",
        "Brushes",
        "brushes",
        "28.00",
        "A dense oval that buffs Second Skin into skin.",
        ("Dense oval", "Birch handle", "Washes well"),
        ("Tools",),
        grams=48,
        colours=("#8f6b4c", "#ece4da"),
    ),
    Good(
        "gua-sha-jade",
        "Gua Sha Stone",
        "Tools",
        "stone",
        "26.00",
        "Cold jade, cut to the jaw. Five minutes with Glow Serum.",
        ("Real jade", "Cut to the jaw", "Linen pouch"),
        ("Tools", "Skin"),
        grams=90,
        colours=("#8db49a", "#e6efe8"),
    ),
)

SETS = (
    Good(
        "evening-ritual",
        "Evening Ritual",
        "Set",
        "box",
        "89.00",
        "Silk Cleanser, Glow Serum and Velvet Lip in Rosewood: take the day off, put the evening on.",
        ("Three full sizes", "Gift box", "Worth more than 100 euros"),
        ("Set", "Gift"),
        was="109.00",
        grams=360,
        colours=("#9b4a4f", "#f0e0da"),
    ),
    Good(
        "discovery-scents",
        "Discovery Set of Scents",
        "Set",
        "vials",
        "32.00",
        "Five vials of 2 ml, one evening each, and a voucher for the one that stays.",
        ("Five scents of 2 ml", "Voucher inside", "Letterbox size"),
        ("Set", "Perfume", "Gift"),
        grams=80,
        colours=("#c3a46e", "#f3ecdf"),
        ingredients=_PARFUM,
    ),
    Good(
        "lip-wardrobe",
        "Lip Wardrobe",
        "Set",
        "box",
        "62.00",
        "Three minis of Velvet Lip: one for work, one for the evening, one for no reason.",
        ("Three minis", "Brass cases", "Gift box"),
        ("Set", "Lips", "Gift"),
        grams=140,
        colours=("#b5656f", "#f5e3e2"),
    ),
    Good(
        "travel-skin-kit",
        "Travel Skin Kit",
        "Set",
        "pouch",
        "46.00",
        "Cleanser, essence, cream and veil in cabin sizes, in a pouch that stands up.",
        ("Four minis", "Cabin sizes", "Recycled canvas"),
        ("Set", "Skin"),
        grams=310,
        colours=("#7f95a3", "#e7ecee"),
    ),
)

GOODS: tuple[Good, ...] = LIPS + FACE + EYES + SKIN + SCENT + TOOLS + SETS

_COLUMNS = (
    "Title", "URL handle", "Description", "Vendor", "Type", "Tags", "Published on online store", "Status", "SKU",
    "Option1 name", "Option1 value", "Price", "Compare-at price", "Charge tax", "Inventory tracker",
    "Inventory quantity", "Continue selling when out of stock", "Weight value (grams)", "Weight unit for display",
    "Requires shipping", "Fulfillment service", "Variant Swatch", "SEO title", "SEO description",
    "Scent notes (product.metafields.custom.scent_notes)", "Ingredients (product.metafields.custom.ingredients)",
)  # fmt: skip


def catalogue_csv() -> str:
    """The whole catalogue as a product CSV."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for good in GOODS:
        for number, shade in enumerate(good.shades):
            writer.writerow(_variant_row(good, shade) | (_product_row(good) if number == 0 else {}))
    return file.getvalue()


def _product_row(good: Good) -> dict[str, str]:
    points = "".join(f"<li>{point}</li>" for point in good.points)
    return {
        "Title": good.title, "Description": f"<p>{good.text}</p>\n<ul>{points}</ul>", "Vendor": VENDOR,
        "Type": good.kind,        "Tags": ", ".join(good.tags), "Published on online store": "TRUE", "Status": "Active",
        "Option1 name": good.option, "SEO title": f"{good.title} by {VENDOR}", "SEO description": good.text,
        "Scent notes (product.metafields.custom.scent_notes)": good.notes,
        "Ingredients (product.metafields.custom.ingredients)": good.ingredients,
    }  # fmt: skip


def _variant_row(good: Good, shade: Shade) -> dict[str, str]:
    return {
        "URL handle": good.handle, "Option1 value": shade.name, "Price": shade.price or good.price,
        "Compare-at price": good.was, "Charge tax": "TRUE", "Inventory tracker": "shopify",
        "Inventory quantity": str(shade.stock), "Continue selling when out of stock": "DENY",
        "Weight value (grams)": str(good.grams), "Weight unit for display": "g", "Requires shipping": "TRUE",
        "Fulfillment service": "manual", "Variant Swatch": shade.colour,
    }  # fmt: skip


if __name__ == "__main__":
    CATALOGUE.write_text(catalogue_csv(), encoding="utf-8", newline="")
    print(f"{CATALOGUE}: {len(GOODS)} products, {sum(len(good.shades) for good in GOODS)} variants")
