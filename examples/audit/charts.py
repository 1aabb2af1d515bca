"""The pictures of the report, as inline SVG and plain HTML."""

from collections import Counter
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, TOP, FOOT = 960, 190, 58, 22
BUCKETS = 60


def timeline(
    ends: Sequence[float], moments: Sequence[tuple[float, str]], tallies: Sequence[tuple[float, int]]
) -> str:
    """Return how many executions ended over the seconds of the run, and what happened meanwhile.

    `tallies` are the sums that were counted on the way; they are a line on a scale of its own.
    """
    last = max([*ends, *(at for at, _ in moments), *(at for at, _ in tallies), 1.0])
    step = last / BUCKETS
    counts = Counter(min(int(end / step), BUCKETS - 1) for end in ends)
    most = max(counts.values(), default=1)
    bars = "".join(_bar(bucket, count / most) for bucket, count in sorted(counts.items()))
    marks = "".join(_mark(at / last, text, row) for row, (at, text) in enumerate(moments))
    ticks = "".join(_tick(part / 4, last) for part in range(5))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="executions that ended, over time">'
        f"{bars}{_line(tallies, last)}{marks}{ticks}</svg>"
    )


def bar(part: float, label: str) -> str:
    """Return a horizontal bar of a table, with its number."""
    filled = f'<span class="bar"><i style="width:{part * 100:.1f}%"></i></span>'
    return f'{filled}<span class="num">{escape(label)}</span>'


def _bar(bucket: int, part: float) -> str:
    room = HEIGHT - TOP - FOOT
    width = WIDTH / BUCKETS
    height = max(part * room, 1.5)
    return (
        f'<rect class="ended" x="{bucket * width + 1:.1f}" y="{HEIGHT - FOOT - height:.1f}"'
        f' width="{width - 2:.1f}" height="{height:.1f}" rx="1.5"/>'
    )


def _line(tallies: Sequence[tuple[float, int]], last: float) -> str:
    most = max((count for _, count in tallies), default=0) or 1
    foot = HEIGHT - FOOT
    places = ((at / last * WIDTH, foot - count / most * (foot - TOP)) for at, count in tallies)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="tally" points="{points}"/>' if points else ""


def _mark(part: float, text: str, row: int) -> str:
    x, y = part * WIDTH, 12 + 14 * (row % 4)
    anchor, shift = ("end", -5) if part > 0.8 else ("start", 5)
    return (
        f'<line class="moment" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{HEIGHT - FOOT}"/>'
        f'<text class="moment" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _tick(part: float, last: float) -> str:
    anchor = {0.0: "start", 1.0: "end"}.get(part, "middle")
    place = f'x="{part * WIDTH:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}"'
    return f'<text class="tick" {place}>{part * last:.0f} s</text>'
