"""The pictures of the demo's goods, drawn: one for each product, and one for each shade that has a colour.

What arrives: a product CSV of the house. What leaves: WebP pictures of 960 × 960, each time the same on one machine.
`python -m livecommerce.demo.goods.pictures FOLDER` writes them into a folder, to be looked at.
"""

import csv
import io
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from livecommerce.demo.goods.easel import (
    BRASS,
    RGB,
    STEEL,
    WHITE,
    Scene,
    Stops,
    colour_at,
    darker,
    flat,
    lighter,
    mix,
    rgb,
    round_body,
    soft_body,
    stage,
)
from livecommerce.demo.goods.house import CATALOGUE, GOODS, Good

INK: RGB = (52, 38, 40)
CREAM: RGB = (250, 244, 236)
FLOOR = 768  # where things stand on the plinth


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture: whose it is (`options` empty: the product's own), what it shows in words, and its WebP bytes."""

    handle: str
    options: tuple[str, ...]
    alt: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Task:
    """One picture to be drawn: the look, its colours, and what the label says."""

    handle: str
    options: tuple[str, ...]
    look: str
    colour: RGB
    ground: RGB
    title: str
    shaded: bool  # the colour is a shade's: it is shown as a smear beside the thing


def pictures_of(catalogue: Path) -> Iterator[Picture]:
    """The pictures of the products in a product CSV, as far as they are this house's; each product's own comes first.

    Drawn on all processors while the caller takes them; a few seconds for all of the house.
    """
    with catalogue.open(encoding="utf-8-sig", newline="") as file:
        handles = {row["URL handle"] for row in csv.DictReader(file)}
    wanted = [task for task in tasks() if task.handle in handles]
    # `spawn`: the caller may have threads and an event loop, which a fork would copy half-alive.
    # An executor, not a `Pool`: a pool whose workers cannot start replaces them for ever.
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 8), multiprocessing.get_context("spawn")) as pool:
        for task, data in zip(wanted, pool.map(_drawn, wanted, chunksize=4), strict=True):
            alt = f"{task.title}, {task.options[0]}" if task.options else task.title
            yield Picture(task.handle, task.options, alt, data)


def tasks() -> list[Task]:
    """All pictures of the house."""
    found = []
    for good in GOODS:
        found.append(_task(good, (), good.colours[0], good.shades[0].colour != ""))
        found += [_task(good, (shade.name,), shade.colour, True) for shade in good.shades if shade.colour]
    return found


def _task(good: Good, options: tuple[str, ...], colour: str, shaded: bool) -> Task:
    ground = rgb(good.colours[1])
    # The stage leans a little towards the shade, so that a row of shades is a row of moods.
    leaning = mix(ground, rgb(colour), 0.1) if shaded else ground
    return Task(good.handle, options, good.look, rgb(colour), leaning, good.title, shaded)


def _drawn(task: Task) -> bytes:
    file = io.BytesIO()
    draw(task).save(file, "WEBP", quality=84, method=3)
    return file.getvalue()


def draw(task: Task) -> Image.Image:
    """The picture of one task."""
    scene = Scene(stage(task.ground))
    LOOKS[task.look](scene, task)
    return scene.image


# --- things -----------------------------------------------------------------------------------------------------


def _smear(scene: Scene, colour: RGB, x: float = 640, y: float = 776, size: float = 1.0) -> None:
    """A stroke of the shade on the plinth, thick on the left and drawn out to the right."""

    def thick(t: float) -> float:
        return 25 * size * math.sqrt(1 - t) * (1 + 0.16 * math.sin(8 * t + 0.6))

    def edge(side: int, scale: float, last: float) -> list[tuple[float, float]]:
        steps = [last * n / 30 for n in range(31)]
        return [(x - 92 * size + 206 * size * t, y + side * scale * thick(t) * 0.62 - 10 * size * t) for t in steps]

    def stroke(scale: float, last: float) -> list[tuple[float, float]]:
        round_end = [
            (x - 92 * size - 27 * size * scale * math.sin(a), y + 15.6 * size * scale * math.cos(a) * 1.08)
            for a in [math.pi * n / 16 for n in range(1, 16)]
        ]
        return [*reversed(edge(1, scale, last)), *round_end, *edge(-1, scale, last)]

    scene.shadow((x - 118 * size, y - 4, x + 100 * size, y + 30 * size), 0.26, 2)
    scene.polygon([(px + 2, py + 4 * size) for px, py in stroke(1.0, 1.0)], flat(darker(colour, 0.32)))
    cream: Stops = (
        (0.0, lighter(colour, 0.12)),
        (0.25, colour),
        (0.7, lighter(colour, 0.08)),
        (1.0, lighter(colour, 0.3)),
    )
    scene.polygon(stroke(1.0, 1.0), cream)
    scene.polygon([(px + 8, py - 4 * size) for px, py in stroke(0.42, 0.72)], flat(lighter(colour, 0.6)), alpha=0.34)
    scene.glow((x - 116 * size, y - 24 * size, x - 10 * size, y + 10 * size), WHITE, 0.45)


def _name(scene: Scene, x: float, y: float, size: int = 22, colour: RGB = INK, most: float = 960) -> None:
    scene.words("AURELLE", x, y, size, colour, size * 0.32, most=most)


