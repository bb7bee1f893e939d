"""Line plots as small SVG files, so that measuring needs no plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_COLOURS = ("#1b6ca8", "#b5402f", "#3b7a3b", "#7a4fa3", "#a8741b", "#444444")
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 520, 340, 62, 48, 16, 16


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    x_label: str,
    y_label: str,
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    marks: bool = False,
) -> str:
    """An SVG with one line for each of ``series``.

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

    def at(px: float, py: float) -> tuple[float, float]:
        share_x = (px - x[0]) / ((x[1] - x[0]) or 1)
        share_y = (min(max(py, y[0]), y[1]) - y[0]) / ((y[1] - y[0]) or 1)
        return (
            round(_LEFT + share_x * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - share_y * (_HEIGHT - _BOTTOM - _TOP), 1),
        )

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for part in range(6):
        vx, vy = x[0] + (x[1] - x[0]) * part / 5, y[0] + (y[1] - y[0]) * part / 5
        gx, gy = at(vx, y[0])[0], at(x[0], vy)[1]
        out.append(f'<line x1="{_LEFT}" y1="{gy}" x2="{_WIDTH - _RIGHT}" y2="{gy}" stroke="#ddd"/>')
        out.append(f'<text x="{_LEFT - 6}" y="{gy + 4}" text-anchor="end">{vy:.3g}</text>')
        out.append(f'<text x="{gx}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{vx:.3g}</text>')
    for number, (name, row) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{px},{py}" for px, py in (at(*p) for p in row))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if marks:
            out += [f'<circle cx="{px}" cy="{py}" r="3" fill="{colour}"/>' for px, py in (at(*p) for p in row)]
        top = _TOP + 14 + 16 * number
        out.append(f'<text x="{_WIDTH - _RIGHT - 8}" y="{top}" text-anchor="end" fill="{colour}">{escape(name)}</text>')
    out.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>')
    out.append(
        f'<text x="14" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {_HEIGHT / 2})">'
        f"{escape(y_label)}</text>"
    )
    return "\n".join([*out, "</svg>", ""])
