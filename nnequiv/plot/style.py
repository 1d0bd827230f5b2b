"""What all figures share: colours, captions, and no global state."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image  # which matplotlib brings

from nnequiv.network import Network
from nnequiv.reach.engine import InputSet
from nnequiv.sets import Box

# Okabe and Ito's palette: told apart with any common colour blindness, and in grey by their lightness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
SKY, YELLOW, PINK = "#56B4E9", "#E69F00", "#CC79A7"

#: Layers, engines and other things in a row, in this order.
CYCLE = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY)

#: For values: even for the eye, whatever colours it sees.
COLOR_MAP = "cividis"

DOTS_PER_INCH = 130

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file; the same figure gives the same bytes.

    >>> png(blank(2, 2, "title", "caption"))[:4]
    b'\\x89PNG'
    """
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    # No software version or date inside.
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


class Shown:
    """A picture that a notebook shows where it is the last value of a cell."""

    def __init__(self, content: bytes):
        self.content = content

    def _repr_mimebundle_(self, **_) -> dict[str, str]:
        kind = "image/gif" if self.content.startswith(b"GIF") else "image/png"
        return {kind: base64.b64encode(self.content).decode(), "text/plain": f"<{kind}, {len(self.content)} bytes>"}


def show(picture: Axes | Sequence[Axes] | Figure | bytes) -> Shown:
    """For notebooks: the figure of some axes, or an animation, as the value of a cell. Needs no notebook package.

    >>> sorted(show(panels(2))._repr_mimebundle_())
    ['image/png', 'text/plain']
    """
    if isinstance(picture, bytes):
        return Shown(picture)
    image = Image.open(io.BytesIO(png(picture if isinstance(picture, Figure) else np.ravel(picture)[0].figure)))
    buffer = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return Shown(buffer.getvalue())  # 256 colours: a third of the size, and notebooks are kept with their outputs


def blank(width: float, height: float, title: str, caption: str) -> Figure:
    """An empty figure, in inches, with a title above and a caption in small grey letters below."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=11, fontweight="bold")
    if caption:
        figure.supxlabel(caption, fontsize=7.5, color=GREY)
    return figure


def panels(columns: int, rows: int = 1, width: float = 3.6, height: float = 3.2, **options) -> np.ndarray:
    """Axes side by side on a new figure, ``(columns,)`` or ``(rows, columns)``, to hand to the functions here.

    >>> len(panels(3))
    3
    """
    figure = blank(width * columns, height * rows, "", "")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    return axes[0] if rows == 1 else axes


def ready(ax: Axes | None, caption: str, width: float = 5.2, height: float = 3.8) -> Axes:
    """The axes, or new ones; the caption goes below their figure, once."""
    if ax is None:
        ax = blank(width, height, "", "").subplots()
    figure = ax.figure
    known = figure.get_supxlabel()
    if caption and caption not in known.split("\n"):
        figure.supxlabel(f"{known}\n{caption}".strip(), fontsize=7.5, color=GREY)
    return ax


def plain(axes: Axes, grid: str = "y") -> None:
    """No frame above and at the right, a light grid, small numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def color_bar(ax: Axes, drawn, label: str) -> None:
    """What the colours of ``drawn`` mean, beside the axes."""
    bar = ax.figure.colorbar(drawn, ax=ax)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def about(
    networks: Network | Sequence[Network], input_set: InputSet | None = None, seed: int | None = None, note: str = ""
) -> str:
    """The caption of a figure: networks, input set, seed.

    >>> f, g = Network([([[1.0]], [0.0])]), Network([([[0.5]], [0.0])])
    >>> about((f, g), Box([-1.0], [1.0]), seed=0)
    'f 1-1, g 1-1; box [-1, 1]; seed 0'
    """
    networks = (networks,) if isinstance(networks, Network) else networks
    names = [f"{name} {'-'.join(map(str, net.widths))}" for name, net in zip("fg", networks, strict=False)]
    parts = [", ".join(names)]
    if input_set is not None:
        parts.append(_set_text(input_set))
    if seed is not None:
        parts.append(f"seed {seed}")
    return "; ".join([*parts, note] if note else parts)


def _set_text(input_set: InputSet) -> str:
    box, kind = input_set.box, "box" if isinstance(input_set, Box) else "polytope in"
    free = box.free
    sides = [f"[{low:.4g}, {high:.4g}]" for low, high in zip(box.lower[free], box.upper[free], strict=True)]
    fixed = box.dimension - len(free)
    if len(set(sides)) == 1 and len(sides) > 1:
        text = sides[0] + str(len(sides)).translate(SUPERSCRIPTS)
    elif len(sides) <= 3:
        text = " × ".join(sides) or "of a single point"
    else:
        text = f"of {len(free)} free inputs"
    return f"{kind} {text}" + (f", {fixed} inputs fixed" if fixed and sides else "")