def _stand(scene: Scene, x: float, width: float, y: float = FLOOR) -> None:
    """The shadow under a thing: dark where it touches, long and soft to the right."""
    scene.shadow((x - width * 0.5, y - 20, x + width * 1.05, y + 30), 0.34, 7)
    scene.shadow((x - width * 0.55, y - 12, x + width * 0.58, y + 16), 0.5, 2.5)


def _cylinder(
    scene: Scene,
    x: float,
    top: float,
    bottom: float,
    width: float,
    stops: Stops,
    *,
    lid: RGB | None = None,
    radius: int = 4,
) -> None:
    """An upright round body with a curved foot; with `lid`, its top is seen from slightly above."""
    half, bow = width / 2, width * 0.075
    scene.fill((x - half, bottom - bow, x + half, bottom + bow), stops, "ellipse")
    scene.fill((x - half, top, x + half, bottom), stops, "rounded", radius)
    if lid is not None:
        scene.fill((x - half, top - bow, x + half, top + bow), ((0.0, lighter(lid, 0.45)), (1.0, lid)), "ellipse")


def _lipstick(scene: Scene, task: Task) -> None:
    _smear(scene, task.colour, 660, 762, 0.84)
    # The cap stands behind on the left, the open stick in front.
    _stand(scene, 360, 120, 752)
    _cylinder(scene, 360, 520, 752, 112, round_body(mix(task.colour, INK, 0.62)), lid=darker(task.colour, 0.3))
    scene.fill((304, 700, 416, 712), BRASS)
    scene.shine((322, 540, 342, 690), 0.35)
    stick(scene, 500, FLOOR, 1.0, task.colour)


def stick(scene: Scene, x: float, floor: float, size: float, colour: RGB) -> None:
    """An open lipstick with its foot at (`x`, `floor`)."""

    def at(value: float) -> float:
        return value * size

    _stand(scene, x, at(128), floor)
    _cylinder(scene, x, floor - at(210), floor, at(128), round_body(mix(colour, INK, 0.72)))
    scene.fill((x - at(64), floor - at(214), x + at(64), floor - at(196)), BRASS)
    _cylinder(scene, x, floor - at(318), floor - at(214), at(104), BRASS)
    scene.fill((x - at(52), floor - at(326), x + at(52), floor - at(310)), BRASS, "ellipse")
    # The bullet: a cylinder cut at a slant, with a drop-shaped face.
    body = soft_body(colour)
    left, right, foot = x - at(42), x + at(42), floor - at(320)
    scene.polygon(
        [
            (left, foot),
            (left, foot - at(96)),
            (x - at(20), foot - at(160)),
            (x + at(14), foot - at(192)),
            (x + at(34), foot - at(184)),
            (right, foot - at(158)),
            (right, foot),
        ],
        body,
    )
    face = [
        (x + at(44) * math.cos(a) * 0.92 + at(2), foot - at(118) - at(70) * math.sin(a) + at(30) * math.cos(a) * -1.05)
        for a in [n * math.pi / 24 for n in range(48)]
    ]
    scene.polygon(face, ((0.0, lighter(colour, 0.34)), (0.6, lighter(colour, 0.12)), (1.0, colour)), across=False)
    scene.fill((left, foot - at(8), right, foot + at(8)), darker_edge(colour), "ellipse", alpha=0.5)
    scene.shine((x - at(36), foot - at(96), x - at(14), foot - at(6)), 0.4)
    scene.shine((x - at(46), floor - at(186), x - at(22), floor - at(14)), 0.4)
    _name(scene, x + at(4), floor - at(100), max(9, round(at(15))), (232, 205, 158), at(104))


def darker_edge(colour: RGB) -> Stops:
    return flat(darker(colour, 0.35))


def _gloss(scene: Scene, task: Task) -> None:
    _smear(scene, task.colour, 640, 764, 0.9)
    x = 470
    _stand(scene, x, 120)
    _cylinder(scene, x, 470, FLOOR, 118, round_body(lighter(task.colour, 0.12)), radius=16)
    scene.fill(
        (x - 59, 470, x + 59, FLOOR),
        (
            (0.0, WHITE),
            (0.08, lighter(task.colour, 0.6)),
            (0.16, lighter(task.colour, 0.2)),
            (0.9, task.colour),
            (1.0, WHITE),
        ),
        "rounded",
        16,
        alpha=0.35,
    )
    scene.fill((x - 5, 480, x + 5, 700), flat(darker(task.colour, 0.35)), "rounded", 5, alpha=0.32)
    scene.fill((x - 11, 660, x + 11, 742), soft_body(darker(task.colour, 0.2)), "rounded", 11, alpha=0.4)
    scene.fill((x - 46, 448, x + 46, 480), BRASS)
    _cylinder(scene, x, 226, 452, 104, BRASS, lid=(226, 190, 128))
    scene.shine((x - 44, 492, x - 20, 748), 0.75)
    _name(scene, x + 6, 560, 17, darker(task.colour, 0.55), 84)


