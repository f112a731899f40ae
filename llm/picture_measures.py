"""Simple measures of a picture: its main colours by name, and how flat it is.

They say nothing about what is shown; `llm.findings` draws its conclusions from them.
Runs in the picture reader's own process: it needs numpy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

SAMPLES = 160
"""Colours are counted on so many pixels a side, picked and not averaged: an average of
black text on white paper would be a grey that is nowhere in the picture."""

HUES = ((15, "red"), (40, "orange"), (68, "yellow"), (165, "green"), (195, "turquoise"),
        (255, "blue"), (290, "purple"), (345, "pink"), (361, "red"))
"""Up to which angle of the colour circle, in degrees, a name goes."""


@dataclass(frozen=True)
class Measures:
    colours: dict[str, float]
    """Name -> share of the picture, the largest first."""
    flat: float
    """Share of pixels that equal their right neighbour: near 0 in a photo, near 1 in a drawing."""
    shades: int
    """How many different colours, coarsely counted, make up nine tenths of it."""
    paper: float
    """Share of its most common colour, coarsely counted."""
    paper_brightness: float
    """Of that colour, 0 to 255."""
    second: float
    """Share of the second most common colour."""

    def as_dict(self) -> dict:
        return asdict(self)


def measure(image: Image.Image) -> Measures:
    """Of a picture in RGB."""
    width, height = image.size
    sample = image.resize((min(width, SAMPLES), min(height, SAMPLES)), Image.Resampling.NEAREST)
    pixels = np.asarray(sample).reshape(-1, 3)
    cells, counts = np.unique(pixels >> 5, axis=0, return_counts=True)
    order = counts.argsort()[::-1]
    shares = counts[order] / len(pixels)
    grey = np.asarray(image.convert("L"))
    flat = float((grey[:, 1:] == grey[:, :-1]).mean()) if width > 1 else 1.0
    return Measures(
        colours=_named_shares(sample),
        flat=round(flat, 3),
        shades=int(np.searchsorted(shares.cumsum(), 0.9) + 1),
        paper=round(float(shares[0]), 3),
        paper_brightness=float((cells[order[0]] * 32 + 16).mean()),
        second=round(float(shares[1]), 3) if len(shares) > 1 else 0.0,
    )


def _named_shares(sample: Image.Image) -> dict[str, float]:
    hue, strength, brightness = np.moveaxis(np.asarray(sample.convert("HSV"), dtype=np.int32), 2, 0)
    angle = hue * 360 // 256
    ends, hues = zip(*HUES, strict=True)
    # What comes later overrules what comes before.
    names = np.array(hues, dtype="<U12")[np.searchsorted(ends, angle, side="right")]
    names[(names == "orange") & (brightness < 170)] = "brown"
    names[(names == "yellow") & (brightness < 110)] = "brown"
    names[(names == "red") & (brightness < 110) & (angle < 180)] = "brown"
    names[(names == "pink") & (brightness < 130)] = "purple"
    # Light red is called pink, light orange beige.
    names[(names == "red") & (strength < 120) & (brightness > 190)] = "pink"
    names[(names == "orange") & (strength < 110) & (brightness > 170)] = "beige"
    names[strength < 38] = "grey"
    names[(strength < 38) & (brightness >= 215)] = "white"
    names[(brightness < 45) | (strength < 38) & (brightness < 60)] = "black"
    found, counts = np.unique(names, return_counts=True)
    shares = {str(name): round(float(count / names.size), 3)
              for name, count in zip(found, counts, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
