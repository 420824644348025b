"""What the demo's pictures are drawn with: a stage with light, and shapes filled with the shading of real materials.

What arrives: boxes in pixels of a 960 × 960 picture and colours. What leaves: a Pillow image. Edges are smooth because
each mask is drawn three times too large; gradients are strips of 256 colours, stretched. It knows no product.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SIZE = 960
_FINE = 3
RGB = tuple[int, int, int]
Stops = tuple[tuple[float, RGB], ...]
Box = tuple[float, float, float, float]
Shape = Literal["rounded", "ellipse"]

WHITE: RGB = (255, 255, 255)
# Brass as light falls on a turned case: two bright bands, a dark core, a warm rim.
BRASS: Stops = (
    (0.0, (122, 88, 44)), (0.1, (205, 164, 98)), (0.24, (252, 232, 184)), (0.36, (214, 172, 104)),
    (0.62, (150, 108, 56)), (0.8, (196, 152, 90)), (0.93, (238, 210, 154)), (1.0, (140, 100, 52)),
)  # fmt: skip
STEEL: Stops = (
    (0.0, (120, 124, 130)), (0.2, (236, 238, 242)), (0.4, (186, 190, 197)), (0.7, (128, 132, 140)),
    (0.92, (226, 229, 234)), (1.0, (140, 144, 150)),
)  # fmt: skip
_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSerif-Regular.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf",
)


def rgb(text: str) -> RGB:
    """`#9b4a4f` as three numbers."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def mix(one: RGB, other: RGB, part: float) -> RGB:
    """`part` of the way from one colour to the other."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def lighter(colour: RGB, part: float) -> RGB:
    return mix(colour, WHITE, part)


def darker(colour: RGB, part: float) -> RGB:
    return mix(colour, (24, 16, 20), part)


def round_body(colour: RGB) -> Stops:
    """A lacquered cylinder of this colour, lit from the left."""
    return (
        (0.0, darker(colour, 0.38)), (0.1, darker(colour, 0.08)), (0.24, lighter(colour, 0.42)),
        (0.34, lighter(colour, 0.1)), (0.6, darker(colour, 0.12)), (0.86, darker(colour, 0.34)),
        (0.96, lighter(colour, 0.06)), (1.0, darker(colour, 0.3)),
    )  # fmt: skip


def soft_body(colour: RGB) -> Stops:
    """A matte surface of this colour: the same light without the gleam."""
    return (
        (0.0, darker(colour, 0.16)), (0.22, lighter(colour, 0.16)), (0.55, colour), (1.0, darker(colour, 0.24)),
    )  # fmt: skip


def flat(colour: RGB) -> Stops:
    return ((0.0, lighter(colour, 0.14)), (1.0, darker(colour, 0.12)))


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A serif of the machine, or Pillow's own where it has none."""
    for path in _FONTS:
        if Path(path).exists():
            return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


@lru_cache(maxsize=512)
def strip(stops: Stops, across: bool) -> Image.Image:
    """256 colours from the first stop to the last, in a row or in a column."""
    image = Image.new("RGB", (256, 1) if across else (1, 256))
    image.putdata([colour_at(stops, place / 255) for place in range(256)])
    return image


def colour_at(stops: Stops, place: float) -> RGB:
    """The colour at a place from 0 to 1."""
    for (start, one), (end, other) in itertools.pairwise(stops):
        if place <= end:
            return mix(one, other, (place - start) / (end - start) if end > start else 1.0)
    return stops[-1][1]