def _jar(scene: Scene, task: Task) -> None:
    _stand(scene, 480, 320)
    _cylinder(scene, 480, 590, FLOOR, 330, round_body(lighter(task.colour, 0.22)), radius=26)
    scene.fill(
        (315, 590, 645, FLOOR),
        (
            (0.0, WHITE),
            (0.07, lighter(task.colour, 0.5)),
            (0.5, task.colour),
            (0.94, lighter(task.colour, 0.3)),
            (1.0, WHITE),
        ),
        "rounded",
        26,
        alpha=0.3,
    )
    scene.fill(
        (352, 630, 608, 742),
        ((0.0, mix(CREAM, task.colour, 0.14)), (0.3, CREAM), (1.0, mix(CREAM, task.colour, 0.3))),
        "rounded",
        4,
        alpha=0.9,
    )
    _cylinder(scene, 480, 500, 600, 344, BRASS, lid=(233, 205, 150), radius=8)
    scene.fill((352, 480, 608, 516), ((0.0, (246, 226, 182)), (1.0, (214, 176, 112))), "ellipse", alpha=0.7)
    _name(scene, 480, 668, 26)
    scene.words(task.title, 480, 710, 18, INK, 0.6, 0.75)
    scene.shine((330, 606, 352, 750), 0.7)
    # A spoonful of cream in front.
    scene.shadow((640, 772, 760, 806), 0.3, 2)
    scene.fill((636, 752, 748, 800), flat(lighter(task.colour, 0.72)), "ellipse", across=False)
    scene.fill((662, 738, 722, 776), flat(lighter(task.colour, 0.84)), "ellipse", across=False)


def _pencil(scene: Scene, task: Task) -> None:
    _smear(scene, task.colour, 640, 768, 0.9)
    for x0, y0, x1, y1, capped in ((330, 700, 610, 210, False), (420, 776, 700, 330, True)):
        _rod(scene, (x0, y0), (x1, y1), 34, task.colour, capped)


def _rod(
    scene: Scene, foot: tuple[float, float], tip: tuple[float, float], width: float, colour: RGB, capped: bool
) -> None:
    """A slim thing leaning: a long body, a ring of brass, and a point or a cap."""
    dx, dy = tip[0] - foot[0], tip[1] - foot[1]
    length = math.hypot(dx, dy)
    along, over = (dx / length, dy / length), (-dy / length, dx / length)

    def band(start: float, end: float, wide_from: float, wide_to: float, stops: Stops) -> None:
        # Narrow slices from side to side carry the shading of a round body at any slant.
        slices = 16
        for n in range(slices):
            a, b = n / slices - 0.5, (n + 1.6) / slices - 0.5
            colour_here = colour_at(stops, (n + 0.5) / slices)
            quad = [
                (
                    foot[0] + along[0] * length * s + over[0] * w * side,
                    foot[1] + along[1] * length * s + over[1] * w * side,
                )
                for s, w, side in (
                    (start, wide_from, a),
                    (start, wide_from, min(b, 0.5)),
                    (end, wide_to, min(b, 0.5)),
                    (end, wide_to, a),
                )
            ]
            scene.polygon(quad, flat_exact(colour_here))

    scene.shadow((foot[0] - width, foot[1] - 14, foot[0] + width * 2.4, foot[1] + 22), 0.42, 3)
    lacquer = round_body(mix(colour, INK, 0.45))
    band(0.0, 0.66, width, width, lacquer)
    band(0.64, 0.7, width * 1.04, width * 1.04, BRASS)
    if capped:
        band(0.69, 1.0, width, width * 0.92, BRASS)
    else:
        band(0.69, 0.86, width * 0.98, width * 0.44, soft_body((214, 176, 132)))
        band(0.85, 1.0, width * 0.46, width * 0.05, soft_body(colour))


def flat_exact(colour: RGB) -> Stops:
    return ((0.0, colour), (1.0, colour))


def _pump(scene: Scene, task: Task) -> None:
    if task.shaded:
        _smear(scene, task.colour, 672, 764, 0.86)
    x = 470
    _stand(scene, x, 190)
    _cylinder(scene, x, 420, FLOOR, 196, round_body(task.colour), radius=30)
    scene.fill(
        (x - 98, 420, x + 98, FLOOR),
        (
            (0.0, WHITE),
            (0.06, lighter(task.colour, 0.45)),
            (0.5, task.colour),
            (0.95, lighter(task.colour, 0.4)),
            (1.0, WHITE),
        ),
        "rounded",
        30,
        alpha=0.3,
    )
    scene.fill((x - 70, 500, x + 70, 690), flat(mix(CREAM, task.colour, 0.06)), "rounded", 3, alpha=0.92)
    _cylinder(scene, x, 352, 424, 104, BRASS)
    scene.fill((x - 15, 306, x + 15, 358), STEEL)
    scene.fill((x - 60, 262, x + 60, 312), BRASS, "rounded", 12)
    scene.polygon([(x - 56, 268), (x - 132, 276), (x - 134, 296), (x - 56, 304)], BRASS)
    _name(scene, x, 556, 24, most=116)
    scene.words(" ".join(task.title.split()[:2]), x, 606, 16, INK, 0.4, 0.72, 118)
    scene.fill((x - 22, 636, x + 22, 639), flat((186, 146, 86)))
    scene.shine((x - 84, 440, x - 56, 745), 0.75)


