"""Line plots as small SVG files, so that measuring needs no plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#1b6ca8", "#b5402f", "#3b7a3b", "#7a4fa3", "#a8741b", "#444444")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 520, 340, 62, 48, 16, 16
_ROW, _SWATCH, _GAP, _LETTER = 16, 18, 14, 6.6
"""The legend: height of a row, length of a stroke of colour, space between names, and width of a letter at size 12."""


def _legend(names: Sequence[str]) -> list[tuple[float, int]]:
    """Where each name of the legend begins: x, and its row above the plot."""
    places, x, row = [], float(_LEFT), 0
    for name in names:
        # a Chinese sign is as wide as the letters are high
        need = _SWATCH + 6 + sum(12 if ord(c) > 0x2E7F else _LETTER for c in name)
        if x > _LEFT and x + need > _WIDTH - _RIGHT:
            x, row = float(_LEFT), row + 1
        places.append((round(x, 1), row))
        x += need + _GAP
    return places


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    marks: bool = False,
) -> str:
    """An SVG with one line for each of ``series``; their names stand above the plot, where no line runs.

    Args:
        series: name to points.
        x_label: name of the x axis.
        y_label: name of the y axis.
        x: range of the x axis (default: that of the points).
        y: range of the y axis.
        marks: draw a dot at each point.
    """
    points = [p for row in series.values() for p in row]
    x = x or (min(p[0] for p in points), max(p[0] for p in points))
    y = y or (min(p[1] for p in points), max(p[1] for p in points))

    legend = _legend(list(series))
    top = _TOP + _ROW * (legend[-1][1] + 1 if legend else 0)
    height = _HEIGHT + top - _TOP

    def at(px: float, py: float) -> tuple[float, float]:
        share_x = (px - x[0]) / ((x[1] - x[0]) or 1)
        share_y = (min(max(py, y[0]), y[1]) - y[0]) / ((y[1] - y[0]) or 1)
        return (
            round(_LEFT + share_x * (_WIDTH - _LEFT - _RIGHT), 1),
            round(height - _BOTTOM - share_y * (height - _BOTTOM - top), 1),
        )

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    for part in range(6):
        vx, vy = x[0] + (x[1] - x[0]) * part / 5, y[0] + (y[1] - y[0]) * part / 5
        gx, gy = at(vx, y[0])[0], at(x[0], vy)[1]
        out.append(f'<line x1="{_LEFT}" y1="{gy}" x2="{_WIDTH - _RIGHT}" y2="{gy}" stroke="#ddd"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{gy + 4}" text-anchor="end">{vy:.3g}</text>')
        out.append(f'<text x="{gx}" y="{height - _BOTTOM + 16}" text-anchor="middle">{vx:.3g}</text>')
    for number, (name, row) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{px},{py}" for px, py in (at(*p) for p in row))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if marks:
            out += [f'<circle cx="{px}" cy="{py}" r="3" fill="{colour}"/>' for px, py in (at(*p) for p in row)]
        left, line = legend[number][0], _TOP + _ROW * legend[number][1]
        out.append(f'<path d="M{left} {line}h{_SWATCH}" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{left + _SWATCH + 6}" y="{line + 4}" fill="{colour}">{escape(name)}</text>')
    out.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{height - 10}" text-anchor="middle">{escape(x_label)}</text>')
    out.append(
        f'<text x="14" y="{height / 2}" text-anchor="middle" transform="rotate(-90 14 {height / 2})">'
        f"{escape(y_label)}</text>"
    )
    return "\n".join([*out, "</svg>", ""])
