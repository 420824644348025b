"""The demo's moving picture: a portrait clip of 90 s, drawn here, whose words follow the story of a round.

What arrives: ffmpeg on the machine. What leaves: `clip.mp4`, `clip.webm`, `poster.webp` and `poster.jpg` beside the
goods. They are committed, so a machine without ffmpeg runs the demo too; `python -m livecommerce.demo.clip` makes them
anew. The last frame meets the first: the clip plays in a loop, twice in a round, and starts over with each round. It
knows no show; the seconds and words of `PARTS` agree with `story` and the cards, and a test holds them together. Its
sound is a soft chord, made here too, so that the page's sound button has something to switch on.

Each layer (light, figure, arm with its product, words) is drawn once; a frame only moves and blends them. What must
be read stands between 13 % and 27 % of the height: above are the page's header and its sound button, below are face,
card and chat.
"""

import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from livecommerce.demo.goods.easel import (
    BRASS,
    RGB,
    WHITE,
    Scene,
    Stops,
    curve,
    cutout,
    darker,
    flat,
    font,
    lighter,
    mix,
    rgb,
    soft_body,
    strip,
)  # fmt: skip
from livecommerce.demo.goods.house import GOODS
from livecommerce.demo.goods.pictures import LOOKS, Task, stick

FOLDER = Path(__file__).parent / "goods"
WIDTH, HEIGHT = 540, 960
FRAMES_PER_SECOND = 24
SECONDS = 90
POSTER_SECOND = 19.0
FADE_SECONDS = 0.7