def _compact(scene: Scene, task: Task) -> None:
    """An open compact: mirror lid leaning back, the pan in front with a pressed wave."""
    scene.shadow((210, 700, 800, 830), 0.4, 9)
    scene.fill((262, 214, 698, 650), BRASS, "ellipse")
    scene.fill((276, 228, 684, 636), flat(darker(task.ground, 0.12)), "ellipse")
    scene.fill(
        (284, 236, 676, 628),
        ((0.0, (250, 250, 252)), (0.45, (206, 214, 222)), (0.55, (236, 240, 244)), (1.0, (176, 186, 196))),
        "ellipse",
    )
    scene.glow((300, 250, 560, 520), WHITE, 0.7)
    scene.fill((420, 612, 540, 650), BRASS, "rounded", 8)
    scene.fill((238, 610, 722, 830), BRASS, "ellipse")
    scene.fill(
        (238, 596, 722, 812),
        ((0.0, (158, 118, 62)), (0.3, (250, 226, 172)), (0.6, (206, 164, 98)), (1.0, (130, 94, 48))),
        "ellipse",
    )
    scene.fill((270, 610, 690, 796), flat(darker(task.colour, 0.3)), "ellipse")
    scene.fill(
        (278, 618, 682, 794),
        ((0.0, lighter(task.colour, 0.28)), (0.5, task.colour), (1.0, darker(task.colour, 0.12))),
        "ellipse",
    )
    for ring in range(5):
        inset = 34 + ring * 34
        scene.fill(
            (278 + inset, 618 + inset * 0.42, 682 - inset, 794 - inset * 0.42),
            ((0.0, lighter(task.colour, 0.34)), (0.55, task.colour), (1.0, darker(task.colour, 0.1))),
            "ellipse",
            alpha=0.8,
        )
        inset += 7
        scene.fill(
            (278 + inset, 618 + inset * 0.42, 682 - inset, 794 - inset * 0.42),
            ((0.0, task.colour), (1.0, lighter(task.colour, 0.12))),
            "ellipse",
            alpha=0.9,
        )
    scene.glow((300, 620, 520, 740), WHITE, 0.25)
    _name(scene, 480, 704, 17, darker(task.colour, 0.3))


def _palette(scene: Scene, task: Task) -> None:
    base = task.colour
    many = 6 if "Sable" in task.title else 9
    scene.shadow((170, 700, 830, 860), 0.42, 9)
    # The lid with its mirror stands behind, the tray lies in front, both as slanted panels.
    scene.polygon([(212, 236), (748, 236), (764, 548), (196, 548)], round_body(mix(base, INK, 0.5)))
    scene.polygon(
        [(234, 256), (726, 256), (740, 530), (220, 530)],
        ((0.0, (248, 249, 252)), (0.42, (204, 210, 220)), (0.52, (240, 243, 247)), (1.0, (184, 192, 204))),
    )
    scene.fill((420, 540, 540, 558), BRASS, "rounded", 6)
    scene.polygon(
        [(196, 556), (764, 556), (818, 790), (142, 790)],
        ((0.0, darker(base, 0.35)), (0.5, mix(base, INK, 0.4)), (1.0, darker(base, 0.5))),
    )
    scene.fill((142, 788, 818, 812), BRASS, "rounded", 10)
    columns = 3
    rows = many // columns
    pans = _family(base, many)
    for n, colour in enumerate(pans):
        row, column = divmod(n, columns)
        near, far = 556 + 22 + row * (196 / rows), 556 + 14 + (row + 1) * (196 / rows)

        def edge(y: float, part: float) -> float:
            lean = (y - 556) / 234
            left, right = 196 - 54 * lean + 24, 764 + 54 * lean - 24
            return left + (right - left) * part

        a, b = column / columns + 0.014, (column + 1) / columns - 0.014
        quad = [(edge(near, a), near), (edge(near, b), near), (edge(far, b), far), (edge(far, a), far)]
        scene.polygon(quad, ((0.0, lighter(colour, 0.22)), (0.5, colour), (1.0, darker(colour, 0.14))), across=False)
        if n % 3 == 2:  # the metals gleam
            middle = (quad[0][0] + quad[1][0]) / 2
            scene.glow((middle - 70, near - 4, middle + 50, far + 4), WHITE, 0.45)
    _name(scene, 480, 392, 30, (150, 156, 168))


def _family(colour: RGB, many: int) -> list[RGB]:
    light, dark = lighter(colour, 0.72), darker(colour, 0.5)
    warm = mix(colour, (214, 150, 96), 0.55)
    found = []
    for n in range(many):
        part = n / (many - 1)
        shade = mix(light, dark, part)
        found.append(mix(shade, warm, 0.5 if n % 3 == 2 else 0.12 * (n % 2)))
    return found


