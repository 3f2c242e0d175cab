"""Which words of a page its reader sees: what styles, attributes and elements make of them, from an element to those
inside it.

Hidden is what mail programs on a wide screen show nobody: not displayed, transparent, smaller than can be read, in
(nearly) the colour of its background, off the screen, clipped away, in a box of no size. ``mso-hide`` hides from
Outlook alone, so the others show it. What is unknown (a picture behind the words, a colour by a name that is not
listed) hides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter

from gateway.read import css

Colour = tuple[int, int, int] | str | None  #: ``None``: nobody knows; a name that is not listed: itself
WHITE, BLACK, LINK, CLEAR = (255, 255, 255), (0, 0, 0), (0, 0, 238), "transparent"
SIZE, TINY, FAR, INFINITE = 16.0, 2.0, -400.0, 3000.0  #: px: of letters; too small to be read; off the screen
FAINT = 0.05  #: opaque to this part is not seen
UNLIKE, ALIKE = 1.15, 32  #: contrast (WCAG 2.2) and difference of channels below which two colours are one
#: what mail programs show nothing of, or only when it is opened
UNSEEN = frozenset(
    "template noscript noframes noembed svg math object iframe select canvas dialog datalist video audio rp meter "
    "progress".split()
)
_OPENED = frozenset(("dialog", "details"))
_NAMES = {
    "white": WHITE, "black": BLACK, "snow": (255, 250, 250), "ivory": (255, 255, 240), "azure": (240, 255, 255),
    "ghostwhite": (248, 248, 255), "whitesmoke": (245, 245, 245), "floralwhite": (255, 250, 240),
    "mintcream": (245, 255, 250),
    "aliceblue": (240, 248, 255), "lightyellow": (255, 255, 224), "lightcyan": (224, 255, 255),
    "honeydew": (240, 255, 240),
    "seashell": (255, 245, 238), "lavenderblush": (255, 240, 245), "oldlace": (253, 245, 230), "linen": (250, 240, 230),
    "silver": (192, 192, 192), "gray": (128, 128, 128), "grey": (128, 128, 128), "red": (255, 0, 0),
    "maroon": (128, 0, 0),
    "yellow": (255, 255, 0), "olive": (128, 128, 0), "lime": (0, 255, 0), "green": (0, 128, 0), "aqua": (0, 255, 255),
    "cyan": (0, 255, 255), "teal": (0, 128, 128), "blue": (0, 0, 255), "navy": (0, 0, 128), "fuchsia": (255, 0, 255),
    "magenta": (255, 0, 255), "purple": (128, 0, 128), "windowtext": BLACK, "window": WHITE, "canvastext": BLACK,
    "canvas": WHITE,
}  # fmt: skip
_NUMBER = re.compile(
    r"([+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))(px|pt|pc|em|rem|ex|ch|%|in|cm|mm|vw|vh|deg|turn|rad)?"
)
_UNITS = {
    "": 1.0,
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "in": 96.0,
    "cm": 37.8,
    "mm": 3.78,
    "rem": SIZE,
    "vw": 10.0,
    "vh": 8.0,
}
_HEX = re.compile(r"#([0-9a-f]{8}|[0-9a-f]{6}|[0-9a-f]{3,4})")
_PAINTED = re.compile(r"url\(|gradient\(|image")
_SHORTHAND = re.compile(r"(?:^|\s)([\d.]+(?:px|pt|em|rem|%)?)\s{0,3}(?:/|\s)")
_SCALED = re.compile(r"scale[xy3]?d?\(\s{0,3}([\d.]{1,9})(?:\s{0,3},\s{0,3}([\d.]{1,9}))?")
_MOVED = re.compile(r"translate[xy3]?d?\(([^()]{0,100})\)")


@dataclass(frozen=True, slots=True)
class Look:
    """How words look here. ``size`` in px; ``ground``: what is behind them; ``visible``: by ``visibility``."""

    size: float = SIZE
    colour: Colour = BLACK
    ground: Colour = WHITE
    visible: bool = True

    @property
    def unseen(self) -> bool:
        """Whether nobody can read them."""
        return not self.visible or self.size < TINY or self.colour == CLEAR or _alike(self.colour, self.ground)


PLAIN = Look()


def of(look: Look, tag: str, attributes: Mapping[str, str | None], values: Mapping[str, str]) -> Look | None:
    """How words look in an element of one that looks like ``look``; ``values``: what is declared for it. ``None``:
    nothing of it, nor of what is inside it, is seen."""
    if values and _gone(values, look.size):
        return None
    if tag == "a" and "href" in attributes:
        look = replace(look, colour=LINK)
    if not values:
        return look
    size, colour, ground = _size(look.size, values), _text(look, values), _ground(look, values)
    visibility = values.get("visibility", "")
    visible = visibility not in ("hidden", "collapse") if visibility and visibility != "inherit" else look.visible
    return Look(size, colour, ground, visible)


def shut(tag: str, attributes: Mapping[str, str | None]) -> bool:
    """Whether an element shows nothing by what it is."""
    if tag in UNSEEN or tag in _OPENED:
        return not (tag in _OPENED and "open" in attributes)
    return "hidden" in attributes and attributes["hidden"] != "false"


def attributed(attributes: Mapping[str, str | None]) -> dict[str, str]:
    """What attributes of HTML say in the words of CSS."""
    said = (
        ("color", attributes.get("color") or attributes.get("text")),
        ("background-color", attributes.get("bgcolor")),
    )
    found = {name: value.strip().lower() for name, value in said if value}
    if attributes.get("background"):
        found["background-image"] = "image"
    return found


class Eyes:
    """How the words of one page look, by a walk through it: ``enter`` and ``leave`` as the walk does."""

    def __init__(self, sheet: css.Sheet) -> None:
        self._sheet = sheet
        self._looks = [PLAIN]
        self._around: list[frozenset[str]] = []

    @property
    def look(self) -> Look:
        """Where the walk is."""
        return self._looks[-1]

    def at(self, tag: str, attributes: Mapping[str, str | None]) -> Look | None:
        """How words look in an element that stands here; ``None``: nothing of it is seen."""
        if shut(tag, attributes):
            return None
        rules = self._sheet.of(keys_of(tag, attributes), self._around) if self._sheet.rules else ()
        look = of(self._looks[-1], tag, attributes, declared(attributes, rules))
        return replace(look, colour=None) if look is not None and self._sheet.unsure else look

    def enter(self, look: Look, tag: str, attributes: Mapping[str, str | None]) -> None:
        """The walk goes into the element that ``at`` was asked of."""
        self._looks.append(look)
        if self._sheet.rules:
            self._around.append(keys_of(tag, attributes))

    def leave(self) -> None:
        """The walk comes out of it."""
        self._looks.pop()
        if self._sheet.rules:
            self._around.pop()


def keys_of(tag: str, attributes: Mapping[str, str | None]) -> frozenset[str]:
    """What selectors may call an element."""
    names = [f".{name}" for name in (attributes.get("class") or "").split()[:50]]
    return frozenset((tag, "*", *names, f"#{attributes.get('id') or ''}"))


_ATTRIBUTE, _INLINE = (-1, 0, 0, 0), (1 << 30, 0, 0, 0)


def declared(attributes: Mapping[str, str | None], rules: Iterable[css.Rule]) -> dict[str, str]:
    """What counts of all that is declared for an element, the strongest last."""
    found = [(False, _ATTRIBUTE, name, value) for name, value in attributed(attributes).items()]
    found += [(bang, rule.weight, name, value) for rule in rules for name, value, bang in rule.values]
    style = attributes.get("style")
    found += [(bang, _INLINE, name, value) for name, value, bang in css.declarations(style)] if style else []
    values: dict[str, str] = {}
    for _, _, name, value in sorted(found, key=itemgetter(0, 1)):
        values.pop(name, None)
        values[name] = value
    return values


# -- sizes


def _px(value: str, size: float) -> float | None:
    """A length in px; ``size``: of the letters around."""
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    number, unit = float(found[1]), found[2] or ""
    if unit in ("em", "%", "ex", "ch"):
        return number * size * {"em": 1.0, "%": 0.01}.get(unit, 0.5)
    return number * _UNITS[unit] if unit in _UNITS else None


def _size(around: float, values: Mapping[str, str]) -> float:
    for name, value in reversed(list(values.items())):
        if name == "font-size" or name == "font":
            found = _SHORTHAND.search(value) if name == "font" else None
            size = _px(found[1] if found else value, around)
            if size is not None or name == "font-size":
                return around if value in ("inherit", "unset") else SIZE if size is None else size
    return around


def _number(value: str) -> float | None:
    found = _NUMBER.fullmatch(value)
    return None if found is None else float(found[1]) * (0.01 if found[2] == "%" else 1.0)


# -- colours


@lru_cache(maxsize=512)
def _colour(value: str) -> Colour:
    """A colour; one that is nearly transparent is ``CLEAR``, one that is half so unknown."""
    if value in _NAMES:
        return _NAMES[value]
    if re.fullmatch(r"[0-9a-f]{6}", value):  # bgcolor=ffffff
        value = f"#{value}"
    if found := _HEX.fullmatch(value):
        digits = found[1] if len(found[1]) > 4 else "".join(digit * 2 for digit in found[1])
        red, green, blue, solid = (int(digits.ljust(8, "f")[at : at + 2], 16) for at in (0, 2, 4, 6))
        return _opaque((red, green, blue), solid / 255)
    name, _, inside = value.partition("(")
    numbers = _NUMBER.findall(inside)
    if name in ("rgb", "rgba", "hsl", "hsla") and len(numbers) >= 3:
        channels = [float(number) / (100 if unit == "%" else 1) for number, unit in numbers]
        alpha = channels[3] if len(channels) > 3 else 1.0
        return _opaque(_hsl(*channels[:3]) if name[0] == "h" else _rgb(numbers[:3]), alpha)
    return value if value.isalpha() else None


def _opaque(colour: tuple[int, int, int], alpha: float) -> Colour:
    return CLEAR if alpha <= FAINT else colour if alpha >= 0.95 else None


def _rgb(numbers: list[tuple[str, str]]) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, round(float(n) * (2.55 if unit == "%" else 1)))) for n, unit in numbers)
    return red, green, blue


def _hsl(hue: float, saturation: float, light: float) -> tuple[int, int, int]:
    import colorsys

    red, green, blue = colorsys.hls_to_rgb(hue / 360 % 1, min(light, 1.0), min(saturation, 1.0))
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=512)
def _alike(one: Colour, other: Colour) -> bool:
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return one is not None and one == other
    if max(abs(a - b) for a, b in zip(one, other, strict=True)) > ALIKE:
        return False
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05) < UNLIKE


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _text(look: Look, values: Mapping[str, str]) -> Colour:
    value = values.get("-webkit-text-fill-color") or values.get("color", "")
    if value in ("", "inherit", "unset", "currentcolor"):
        return look.colour
    return BLACK if value == "initial" else _colour(value)


def _ground(look: Look, values: Mapping[str, str]) -> Colour:
    ground = look.ground
    for name, value in values.items():
        if name.startswith("background") and value not in ("none", "initial", "unset", "inherit", "0", ""):
            if name == "background-image" or _PAINTED.search(value):
                ground = None
            elif name == "background-color" or (value := _first_colour(value)):
                found = _colour(value)
                ground = ground if found == CLEAR else found
    return ground


def _first_colour(value: str) -> str:
    """The colour in a ``background`` of several words."""
    words = re.sub(r"\s{0,20},\s{0,20}", ",", value).replace("( ", "(").split()
    named = (word for word in words if isinstance(_colour(word), tuple) or word == CLEAR or "(" in word)
    return next(named, words[0] if len(words) == 1 else "")


# -- what shows nothing of all that is inside it


def _gone(values: Mapping[str, str], size: float) -> bool:
    if values.get("display") == "none" or values.get("content-visibility") == "hidden":
        return True
    names = values.keys()
    return (
        _faint(values)
        or ("position" in names and _off_screen(values, size))
        or _moved(values, size)
        or _clipped(values)
        or (any(name.startswith("overflow") for name in names) and _boxed(values, size))
    )


def _faint(values: Mapping[str, str]) -> bool:
    for name in ("opacity", "zoom"):
        number = _number(values.get(name, "1"))
        if number is not None and number <= FAINT:
            return True
    found = re.search(r"opacity\(\s{0,3}([\d.]{1,9})", values.get("filter", ""))
    return found is not None and (_number(found[1]) or 0) <= FAINT


def _far(value: str, size: float) -> bool:
    length = _px(value, size)
    return length is not None and (length <= FAR or length >= INFINITE)


def _off_screen(values: Mapping[str, str], size: float) -> bool:
    placed = values["position"] in ("absolute", "fixed", "relative")
    return placed and any(_far(values.get(side, ""), size) for side in ("left", "right", "top", "bottom"))


def _moved(values: Mapping[str, str], size: float) -> bool:
    margins = " ".join(values.get(name, "") for name in ("margin", "margin-left", "margin-top")).split()
    if any((_px(one, size) or 0) <= FAR for one in margins) or _far(values.get("text-indent", ""), size):
        return True
    transform = values.get("transform", "")
    scaled, moved = _SCALED.search(transform), _MOVED.search(transform)
    if scaled is not None and any((_number(one) or 0) <= FAINT for one in scaled.groups() if one):
        return True
    return moved is not None and any(_far(one.strip(), size) for one in moved[1].split(","))


def _clipped(values: Mapping[str, str]) -> bool:
    path = values.get("clip-path") or values.get("-webkit-clip-path") or ""
    numbers = [_number(number + unit) or 0.0 for number, unit in _NUMBER.findall(path)]
    if path.startswith("inset(") and numbers:
        return max(numbers) >= 0.5 and "%" in path
    if path.startswith(("circle(", "ellipse(", "polygon(")) and numbers:
        return (numbers[0] if path[0] in "ce" else max(numbers)) <= 0
    clip = values.get("clip", "")
    edges = [float(number) for number, _ in _NUMBER.findall(clip)]
    if not clip.startswith("rect(") or len(edges) != 4 or values.get("position") not in ("absolute", "fixed"):
        return False
    return edges[2] - edges[0] <= TINY or edges[1] - edges[3] <= TINY


def _boxed(values: Mapping[str, str], size: float) -> bool:
    """A box of no size that shows nothing of what does not fit into it."""
    if not any(
        values.get(name, "visible").split()[0:1] != ["visible"] for name in ("overflow", "overflow-x", "overflow-y")
    ):
        return False
    sides = (_px(values.get(name, ""), size) for name in ("width", "height", "max-width", "max-height"))
    return any(side is not None and side < TINY for side in sides)
