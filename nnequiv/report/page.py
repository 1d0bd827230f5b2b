"""One self-contained HTML page: building blocks that escape what they are given. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from html import escape

#: Digits of a proved number on a page; ``report.json`` has all.
DIGITS = 9

#: Told apart with any common colour blindness; a word and a sign say the same as the colour.
STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem 1.25rem 3rem; background: #fff; color: #1a1a1a;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .6rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; padding-bottom: .2rem; border-bottom: 1px solid #ccc; }
p, ul, dl { margin: .5rem 0; max-width: 46rem; }
li { margin: .3rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
.banner { border-left: .5rem solid; padding: .6rem 1rem; margin: 1rem 0; background: #f5f5f5; max-width: none; }
.banner strong { font-size: 1.15rem; }
.good { border-color: #0072B2; } .bad { border-color: #D55E00; } .open { border-color: #666; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
td, th { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
table.prose td { text-align: left; white-space: normal; min-width: 7rem; } table.prose th { text-align: left; }
thead th { border-bottom: 2px solid #888; }
tr.marked td { font-weight: 700; background: #eef5fa; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-end; margin: .6rem 0; }
figure { margin: 0; flex: 1 1 20rem; max-width: 30rem; } figure.small { flex: 0 1 13rem; }
figure img { width: 100%; height: auto; display: block; }
figcaption, .note { color: #555; font-size: .88rem; }
pre { background: #f5f5f5; padding: .6rem .8rem; overflow-wrap: anywhere; white-space: pre-wrap; font-size: .88rem; }
code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media (max-width: 36rem) {
  body { padding: .6rem .8rem 2rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; }
  th, td { padding: .28rem .45rem; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; } .scroll { overflow: visible; } table { font-size: 8.5pt; }
  th, td { padding: .15rem .35rem; } figure, tr, .banner { break-inside: avoid; } h2 { break-after: avoid; }
  figure { flex-basis: 15rem; } figure.small { flex-basis: 9rem; } .banner, pre { border: 1px solid #999; }
  .banner { border-left-width: .5rem; } }
"""

#: The sign of a banner, by its kind.
SIGNS = {"good": "✔", "bad": "✘", "open": "?"}


class Html(str):
    """Text that is HTML already: everything else is escaped."""


def text(value) -> Html:
    """A value inside an element.

    >>> text("<b>.npz"), text(Html("<b>bold</b>"))
    ('&lt;b&gt;.npz', '<b>bold</b>')
    """
    return value if isinstance(value, Html) else Html(escape(str(value)))


def page(title: str, parts: Sequence[Html]) -> str:
    """The whole file."""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{text(title)}</h1>",
            *parts,
            "</body>\n</html>\n",
        ]
    )


def heading(words: str) -> Html:
    return Html(f"<h2>{text(words)}</h2>")


def paragraph(words, kind: str = "") -> Html:
    return Html(f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>")


def banner(kind: str, verdict: str, words: str) -> Html:
    """What was found, first of all; ``kind`` is ``good``, ``bad`` or ``open``."""
    return Html(f'<p class="banner {kind}"><strong>{SIGNS[kind]} {text(verdict)}</strong><br>{text(words)}</p>')


def code(words: str) -> Html:
    return Html(f"<pre><code>{text(words)}</code></pre>")


def bullets(entries: Sequence) -> Html:
    return Html("<ul>" + "".join(f"<li>{text(entry)}</li>" for entry in entries) + "</ul>")


def facts(entries: Mapping) -> Html:
    """Names and what they are, a line each."""
    return Html("<dl>" + "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in entries.items()) + "</dl>")


def table(header: Sequence, rows: Sequence[Sequence], marked: int | None = None, kind: str = "") -> Html:
    """A table that scrolls sideways where the screen is narrow; one row may be marked.

    >>> print(table(["net"], [["f & g"]]))
    <div class="scroll"><table><thead><tr><th>net</th></tr></thead><tbody>
    <tr><td>f &amp; g</td></tr>
    </tbody></table></div>
    """
    title = "".join(f"<th>{text(cell)}</th>" for cell in header)
    lines = [
        ('<tr class="marked">' if n == marked else "<tr>") + "".join(f"<td>{text(c)}</td>" for c in row) + "</tr>"
        for n, row in enumerate(rows)
    ]
    opened = f'<table class="{kind}">' if kind else "<table>"
    head = f'<div class="scroll">{opened}<thead><tr>{title}</tr></thead><tbody>'
    return Html("\n".join([head, *lines, "</tbody></table></div>"]))


def figures(pictures: Sequence[tuple[bytes, str, bool]]) -> Html:
    """Pictures side by side as far as there is room: the content of a PNG file, what it shows, whether it is small."""
    return Html('<div class="figures">' + "".join(_figure(*picture) for picture in pictures) + "</div>")


def _figure(content: bytes, caption: str, small: bool = False) -> str:
    data = base64.b64encode(content).decode()
    kind = ' class="small"' if small else ""
    return (
        f'<figure{kind}><img alt="{text(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


# Numbers


def down(value, digits: int = DIGITS) -> str:
    """A lower bound in few digits, rounded down: what is written is still proved.

    >>> down(0.1), down(2 / 3, 4), down(-2 / 3, 4), down("-inf"), down(1e-7 / 3, 3)
    ('0.1', '0.6666', '-0.6667', '-∞', '3.33e-8')
    """
    return _rounded(value, digits, ROUND_FLOOR)


def up(value, digits: int = DIGITS) -> str:
    """An upper bound, rounded up.

    >>> up(0.75), up(2 / 3, 4), up(float("inf"))
    ('0.75', '0.6667', '∞')
    """
    return _rounded(value, digits, ROUND_CEILING)


def _rounded(value, digits: int, way: str) -> str:
    value = float(value)  # the strings "inf" and "-inf" of JSON too
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    if value == round(value, digits) and len(repr(value).lstrip("-")) <= digits + 2:
        return repr(value).removesuffix(".0")  # a short number as it is written, not as 0.1000000000000000055…
    number = Context(prec=digits, rounding=way).create_decimal_from_float(value).normalize()
    plain = format(number, "f")
    return plain if len(plain.lstrip("-")) <= digits + 4 else format(number, "E").replace("E", "e").replace("e+", "e")


def interval(entry: Mapping, digits: int = DIGITS) -> str:
    """``[lower, upper]``, both rounded outwards."""
    return f"[{down(entry['lower'], digits)}, {up(entry['upper'], digits)}]"


def number(value, digits: int = 6) -> str:
    """Any other number; an empty cell for none."""
    if value is None or value in ("nan", "inf", "-inf"):
        return "" if value in (None, "nan") else str(value).replace("inf", "∞")
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