def _mascara(scene: Scene, task: Task) -> None:
    if task.shaded:
        _smear(scene, task.colour, 690, 772, 0.7)
    x = 400
    _stand(scene, x, 100)
    _cylinder(scene, x, 360, FLOOR, 96, round_body(mix(task.colour, INK, 0.35)), radius=10)
    scene.fill((x - 48, 344, x + 48, 366), BRASS)
    _cylinder(scene, x, 330, 348, 62, STEEL)
    scene.shine((x - 36, 384, x - 14, 740), 0.5)
    scene.words("AURELLE", x + 4, 560, 15, (226, 196, 146), 4, most=80)
    # The wand, out of its tube.
    x = 562
    _stand(scene, x, 92)
    _cylinder(scene, x, 510, FLOOR, 92, BRASS, radius=8)
    scene.fill((x - 30, 494, x + 30, 514), STEEL)
    scene.fill((x - 4, 300, x + 4, 498), STEEL)
    for n in range(46):
        y = 206 + n * 3.6
        reach = 25 * math.sin(math.pi * (0.14 + 0.8 * n / 46)) + 4
        tone = mix(task.colour, INK, 0.3)
        scene.polygon(
            [(x - reach, y - 3), (x + reach, y + 2), (x + reach, y + 4), (x - reach, y - 1)],
            ((0.0, tone), (0.4, lighter(tone, 0.25)), (1.0, darker(tone, 0.4))),
        )


def _dropper(scene: Scene, task: Task) -> None:
    x = 470
    _stand(scene, x, 210)
    _bottle_glass(scene, x, 440, 214, task.colour, 0.86)
    scene.fill((x - 60, 400, x + 60, 446), BRASS)
    scene.fill((x - 46, 300, x + 46, 404), BRASS, "rounded", 8)
    scene.fill((x - 36, 186, x + 36, 310), round_body((240, 232, 224)), "rounded", 34)
    scene.fill(
        (x - 7, 446, x + 7, 680),
        ((0.0, WHITE), (0.5, lighter(task.colour, 0.55)), (1.0, WHITE)),
        "rounded",
        7,
        alpha=0.55,
    )
    _label(scene, x, 540, 716, 150, task)
    # Two drops on the plinth.
    for dx, size in ((660, 26), (724, 16)):
        scene.shadow((dx - size, 776, dx + size * 1.6, 776 + size), 0.28, 1.6)
        scene.fill(
            (dx - size, 776 - size * 0.6, dx + size, 776 + size * 0.6),
            ((0.0, lighter(task.colour, 0.55)), (1.0, task.colour)),
            "ellipse",
            across=False,
            alpha=0.92,
        )
        scene.fill((dx - size * 0.5, 776 - size * 0.42, dx, 776 - size * 0.1), flat_exact(WHITE), "ellipse", alpha=0.8)


def _bottle_glass(scene: Scene, x: float, top: float, width: float, colour: RGB, level: float) -> None:
    """A thick glass body with liquid inside."""
    half = width / 2
    glass: Stops = (
        (0.0, lighter(colour, 0.35)),
        (0.08, lighter(colour, 0.82)),
        (0.5, lighter(colour, 0.62)),
        (0.92, lighter(colour, 0.85)),
        (1.0, lighter(colour, 0.3)),
    )
    scene.fill((x - half, top, x + half, FLOOR + 8), glass, "rounded", 34, alpha=0.85)
    surface = FLOOR - (FLOOR - top) * level
    scene.fill((x - half + 12, surface, x + half - 12, FLOOR - 12), round_body(colour), "rounded", 24, alpha=0.92)
    scene.fill(
        (x - half + 12, surface - 7, x + half - 12, surface + 9), flat(lighter(colour, 0.4)), "ellipse", alpha=0.8
    )
    scene.glow((x - half + 20, FLOOR - 150, x + half - 10, FLOOR + 10), lighter(colour, 0.7), 0.5)
    scene.shine((x - half + 14, top + 26, x - half + 40, FLOOR - 20), 0.85)
    scene.shine((x + half - 24, top + 40, x + half - 12, FLOOR - 40), 0.5)


def _label(scene: Scene, x: float, top: float, bottom: float, width: float, task: Task) -> None:
    scene.fill(
        (x - width / 2, top, x + width / 2, bottom),
        ((0.0, mix(CREAM, task.colour, 0.18)), (0.3, CREAM), (1.0, mix(CREAM, task.colour, 0.26))),
        "rounded",
        3,
        alpha=0.95,
    )
    middle = (top + bottom) / 2
    _name(scene, x, middle - 34, round(width * 0.13), most=width * 0.8)
    scene.fill((x - 18, middle - 2, x + 18, middle + 1), flat((186, 146, 86)))
    lines = _lines(task.title, 12)
    for n, line in enumerate(lines):
        scene.words(line, x, middle + 26 + n * 24, round(width * 0.115), INK, 0.4, 0.78, width * 0.84)


def _lines(title: str, most: int) -> list[str]:
    lines = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + len(word) + 1 > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2]


def _bottle(scene: Scene, task: Task) -> None:
    x = 480
    _stand(scene, x, 210)
    _bottle_glass(scene, x, 380, 206, task.colour, 0.9)
    _cylinder(scene, x, 250, 384, 112, BRASS, lid=(230, 198, 140))
    _label(scene, x, 500, 690, 150, task)