SKIN: RGB = (226, 178, 150)
HAIR: RGB = (58, 34, 36)
DRESS: RGB = (66, 34, 48)
CREAM: RGB = (252, 243, 232)
GOLD: RGB = (226, 190, 128)
LIP: RGB = rgb("#9b4a4f")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the clip: when, what is said, what the hand holds and does, and the colour of the light."""

    start: float
    end: float
    small: str
    large: str
    line: str
    holds: str = ""
    light: str = "#d9a79b"
    shades: bool = False
    taps: bool = False


PARTS = (
    Part(0, 12, "Live from Maison Aurelle", "Welcome", "Velvet Lip opens in a moment", "", "#d8a79c"),
    Part(12, 27, "Velvet Lip", "19 instead of 29", "24 units in Rosewood", "velvet-lip", "#b9747a", shades=True),
    Part(27, 36, "All taken?", "Wait in line", "Whoever gives up, it is your turn", "velvet-lip", "#c98f8b"),
    Part(36, 44, "Tap once", "Held for you", "Yours while the clock runs", "velvet-lip", "#bf8a86", taps=True),
    Part(44, 54, "Choose a counter", "Pay, then collect", "Ready tomorrow from ten", "", "#d2a08f"),
    Part(54, 62, "That was Rosewood", "Thank you", "Every unit held or sold, none twice", "", "#d8a79c"),
    Part(62, 70, "Then the skin", "Glow Serum", "39 instead of 52", "glow-serum", "#dcae7c"),
    Part(70, 77, "Family Day", "Evening Ritual", "All three or none", "evening-ritual", "#c7948c"),
    Part(77, 83, "New Product Day", "Nuit d'Iris", "Iris, suede, a violet at midnight", "nuit-diris", "#9d90c0"),
    Part(83, 90, "Cloud Class", "Ask tonight", "Learn the look in ten minutes", "", "#9fb0cc"),
)
# A phone crops the sides: what must be read stands in this width.
READ_WIDTH = 420
# Where the words stand, and how far the figure is moved down so that they leave her face free.
WORDS_TOP, WORDS_HEIGHT = 70, 260
FIGURE_DOWN = 74
# (frequency in hertz, swells in the clip): an open chord whose voices come and go; whole numbers, so the loop closes.
VOICES = ((110, 3), (165, 5), (220, 4), (277, 7), (330, 6), (415, 9))
# Each voice's amplitude; together they come to about -25 dB.
VOICE_LEVEL = 0.053
SHADES = next(good.shades for good in GOODS if good.handle == "velvet-lip")


# --- layers, each drawn once ------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _light(colour: str) -> Image.Image:
    """The room in one light: dark at the foot, where the page lays card and chat."""
    tone = rgb(colour)
    stops: Stops = ((0.0, lighter(tone, 0.28)), (0.34, tone), (0.62, darker(tone, 0.34)), (1.0, darker(tone, 0.72)))
    scene = Scene(strip(stops, False).resize((WIDTH, HEIGHT)))
    scene.glow((-120, -60, 460, 560), lighter(tone, 0.75), 0.7)
    scene.glow((240, 120, 720, 700), lighter(tone, 0.4), 0.4)
    return scene.image


@lru_cache(maxsize=32)
def _disc(radius: int, sharp: bool) -> Image.Image:
    """A disc of light out of focus, as a mask."""
    mask = Image.new("L", (radius * 2 + 24, radius * 2 + 24))
    draw = ImageDraw.Draw(mask)
    draw.ellipse((12, 12, radius * 2 + 12, radius * 2 + 12), fill=52)
    if sharp:
        draw.ellipse((12, 12, radius * 2 + 12, radius * 2 + 12), outline=86, width=2)
    return mask.filter(ImageFilter.GaussianBlur(2.2 if sharp else 8))


def _body(scene: Scene) -> None:
    skin: Stops = ((0.0, darker(SKIN, 0.2)), (0.4, SKIN), (0.6, lighter(SKIN, 0.14)), (1.0, darker(SKIN, 0.24)))
    scene.polygon(
        curve(
            [
                (214, 378),
                (150, 402),
                (96, 440),
                (104, 540),
                (130, 640),
                (370, 640),
                (396, 540),
                (404, 440),
                (350, 402),
                (286, 378),
            ]
        ),
        skin,
    )
    scene.polygon(
        [(219, 296), (281, 296), (290, 392), (210, 392)],
        ((0.0, darker(SKIN, 0.3)), (0.55, SKIN), (1.0, darker(SKIN, 0.2))),
    )
    scene.polygon(
        curve([(218, 320), (250, 352), (282, 320), (282, 296), (218, 296)]), flat(darker(SKIN, 0.34)), alpha=0.4
    )
    # A dress with a wide neckline, and the light along the shoulder.
    dress: Stops = ((0.0, darker(DRESS, 0.3)), (0.3, lighter(DRESS, 0.1)), (0.55, DRESS), (1.0, darker(DRESS, 0.45)))
    outline = [
        (128, 408),
        (84, 446),
        (58, 540),
        (40, 720),
        (24, 1000),
        (476, 1000),
        (460, 720),
        (442, 540),
        (416, 446),
        (372, 408),
    ]
    neck = [(352, 430), (310, 462), (250, 478), (190, 462), (148, 430)]
    scene.polygon([*curve(outline, closed=False), *curve(neck, closed=False)], dress)
    scene.polygon(
        [*curve(neck, closed=False), *[(x, y + 5) for x, y in reversed(curve(neck, closed=False))]],
        flat(lighter(DRESS, 0.3)),
        alpha=0.7,
    )
    for n in range(22):  # a thin chain
        a = math.pi * (0.12 + 0.76 * n / 21)
        x, y = 250 - 66 * math.cos(a), 388 + 42 * math.sin(a)
        scene.fill((x - 1.6, y - 1.6, x + 1.6, y + 1.6), flat(GOLD), "ellipse")
    scene.fill((244, 426, 256, 440), BRASS, "ellipse")


def _head(scene: Scene) -> None:
    hair: Stops = ((0.0, darker(HAIR, 0.4)), (0.3, lighter(HAIR, 0.22)), (0.5, HAIR), (1.0, darker(HAIR, 0.5)))
    scene.fill((206, 84, 290, 160), hair, "ellipse")
    scene.fill((222, 94, 268, 118), flat(lighter(HAIR, 0.3)), "ellipse", alpha=0.35)
    scene.fill((168, 128, 332, 308), hair, "ellipse")
    skin: Stops = ((0.0, darker(SKIN, 0.12)), (0.35, lighter(SKIN, 0.2)), (0.6, SKIN), (1.0, darker(SKIN, 0.2)))
    face = [
        (250, 334),
        (222, 322),
        (196, 286),
        (187, 236),
        (192, 190),
        (218, 162),
        (250, 154),
        (282, 162),
        (308, 190),
        (313, 236),
        (304, 286),
        (278, 322),
    ]
    scene.polygon(curve(face), skin)
    for x in (212, 288):
        scene.glow((x - 34, 254, x + 34, 304), (222, 122, 112), 0.34)
    # Hair over the forehead, parted on the side.
    scene.polygon(
        curve([(230, 140), (200, 156), (180, 200), (178, 262), (188, 244), (198, 212), (226, 182), (256, 160)]), hair
    )
    scene.polygon(
        curve([(230, 140), (280, 142), (316, 178), (324, 256), (312, 240), (304, 206), (276, 178), (240, 158)]), hair
    )
    scene.polygon(
        curve([(214, 152), (196, 176), (188, 214), (200, 186), (224, 160)]), flat(lighter(HAIR, 0.4)), alpha=0.3
    )
    ink = darker(HAIR, 0.2)
    for side in (-1, 1):
        x = 250 + side * 31
        lid = [(x - 18, 238), (x - 8, 245), (x + 8, 245), (x + 18, 238)]
        lash = [*curve(lid, closed=False), *[(px, py + 3.4) for px, py in reversed(curve(lid, closed=False))]]
        scene.polygon(
            [(px, py - 9) for px, py in curve([(x - 18, 246), (x, 238), (x + 18, 246), (x, 254)])],
            flat((176, 116, 110)),
            alpha=0.4,
        )
        scene.polygon(lash, flat(ink))
        for n in range(4):
            foot, out = x + side * (4 + n * 4.4), side * (3 + n * 1.6)
            scene.polygon([(foot, 245.5 - n * 1.6), (foot + out, 251 - n * 2.2), (foot + 2, 246 - n * 1.6)], flat(ink))
        brow = [(x - side * 18, 220), (x + side * 2, 211), (x + side * 24, 217)]
        line = curve(brow, closed=False)
        scene.polygon([*line, *[(px, py + 4) for px, py in reversed(line)]], flat(mix(HAIR, SKIN, 0.2)), alpha=0.9)
        scene.fill((250 + side * 63 - 4, 262, 250 + side * 63 + 4, 270), BRASS, "ellipse")
        scene.fill((250 + side * 63 - 6, 272, 250 + side * 63 + 6, 290), BRASS, "ellipse")
    nose = curve([(253, 236), (257, 258), (263, 272), (252, 276)], closed=False)
    scene.polygon([*nose, *[(px - 2.4, py) for px, py in reversed(nose)]], flat(darker(SKIN, 0.3)), alpha=0.6)
    scene.polygon(
        curve([(226, 299), (240, 293), (250, 296), (260, 293), (274, 299), (250, 301)]), flat(darker(LIP, 0.12))
    )
    scene.polygon(curve([(226, 299), (250, 301), (274, 299), (262, 312), (250, 315), (238, 312)]), flat(LIP))
    scene.fill((240, 303, 262, 308), flat(lighter(LIP, 0.5)), "ellipse", alpha=0.5)


def _arm(scene: Scene, holds: str) -> None:
    """A forearm from below right; the hand's centre is at (396, 392). Fingers close over what it holds."""
    sleeve: Stops = ((0.0, darker(DRESS, 0.2)), (0.3, lighter(DRESS, 0.24)), (1.0, darker(DRESS, 0.45)))
    skin: Stops = ((0.0, darker(SKIN, 0.06)), (0.3, lighter(SKIN, 0.22)), (1.0, darker(SKIN, 0.2)))
    scene.polygon(curve([(380, 430), (412, 424), (446, 540), (470, 640), (420, 660), (392, 560)]), skin)
    scene.polygon(curve([(386, 520), (446, 504), (480, 640), (516, 860), (540, 1010), (400, 1010), (398, 760)]), sleeve)
    scene.polygon(curve([(384, 516), (448, 500), (450, 512), (388, 530)]), BRASS)
    scene.polygon(curve([(366, 388), (384, 366), (414, 366), (430, 392), (420, 432), (396, 446), (374, 430)]), skin)
    if holds:
        # Above all fingers but the foremost: the product is drawn between them (see `_with_hand`).
        return
    for n, (x, y, slant) in enumerate(((372, 322, -12), (390, 308, -4), (408, 310, 4), (424, 326, 12))):
        _finger(scene, (384 + n * 12, 384), (x, y), 8.4, slant)
    _finger(scene, (372, 412), (346, 372), 8.6, 0)