@lru_cache(maxsize=1024)
def _mask(width: int, height: int, shape: Shape, radius: int) -> Image.Image:
    mask = Image.new("L", (width * _FINE, height * _FINE))
    draw = ImageDraw.Draw(mask)
    box = (0, 0, width * _FINE - 1, height * _FINE - 1)
    if shape == "ellipse":
        draw.ellipse(box, fill=255)
    else:
        draw.rounded_rectangle(box, min(radius * _FINE, width * _FINE // 2, height * _FINE // 2), fill=255)
    return mask.reduce(_FINE)


class Scene:
    """One picture in the making: each call paints over what is there."""

    def __init__(self, ground: Image.Image, shadows: bool = True) -> None:
        self.image = ground.copy()
        self._shadows = shadows  # a thing that is cut out leaves its shadow behind

    def fill(
        self, box: Box, stops: Stops, shape: Shape = "rounded", radius: int = 0, *, across: bool = True,
        alpha: float = 1.0,
    ) -> None:  # fmt: skip
        """A shape with a gradient from left to right, or from top to bottom."""
        x, y, width, height = _whole(box)
        self._paint(strip(stops, across), (x, y), _mask(width, height, shape, radius), alpha)

    def polygon(
        self, points: Sequence[tuple[float, float]], stops: Stops, *, across: bool = True, alpha: float = 1.0
    ) -> None:
        """A free shape with a gradient over the box around it."""
        left, top = min(x for x, _ in points), min(y for _, y in points)
        x, y, width, height = _whole((left, top, max(x for x, _ in points), max(y for _, y in points)))
        mask = Image.new("L", (width * _FINE, height * _FINE))
        ImageDraw.Draw(mask).polygon([((px - left) * _FINE, (py - top) * _FINE) for px, py in points], fill=255)
        self._paint(strip(stops, across), (x, y), mask.reduce(_FINE), alpha)

    def shine(self, box: Box, strength: float = 0.5, radius: int = 12) -> None:
        """A soft band of light with faded ends, as a window leaves it on glass."""
        x, y, width, height = _whole(box)
        ends = Image.new("L", (1, 64))
        ends.putdata([round(255 * min(1.0, n / 14, (63 - n) / 22)) for n in range(64)])
        band = Image.new("L", (32, 1))
        band.putdata([round(255 * (1 - abs(n - 15.5) / 16)) for n in range(32)])
        mask = ImageChops.multiply(ends.resize((width, height)), band.resize((width, height)))
        self.image.paste(
            WHITE, (x, y), _weaker(ImageChops.multiply(mask, _mask(width, height, "rounded", radius)), strength)
        )

    def shadow(self, box: Box, strength: float = 0.4, blur: float = 5, colour: RGB = (46, 26, 30)) -> None:
        """A soft dark ellipse; drawn small and enlarged, since blur forgives that."""
        if not self._shadows:
            return
        small = Image.new("L", (SIZE // 4, SIZE // 4))
        ImageDraw.Draw(small).ellipse([side / 4 for side in box], fill=round(255 * strength))
        mask = small.filter(ImageFilter.GaussianBlur(blur)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        self.image.paste(colour, (0, 0), mask)

    def glow(self, box: Box, colour: RGB = WHITE, strength: float = 0.5) -> None:
        """Light that fades to nothing at the edge of the box."""
        x, y, width, height = _whole(box)
        mask = _halo().resize((width, height), Image.Resampling.BICUBIC)
        self.image.paste(colour, (x, y), _weaker(mask, strength))

    def words(
        self, text: str, x: float, y: float, size: int, colour: RGB, spacing: float = 0.0, alpha: float = 0.9,
        most: float = SIZE,
    ) -> None:  # fmt: skip
        """Letters around `x`, spaced as a house spaces its name, made smaller until they fit into `most` pixels."""
        while size > 8 and font(size).getlength(text) + spacing * len(text) > most:
            size, spacing = size - 1, spacing * 0.94
        face = font(size)
        widths = [face.getlength(sign) + spacing for sign in text]
        mask = Image.new("L", (round(sum(widths)) + size, size * 2))
        draw, place = ImageDraw.Draw(mask), size / 2
        for sign, width in zip(text, widths, strict=True):
            draw.text((place, size), sign, font=face, fill=255, anchor="lm")
            place += width
        self.image.paste(colour, (round(x - mask.width / 2 + spacing / 2), round(y - size)), _weaker(mask, alpha))

    def _paint(self, colours: Image.Image, place: tuple[int, int], mask: Image.Image, alpha: float) -> None:
        self.image.paste(colours.resize(mask.size), place, mask if alpha >= 1 else _weaker(mask, alpha))


@lru_cache(maxsize=1)
def _halo() -> Image.Image:
    """A round light: full in the middle, and flat where it ends, so that no edge is seen."""
    curve = [round(255 * max(0.0, 1 - level / 250) ** 2) for level in range(256)]
    return Image.radial_gradient("L").point(curve)


def _weaker(mask: Image.Image, alpha: float) -> Image.Image:
    return mask.point([round(level * alpha) for level in range(256)])


def _whole(box: Box) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (round(side) for side in box)
    return x0, y0, max(1, x1 - x0), max(1, y1 - y0)


@lru_cache(maxsize=32)
def stage(colour: RGB) -> Image.Image:
    """An empty stage in this colour: a lit wall with an arch, and a round plinth to stand on."""
    wall = strip(((0.0, lighter(colour, 0.1)), (0.7, colour), (1.0, darker(colour, 0.1))), False).resize((SIZE, SIZE))
    scene = Scene(wall)
    scene.fill(
        (196, 96, 764, 1100),
        ((0.0, lighter(colour, 0.55)), (0.7, lighter(colour, 0.16)), (1.0, colour)),
        "rounded",
        284,
        across=False,
    )
    scene.glow((40, 20, 720, 700), WHITE, 0.55)
    scene.fill(
        (0, 812, SIZE, SIZE),
        ((0.0, darker(colour, 0.1)), (0.35, mix(colour, darker(colour, 0.1), 0.3)), (1.0, lighter(colour, 0.08))),
        across=False,
        alpha=0.85,
    )
    scene.shadow((170, 850, 860, 925), 0.34, 9)
    side = (
        (0.0, darker(colour, 0.2)),
        (0.25, lighter(colour, 0.3)),
        (0.55, darker(colour, 0.03)),
        (1.0, darker(colour, 0.26)),
    )
    scene.fill((170, 762, 790, 872), side, "rounded", 1)
    scene.fill((170, 826, 790, 918), side, "ellipse")
    scene.fill(
        (170, 716, 790, 808),
        ((0.0, lighter(colour, 0.34)), (0.5, lighter(colour, 0.5)), (1.0, lighter(colour, 0.1))),
        "ellipse",
    )
    return scene.image


def cutout(size: tuple[int, int], paint: Callable[[Scene], None]) -> Image.Image:
    """What `paint` paints, without a ground: how much of a black and of a white one shows through tells its alpha."""
    on_black, on_white = (Scene(Image.new("RGB", size, ground), shadows=False) for ground in ("black", "white"))
    paint(on_black)
    paint(on_white)
    see_through = ImageChops.difference(on_white.image, on_black.image).convert("L")
    return Image.merge("RGBa", (*on_black.image.split(), ImageChops.invert(see_through))).convert("RGBA")


def curve(points: Sequence[tuple[float, float]], closed: bool = True, steps: int = 10) -> list[tuple[float, float]]:
    """A smooth line through the points."""
    count = len(points)
    found = []
    for n in range(count if closed else count - 1):
        if closed:
            a, b, c, d = (points[(n + shift) % count] for shift in (-1, 0, 1, 2))
        else:
            a, b, c, d = (points[min(max(n + shift, 0), count - 1)] for shift in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            found.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    return found if closed else [*found, points[-1]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - 3 * c + d - a) * t * t * t)