def _tube(scene: Scene, task: Task) -> None:
    x = 480
    _stand(scene, x, 170)
    _cylinder(scene, x, 690, FLOOR, 150, BRASS, radius=6)
    body: Stops = (
        (0.0, darker(task.colour, 0.25)),
        (0.16, lighter(task.colour, 0.2)),
        (0.3, lighter(task.colour, 0.5)),
        (0.55, task.colour),
        (1.0, darker(task.colour, 0.3)),
    )
    scene.polygon([(x - 118, 214), (x + 118, 214), (x + 84, 700), (x - 84, 700)], body)
    scene.fill((x - 122, 196, x + 122, 236), body, "rounded", 4)
    for n in range(20):
        scene.fill((x - 118 + n * 12, 200, x - 115 + n * 12, 232), flat_exact(darker(task.colour, 0.25)), alpha=0.3)
    ink = INK if sum(task.colour) > 480 else CREAM
    scene.words("AURELLE", x, 380, 30, ink, 8, most=166)
    scene.fill((x - 24, 418, x + 24, 421), flat(mix(ink, (200, 160, 96), 0.6)))
    for n, line in enumerate(_lines(task.title, 11)):
        scene.words(line, x, 462 + n * 34, 24, ink, 0.5, 0.9, 160)
    scene.shine((x - 88, 250, x - 50, 670), 0.5)


def _sachet(scene: Scene, task: Task) -> None:
    for n, (x, y, tone) in enumerate(((396, 250, 0.45), (560, 270, 0.25), (478, 232, 0.0))):
        colour = lighter(task.colour, tone)
        scene.shadow((x - 120, 740, x + 180, 800), 0.36, 6)
        scene.polygon(
            [(x - 118, y), (x + 118, y), (x + 124, FLOOR + 4), (x - 124, FLOOR + 4)],
            (
                (0.0, darker(colour, 0.12)),
                (0.2, lighter(colour, 0.4)),
                (0.5, colour),
                (0.8, lighter(colour, 0.14)),
                (1.0, darker(colour, 0.2)),
            ),
        )
        scene.fill((x - 120, y, x + 120, y + 26), flat(darker(colour, 0.08)), alpha=0.5)
        if n == 2:
            scene.words("AURELLE", x, 430, 30, WHITE, 8, most=180)
            scene.fill((x - 24, 468, x + 24, 471), flat((240, 220, 176)))
            scene.words("Overnight", x, 516, 26, WHITE, 0.5)
            scene.words("Sheet Mask", x, 552, 26, WHITE, 0.5)
            scene.shine((x - 100, 270, x - 60, 740), 0.4)


def _perfume(scene: Scene, task: Task) -> None:
    x = 480
    _stand(scene, x, 300)
    scene.glow((300, 470, 760, 830), lighter(task.colour, 0.4), 0.5)
    _flacon(scene, x, 410, 300, task.colour)
    scene.fill((x - 44, 366, x + 44, 416), BRASS)
    _cylinder(
        scene, x, 196, 366, 122, round_body(mix(task.colour, INK, 0.66)), lid=darker(task.colour, 0.15), radius=10
    )
    scene.fill((x - 61, 348, x + 61, 366), BRASS)
    scene.shine((x - 46, 214, x - 22, 344), 0.5)
    scene.fill((x - 88, 530, x + 88, 690), flat(mix(CREAM, task.colour, 0.05)), "rounded", 2, alpha=0.94)
    for inset in (8,):
        scene.fill((x - 88 + inset, 530 + inset, x + 88 - inset, 532 + inset), flat((186, 146, 86)))
        scene.fill((x - 88 + inset, 688 - inset, x + 88 - inset, 690 - inset), flat((186, 146, 86)))
    for n, line in enumerate(_lines(task.title, 9)):
        scene.words(line, x, 578 + n * 36, 28, INK, 0.8)
    scene.words("AURELLE", x, 658, 13, INK, 5, 0.8)


def _flacon(scene: Scene, x: float, top: float, width: float, colour: RGB) -> None:
    """A square flacon of thick glass: the liquid ends well above its foot."""
    half = width / 2
    glass: Stops = (
        (0.0, lighter(colour, 0.3)),
        (0.06, lighter(colour, 0.88)),
        (0.5, lighter(colour, 0.7)),
        (0.94, lighter(colour, 0.9)),
        (1.0, lighter(colour, 0.2)),
    )
    scene.fill((x - half, top, x + half, FLOOR + 6), glass, "rounded", 22, alpha=0.9)
    scene.fill(
        (x - half + 20, top + 40, x + half - 20, FLOOR - 34),
        (
            (0.0, darker(colour, 0.2)),
            (0.2, lighter(colour, 0.3)),
            (0.55, colour),
            (0.85, darker(colour, 0.22)),
            (1.0, lighter(colour, 0.2)),
        ),
        "rounded",
        14,
        alpha=0.9,
    )
    scene.fill((x - half + 20, top + 34, x + half - 20, top + 48), flat(lighter(colour, 0.5)), "ellipse", alpha=0.75)
    scene.glow((x - 60, FLOOR - 190, x + half, FLOOR - 20), lighter(colour, 0.75), 0.55)
    scene.shine((x - half + 6, top + 18, x - half + 34, FLOOR - 16), 0.9)
    scene.polygon(
        [(x + half - 70, top + 44), (x + half - 34, top + 44), (x - 10, FLOOR - 40), (x - 60, FLOOR - 40)],
        flat_exact(WHITE),
        alpha=0.13,
    )