def _fingers(scene: Scene) -> None:
    for n, length in enumerate((40, 44, 42, 34)):
        y = 366 + n * 18
        _finger(scene, (426 - n * 2, y + 6), (426 - length - n * 3, y), 9.4, 0)
    _finger(scene, (368, 420), (366, 372), 9.6, 0)


def _finger(scene: Scene, foot: tuple[float, float], tip: tuple[float, float], thick: float, slant: float) -> None:
    dx, dy = tip[0] - foot[0], tip[1] - foot[1]
    length = math.hypot(dx, dy) or 1.0
    ox, oy = -dy / length * thick, dx / length * thick
    bow = (dx / length * thick, dy / length * thick)
    middle = ((foot[0] + tip[0]) / 2 + slant * 0.12, (foot[1] + tip[1]) / 2)
    outline = [
        (foot[0] + ox, foot[1] + oy), (middle[0] + ox * 0.96, middle[1] + oy * 0.96),
        (tip[0] + ox * 0.8, tip[1] + oy * 0.8),
        (tip[0] + bow[0], tip[1] + bow[1]),
        (tip[0] - ox * 0.8, tip[1] - oy * 0.8), (middle[0] - ox * 0.96, middle[1] - oy * 0.96),
        (foot[0] - ox, foot[1] - oy),
    ]  # fmt: skip
    scene.polygon([(x + 1.4, y + 2) for x, y in curve(outline)], flat(darker(SKIN, 0.36)), alpha=0.5)
    scene.polygon(curve(outline), ((0.0, lighter(SKIN, 0.2)), (0.5, SKIN), (1.0, darker(SKIN, 0.1))))
    nail = (tip[0] + bow[0] * 0.15, tip[1] + bow[1] * 0.15)
    scene.fill((nail[0] - 4.6, nail[1] - 4.2, nail[0] + 4.6, nail[1] + 4.2), flat(LIP), "ellipse")
    scene.fill(
        (nail[0] - 2.4, nail[1] - 3, nail[0] + 0.6, nail[1] - 0.4), flat(lighter(LIP, 0.6)), "ellipse", alpha=0.6
    )