def _candle(scene: Scene, task: Task) -> None:
    x = 480
    _stand(scene, x, 260)
    _cylinder(scene, x, 450, FLOOR, 268, round_body(lighter(task.colour, 0.18)), radius=10)
    scene.fill((x - 134, 428, x + 134, 474), flat(lighter(task.colour, 0.4)), "ellipse")
    scene.fill((x - 122, 434, x + 122, 470), flat((250, 243, 228)), "ellipse", across=False)
    scene.fill((x - 3, 404, x + 3, 450), flat(INK), "rounded", 3)
    scene.glow((x - 190, 210, x + 190, 590), (255, 216, 140), 0.75)
    flame = [
        (x + 21 * math.sin(a) * (1 - 0.55 * max(0.0, math.cos(a))), 372 - 54 * math.cos(a))
        for a in [n * math.tau / 40 for n in range(40)]
    ]
    scene.polygon(
        flame, ((0.0, (255, 236, 170)), (0.6, (255, 206, 110)), (1.0, (250, 160, 70))), across=False, alpha=0.95
    )
    scene.fill((x - 8, 376, x + 8, 414), flat((255, 252, 232)), "ellipse", alpha=0.9)
    _label(scene, x, 540, 706, 176, task)
    scene.shine((x - 116, 476, x - 86, 750), 0.55)


def _brushes(scene: Scene, task: Task) -> None:
    """Brushes in a fan out of a cup, or a single one."""
    several = "Set" in task.title
    slants = (-170, -96, -36, 30, 92, 160) if several else (70,)
    for n, slant in enumerate(slants):
        size = (1.0, 0.74, 1.15, 0.66, 0.9, 0.8)[n % 6] if several else 1.6
        _brush(
            scene, (480 + slant * 0.32, 730), (480 + slant, 290 - 20 * (n % 2) if several else 330), size, task.colour
        )
    _stand(scene, 480, 210)
    _cylinder(scene, 480, 560, FLOOR, 216, round_body(lighter(task.colour, 0.1)), radius=12)
    scene.fill((372, 552, 588, 572), BRASS, "rounded", 6)
    _name(scene, 480, 664, 24, CREAM)
    scene.shine((390, 584, 416, 750), 0.5)


def _brush(scene: Scene, foot: tuple[float, float], head: tuple[float, float], size: float, colour: RGB) -> None:
    dx, dy = head[0] - foot[0], head[1] - foot[1]
    length = math.hypot(dx, dy)
    ax, ay, ox, oy = dx / length, dy / length, -dy / length, dx / length

    def quad(start: float, end: float, one: float, other: float, stops: Stops) -> None:
        points = [
            (foot[0] + ax * s + ox * w, foot[1] + ay * s + oy * w)
            for s, w in ((start, -one), (start, one), (end, other), (end, -other))
        ]
        scene.polygon(points, stops)

    quad(0, length * 0.74, 8, 12 * size**0.4, round_body(mix(colour, (96, 66, 44), 0.35)))
    quad(length * 0.73, length, 13 * size**0.5, 20 * size, BRASS)
    hair = 110 * size**0.5
    tuft = []
    for n in range(25):
        a = math.pi * n / 24
        w, s = math.cos(a) * 40 * size, length + hair * 0.42 + math.sin(a) * hair * 0.6
        tuft.append((foot[0] + ax * s + ox * w, foot[1] + ay * s + oy * w))
    base = [
        (foot[0] + ax * (length - 2) + ox * w, foot[1] + ay * (length - 2) + oy * w) for w in (-20 * size, 20 * size)
    ]
    scene.polygon(
        [*tuft, *base], ((0.0, (104, 74, 58)), (0.3, (206, 168, 138)), (0.6, (158, 116, 90)), (1.0, (92, 62, 50)))
    )
    for n in range(1, 8):
        w = (n / 4 - 1) * 30 * size
        points = [
            (foot[0] + ax * s + ox * v, foot[1] + ay * s + oy * v)
            for s, v in (
                (length, w * 0.5),
                (length + hair * 0.85, w),
                (length + hair * 0.85, w + 2),
                (length, w * 0.5 + 2),
            )
        ]
        scene.polygon(points, flat_exact((228, 196, 168)), alpha=0.3)


def _stone(scene: Scene, task: Task) -> None:
    """A gua sha stone: a soft heart of jade standing on its edge."""
    scene.shadow((330, 730, 760, 806), 0.42, 7)
    outline = []
    for n in range(90):
        a = n * math.tau / 90
        r = (
            205
            + 34 * math.cos(2 * a - 0.5)
            + 30 * math.cos(3 * a + 0.9)
            - 26 * math.exp(-((((a - 4.5) % math.tau) - 0.2) ** 2) * 6)
        )
        outline.append((480 + r * 1.12 * math.cos(a), 540 + r * math.sin(a)))
    scene.polygon([(x + 7, y + 9) for x, y in outline], flat(darker(task.colour, 0.45)))
    scene.polygon(outline, ((0.0, lighter(task.colour, 0.5)), (0.45, task.colour), (1.0, darker(task.colour, 0.25))))
    for n, (x, y, w, h) in enumerate(((330, 420, 300, 120), (420, 560, 260, 130), (360, 640, 220, 90))):
        scene.glow((x, y, x + w, y + h), lighter(task.colour, 0.75 if n % 2 == 0 else 0.5), 0.5)
    scene.shine((338, 400, 384, 640), 0.75, 30)
    _name(scene, 500, 560, 22, darker(task.colour, 0.4))


def _box(scene: Scene, task: Task) -> None:
    """A gift box, its lid behind, with what is in it standing in front."""
    colour = mix(task.colour, INK, 0.35)
    scene.shadow((210, 730, 800, 810), 0.42, 8)
    scene.polygon(
        [(252, 262), (708, 262), (708, 744), (252, 744)],
        ((0.0, darker(colour, 0.1)), (0.3, lighter(colour, 0.16)), (1.0, darker(colour, 0.22))),
    )
    scene.fill((264, 274, 696, 276), BRASS)
    scene.fill((264, 730, 696, 732), BRASS)
    scene.fill((470, 262, 490, 744), BRASS, alpha=0.85)
    scene.words("AURELLE", 480, 330, 34, (238, 214, 166), 12)
    if "Wardrobe" in task.title:
        for x, tint in ((352, "#b97c6a"), (480, "#9b4a4f"), (608, "#c92b2f")):
            stick(scene, x, FLOOR + 12, 0.66, rgb(tint))
        return
    _small_bottle(scene, 356, (223, 229, 226), "Silk")
    _small_bottle(scene, 612, (224, 145, 63), "Glow")
    stick(scene, 484, FLOOR + 14, 0.78, task.colour)


def _small_bottle(scene: Scene, x: float, colour: RGB, word: str) -> None:
    _stand(scene, x, 120, FLOOR + 6)
    _cylinder(scene, x, 560, FLOOR + 6, 122, round_body(colour), radius=16)
    scene.fill((x - 34, 500, x + 34, 564), BRASS, "rounded", 4)
    scene.fill((x - 24, 430, x + 24, 506), round_body((240, 232, 224)), "rounded", 20)
    scene.fill((x - 42, 630, x + 42, 724), flat(CREAM), "rounded", 2, alpha=0.94)
    scene.words(word, x, 678, 22, INK, 0.5)
    scene.shine((x - 52, 578, x - 34, 750), 0.7)


def _vials(scene: Scene, task: Task) -> None:
    colours = ((109, 90, 156), (143, 174, 134), (207, 138, 69), (208, 96, 127), (195, 164, 110))
    scene.shadow((190, 730, 800, 812), 0.4, 8)
    scene.fill(
        (206, 640, 754, FLOOR + 14),
        ((0.0, (232, 222, 206)), (0.3, (250, 244, 234)), (1.0, (206, 192, 172))),
        "rounded",
        8,
    )
    for n, colour in enumerate(colours):
        x = 272 + n * 104
        scene.fill(
            (x - 30, 340, x + 30, 668),
            (
                (0.0, WHITE),
                (0.1, lighter(colour, 0.7)),
                (0.5, lighter(colour, 0.5)),
                (0.9, lighter(colour, 0.8)),
                (1.0, WHITE),
            ),
            "rounded",
            8,
            alpha=0.85,
        )
        scene.fill((x - 24, 404, x + 24, 660), round_body(colour), "rounded", 8, alpha=0.9)
        scene.fill((x - 33, 262, x + 33, 350), BRASS, "rounded", 6)
        scene.shine((x - 24, 360, x - 10, 630), 0.8)
    scene.fill(
        (206, 652, 754, FLOOR + 14),
        ((0.0, (228, 216, 198)), (0.3, (252, 247, 239)), (1.0, (208, 194, 174))),
        "rounded",
        8,
    )
    _name(scene, 480, 706, 26)
    scene.words("Discovery Set", 480, 746, 18, INK, 1)


def _pouch(scene: Scene, task: Task) -> None:
    colour = task.colour
    for x, tint in ((372, (223, 229, 226)), (480, (156, 195, 207)), (588, (67, 80, 124))):
        _cylinder(scene, x, 330, 600, 92, round_body(tint), radius=12)
        scene.fill((x - 40, 262, x + 40, 336), BRASS, "rounded", 8)
        scene.shine((x - 36, 346, x - 18, 560), 0.7)
    scene.shadow((220, 740, 800, 812), 0.42, 8)
    scene.polygon(
        [(238, 470), (722, 470), (752, FLOOR + 14), (208, FLOOR + 14)],
        ((0.0, darker(colour, 0.2)), (0.25, lighter(colour, 0.25)), (0.6, colour), (1.0, darker(colour, 0.3))),
    )
    scene.fill((232, 462, 728, 486), BRASS, "rounded", 10)
    scene.words("AURELLE", 480, 620, 38, CREAM, 14)
    scene.words("on the road", 480, 674, 24, CREAM, 2, 0.85)


LOOKS: dict[str, Callable[[Scene, Task], None]] = {
    "lipstick": _lipstick, "gloss": _gloss, "jar": _jar, "pencil": _pencil, "pump": _pump, "compact": _compact,
    "palette": _palette, "mascara": _mascara, "dropper": _dropper, "bottle": _bottle, "tube": _tube,
    "sachet": _sachet, "perfume": _perfume, "candle": _candle, "brushes": _brushes, "stone": _stone, "box": _box,
    "vials": _vials, "pouch": _pouch,
}  # fmt: skip

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures_of(CATALOGUE):
        name = "__".join((picture.handle, *picture.options)).replace(" ", "-")
        (folder / f"{name}.webp").write_bytes(picture.data)