@lru_cache(maxsize=8)
def _product(handle: str) -> Image.Image:
    """The product alone, cut out of its own drawing."""
    good = next(good for good in GOODS if good.handle == handle)
    if good.look == "lipstick":
        return cutout((300, 540), lambda scene: stick(scene, 150, 530, 1.0, LIP)).crop((60, 0, 240, 540))
    task = Task(good.handle, (), good.look, rgb(good.colours[0]), rgb(good.colours[1]), good.title, False)

    def paint(scene: Scene) -> None:
        LOOKS[good.look](scene, task)

    box = {"dropper": (350, 170, 590, 790), "box": (230, 240, 730, 800), "perfume": (310, 180, 650, 790)}[good.look]
    return cutout((960, 960), paint).crop(box)


@lru_cache(maxsize=8)
def _with_hand(holds: str) -> Image.Image:
    """Arm, product and fingers as one layer that moves as one."""
    arm = cutout((WIDTH + 40, 1020), lambda scene: _arm(scene, holds))
    if not holds:
        return arm
    tall = {"velvet-lip": 250, "glow-serum": 250, "evening-ritual": 214, "nuit-diris": 226}[holds]
    product = _product(holds)
    product = product.resize((round(product.width * tall / product.height), tall), Image.Resampling.LANCZOS)
    arm.alpha_composite(product, (396 - product.width // 2, 440 - tall))
    arm.alpha_composite(cutout((WIDTH + 40, 1020), _fingers))
    return arm


@lru_cache(maxsize=32)
def _words(part: Part) -> Image.Image:
    """The words of a part, on a soft veil that keeps them readable over anything."""
    layer = Image.new("RGBA", (WIDTH, WORDS_HEIGHT), (34, 14, 24, 0))
    veil = Image.new("L", (1, WORDS_HEIGHT))
    veil.putdata([round(176 * math.sin(math.pi * n / (WORDS_HEIGHT - 1)) ** 1.5) for n in range(WORDS_HEIGHT)])
    layer.putalpha(veil.resize((WIDTH, WORDS_HEIGHT)))
    draw = ImageDraw.Draw(layer)
    _centred(draw, part.small.upper(), 80, 19, lighter(GOLD, 0.35), 3)
    size = _fitting(part.large, 62, READ_WIDTH)
    draw.text((WIDTH / 2, 130), part.large, font=font(size), fill=CREAM, anchor="mm")
    size = _fitting(part.line, 27, READ_WIDTH)
    draw.text((WIDTH / 2, 182), part.line, font=font(size), fill=CREAM, anchor="mm")
    return layer


def _fitting(text: str, size: int, most: float) -> int:
    while font(size).getlength(text) > most:
        size -= 1
    return size


def _centred(draw: ImageDraw.ImageDraw, text: str, y: float, size: int, colour: RGB, spacing: float) -> None:
    face = font(size)
    x = (WIDTH - sum(face.getlength(sign) + spacing for sign in text)) / 2
    for sign in text:
        draw.text((x, y), sign, font=face, fill=colour, anchor="lm")
        x += face.getlength(sign) + spacing


@lru_cache(maxsize=16)
def _swatch(name: str, colour: str) -> Image.Image:
    def paint(scene: Scene) -> None:
        scene.fill((2, 2, 44, 44), flat(CREAM), "ellipse")
        scene.fill((4, 4, 42, 42), soft_body(rgb(colour)), "ellipse")
        scene.fill((11, 8, 31, 21), flat(WHITE), "ellipse", alpha=0.22)

    layer = cutout((160, 46), paint)
    ImageDraw.Draw(layer).text((52, 23), name, font=font(18), fill=(255, 244, 236), anchor="lm")
    return layer


@lru_cache(maxsize=1)
def _figure() -> tuple[Image.Image, Image.Image]:
    return cutout((500, 1000), _body), cutout((500, 400), _head)


# --- frames -----------------------------------------------------------------------------------------------------


def frame(second: float) -> Image.Image:
    """The picture at this moment; `frame(0)` follows `frame(SECONDS)` without a jump."""
    now = second % SECONDS
    number = next(n for n, part in enumerate(PARTS) if part.start <= now < part.end)
    part, after = PARTS[number], PARTS[(number + 1) % len(PARTS)]
    passing = _ease((now - (part.end - 1.2)) / 1.2)
    image = Image.blend(_light(part.light), _light(after.light), passing) if passing > 0 else _light(part.light).copy()
    _paint_bokeh(image, now)
    _paint_figure(image, now)
    _paint_arm(image, now, part)
    if part.shades:
        _paint_swatches(image, now - part.start, part.end - now)
    _paint_words(image, part, now)
    return image


def _wave(now: float, turns: int, shift: float = 0.0) -> float:
    """A swing that comes round a whole number of times in the clip, so that the loop closes."""
    return math.sin(math.tau * (now / SECONDS * turns + shift))


def _ease(part: float) -> float:
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)


def _paint_bokeh(image: Image.Image, now: float) -> None:
    for n in range(15):
        disc = _disc((26, 44, 18, 60, 34)[n % 5], n % 3 == 0)
        x = (n * 137) % 620 - 60 + 34 * _wave(now, 2 + n % 3, n * 0.17)
        y = (n * 211) % 700 - 70 + 40 * _wave(now, 1 + n % 4, n * 0.29)
        tint = ((255, 238, 214), (255, 222, 206), (255, 250, 240))[n % 3]
        level = 0.62 + 0.38 * _wave(now, 5 + n % 4, n * 0.13)
        image.paste(tint, (round(x), round(y)), disc.point([round(v * level) for v in range(256)]))


def _paint_figure(image: Image.Image, now: float) -> None:
    body, head = _figure()
    sway, breath = 5 * _wave(now, 9), 3 * _wave(now, 18)
    image.paste(body, (round(4 + sway), round(FIGURE_DOWN + breath)), body)
    turn = 2.6 * _wave(now, 8, 0.1) + 1.2 * _wave(now, 19)
    leaned = head.rotate(turn, Image.Resampling.BILINEAR, center=(250, 330))
    image.paste(leaned, (round(4 + sway * 1.5), round(FIGURE_DOWN + breath * 1.2)), leaned)


def _paint_arm(image: Image.Image, now: float, part: Part) -> None:
    arm = _with_hand(part.holds)
    shown = min(_ease((now - part.start) / 1.1), _ease((part.end - now) / 0.8))
    taps = 16 if part.taps else 0  # the hand shows the tap
    nod = -taps * max(0.0, math.sin(math.tau * (now - part.start) / 1.8)) ** 3
    wave = 9 * math.sin(math.tau * (now - part.start) / 1.6) if not part.holds else 0.0
    turn = 3.2 * _wave(now, 14) + wave + 26 * (shown - 1)
    turned = arm.rotate(turn, Image.Resampling.BILINEAR, center=(440, 700))
    image.paste(
        turned, (round(18 + 4 * _wave(now, 11)), round(86 + 520 * (1 - shown) + nod + 5 * _wave(now, 16))), turned
    )


def _paint_swatches(image: Image.Image, since: float, left: float) -> None:
    for n, shade in enumerate(SHADES):
        shown = min(_ease((since - 1.2 - n * 0.85) / 0.6), _ease(left / 0.5))
        if shown > 0:
            layer = _swatch(shade.name, shade.colour)
            place = (round(58 - 40 * (1 - shown)), round(292 + n * 47 + 1.5 * math.sin(since * 2 + n)))
            image.paste(layer, place, layer.getchannel("A").point([round(v * shown) for v in range(256)]))


def _paint_words(image: Image.Image, part: Part, now: float) -> None:
    shown = min(_ease((now - part.start) / FADE_SECONDS), _ease((part.end - now) / FADE_SECONDS))
    if shown > 0:
        layer = _words(part)
        alpha = layer.getchannel("A").point([round(v * shown) for v in range(256)])
        image.paste(layer, (0, round(WORDS_TOP + 14 * (1 - shown))), alpha)


# --- files ------------------------------------------------------------------------------------------------------


def _sound() -> str:
    """The chord, as a source of the encoder's own."""
    voices = (
        f"{VOICE_LEVEL}*(0.5+0.5*sin(2*PI*t*{swells}/{SECONDS}+{n}))*sin(2*PI*{hertz}*t)"
        for n, (hertz, swells) in enumerate(VOICES)
    )
    return f"aevalsrc={'+'.join(voices)}:s=48000:d={SECONDS}"


def frames() -> Iterator[bytes]:
    """All frames, as raw RGB."""
    for number in range(SECONDS * FRAMES_PER_SECOND):
        yield frame(number / FRAMES_PER_SECOND).tobytes()


def make_clip(folder: Path = FOLDER) -> list[Path]:
    """Draw the clip into `folder`; the paths of the four files.

    Raises `RuntimeError` where ffmpeg is missing or fails. Takes some minutes; a clip that is there stays until then.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise RuntimeError("ffmpeg is needed to make the clip anew (Debian: apt-get install ffmpeg).")
    folder.mkdir(parents=True, exist_ok=True)
    poster = frame(POSTER_SECOND)
    poster.save(folder / "poster.webp", quality=84, method=6)
    poster.save(folder / "poster.jpg", quality=84, optimize=True, progressive=True)
    with tempfile.TemporaryDirectory() as draft:
        mp4, webm = Path(draft) / "clip.mp4", Path(draft) / "clip.webm"
        command = [
            ffmpeg, "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}",
            "-r", str(FRAMES_PER_SECOND), "-i", "-", "-f", "lavfi", "-i", _sound(),
            # A key frame every 2 s: the page may start the loop, and seek in it, anywhere.
            "-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "fast", "-crf", "27", "-maxrate", "270k",
            "-bufsize", "800k", "-g", "48", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k",
            "-movflags", "+faststart", str(mp4),
            "-map", "0:v", "-map", "1:a", "-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "6",
            "-row-mt", "1", "-b:v", "170k", "-maxrate", "210k", "-bufsize", "800k", "-g", "48", "-pix_fmt", "yuv420p",
            "-c:a", "libopus", "-b:a", "24k", str(webm),
        ]  # fmt: skip
        encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert encoder.stdin is not None
        with encoder.stdin as pipe:
            for picture in frames():
                pipe.write(picture)
        if encoder.wait() != 0:
            raise RuntimeError(f"ffmpeg ended with {encoder.returncode}.")
        for path in (mp4, webm):
            shutil.move(path, folder / path.name)
    return [folder / name for name in ("clip.mp4", "clip.webm", "poster.webp", "poster.jpg")]


if __name__ == "__main__":
    for made in make_clip(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(f"{made}: {made.stat().st_size // 1024} KiB")
