"""Styles: the bundled ones draw the graph's centre lines with a brush, the others take contours from a font."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from guqin_kg.draw.fonts import FontFile, find, open_font
from guqin_kg.draw.strokes import Brush
from guqin_kg.errors import NotFoundError, UsageError


@dataclass(frozen=True, slots=True)
class Style:
    """One way of writing.

    Attributes:
        name: what ``--style`` takes.
        family: ``kai``, ``song``, ``handwritten`` or ``print``.
        label: Chinese and English name.
        weight: stroke weight as a share of the glyph's size (geometric mean of width and height).
        brush: for centre lines (also for characters a font lacks).
        fonts: file names of the font, the best first; empty for a bundled style.
        face: number of the face in a collection.
        without: characters the font draws as another sign (a radical as the word it abbreviates); taken from the
            graph's centre lines instead.
        licence: of the font, or of the bundled outlines.
        install: how to get the font by name from a registry.
        wobble: how unsteady the hand is (0..1).
    """

    name: str
    family: str
    label: str
    weight: float
    brush: Brush
    fonts: tuple[str, ...] = ()
    face: int = 0
    without: str = ""
    licence: str = "outlines of this project (CC BY 4.0)"
    install: str = "bundled"
    wobble: float = 0.0

    @property
    def bundled(self) -> bool:
        """Whether the style needs no font."""
        return not self.fonts

    def path(self) -> Path | None:
        """Where the font lies, if it is installed."""
        return find(self.fonts) if self.fonts else None

    def font(self) -> FontFile | None:
        """The open font; None for bundled styles.

        Raises:
            NotFoundError: the font is not installed; says how to get it.
        """
        if not self.fonts:
            return None
        path = self.path()
        if path is None:
            raise NotFoundError(
                f"the font of style {self.name} ({self.fonts[0]}) is not installed",
                code="font-not-installed",
                hint=f"{self.install}; or set GUQIN_FONTS to its folder; bundled styles need no font",
            )
        return open_font(path, self.face, self.without)


_OFL = "SIL Open Font License 1.1"
_ARPHIC = "Arphic Public License"
_PUBLIC = "public domain"
_KAI = Brush(0.82, 1.0, 0.95, 0.18, 0.0, 0.3)
_SONG = Brush(0.5, 1.1, 0.9, 0.05, 0.9, 0.05)
_BRUSH = Brush(0.75, 1.1, 1.0, 0.35, 0.0, 0.5)
_HAND = Brush(0.9, 1.0, 0.8, 0.1, 0.0, 0.4)


def _fontsource(name: str, script: str) -> tuple[str, ...]:
    return (f"{name}-{script}-400-normal.woff",)


STYLES: dict[str, Style] = {
    s.name: s
    for s in (
        Style("kai", "kai", "楷体笔画 bundled kai strokes", 0.068, _KAI),
        Style("woodblock", "print", "刻本 bundled woodblock strokes", 0.078, Brush(0.9, 1.0, 0.6, 0.08, 0.0, 0.12)),
        Style("song", "song", "宋体笔画 bundled song strokes", 0.066, _SONG),
        Style("brush", "handwritten", "毛笔 bundled brush hand", 0.08, _BRUSH, wobble=0.5),
        Style("pen", "handwritten", "硬笔 bundled pen hand", 0.042, Brush(1.0, 1.0, 0.35, 0.0, 0.0, 0.4), wobble=0.6),
        Style(
            "wenkai", "kai", "霞鹜文楷 LXGW WenKai", 0.06, _KAI, ("LXGWWenKai-Regular.ttf", "LXGWWenKai-Medium.ttf"),
            licence=_OFL, install="apt install fonts-lxgw-wenkai",
        ),
        Style(
            "ukai", "kai", "文鼎楷体 AR PL UKai", 0.06, _KAI, ("ukai.ttc",),
            licence=_ARPHIC, install="apt install fonts-arphic-ukai",
        ),
        Style(
            "tw-kai", "kai", "全字库楷体 TW-Kai", 0.06, _KAI, ("TW-Kai-98_1.ttf",),
            licence="Open Government Data License, Taiwan (OGDL-TW-1.0)", install="apt install fonts-cns11643-kai",
        ),
        Style(
            "noto-serif", "song", "思源宋体 Noto Serif TC", 0.055, _SONG,
            ("noto-serif-tc-chinese-traditional-500-normal.woff", "NotoSerifCJK-Regular.ttc"),
            licence=_OFL, install="npm install @fontsource/noto-serif-tc",
        ),
        Style(
            "uming", "song", "文鼎明体 AR PL UMing", 0.05, _SONG, ("uming.ttc",),
            licence=_ARPHIC, install="apt install fonts-arphic-uming",
        ),
        Style(
            "hanazono", "song", "花园明朝 HanaMin", 0.048, _SONG, ("HanaMinA.ttf",),
            licence="Hanazono Font License or SIL Open Font License", install="apt install fonts-hanazono",
        ),
        Style(
            "yuji-boku", "handwritten", "佑字墨楷 Yuji Boku", 0.07, _KAI, _fontsource("yuji-boku", "japanese"),
            licence=_OFL, install="npm install @fontsource/yuji-boku",
        ),
        Style(
            "yuji-syuku", "kai", "佑字肃楷 Yuji Syuku", 0.065, _KAI, _fontsource("yuji-syuku", "japanese"),
            licence=_OFL, install="npm install @fontsource/yuji-syuku",
        ),
        Style(
            "klee-one", "kai", "Klee One", 0.055, _KAI, ("klee-one-japanese-600-normal.woff",),
            licence=_OFL, install="npm install @fontsource/klee-one",
        ),
        Style(
            "ma-shan-zheng", "handwritten", "马善政楷书 Ma Shan Zheng", 0.08, _HAND,
            _fontsource("ma-shan-zheng", "chinese-simplified"),
            licence=_OFL, install="npm install @fontsource/ma-shan-zheng",
        ),
        Style(
            "long-cang", "handwritten", "龙藏体 Long Cang", 0.05, _HAND,
            _fontsource("long-cang", "chinese-simplified"), licence=_OFL, install="npm install @fontsource/long-cang",
        ),
        Style(
            "zhi-mang-xing", "handwritten", "钟齐志莽行书 Zhi Mang Xing", 0.06, _HAND,
            _fontsource("zhi-mang-xing", "chinese-simplified"),
            licence=_OFL, install="npm install @fontsource/zhi-mang-xing",
        ),
        Style(
            "liu-jian-mao-cao", "handwritten", "钟齐流江毛草 Liu Jian Mao Cao", 0.06, _HAND,
            _fontsource("liu-jian-mao-cao", "chinese-simplified"), without="厂广尸卩业刍",
            licence=_OFL, install="npm install @fontsource/liu-jian-mao-cao",
        ),
        Style(
            "yuji-mai", "kai", "佑字舞楷 Yuji Mai", 0.07, _KAI, _fontsource("yuji-mai", "japanese"),
            licence=_OFL, install="npm install @fontsource/yuji-mai",
        ),
        Style(
            "iansui", "handwritten", "芫荽 Iansui", 0.06, _HAND, _fontsource("iansui", "chinese-traditional"),
            licence=_OFL, install="npm install @fontsource/iansui",
        ),
        Style(
            "zen-antique", "print", "古体明朝 Zen Antique", 0.052, _SONG, _fontsource("zen-antique", "japanese"),
            licence=_OFL, install="npm install @fontsource/zen-antique",
        ),
        Style(
            "dejima", "print", "出岛明朝 Dejima Mincho", 0.055, _SONG, ("dejima-mincho-r227.ttf",),
            licence="MIT", install="apt install fonts-dejima-mincho",
        ),
        Style(
            "oradano", "print", "活字明朝 Oradano Mincho GSRR", 0.075, _SONG, ("OradanoGSRR.ttf",),
            licence="free to use and to hand on (Debian main)", install="apt install fonts-oradano-mincho-gsrr",
        ),
        Style(
            "kouzan", "handwritten", "衡山毛笔楷书 Kouzan Mouhitsu", 0.06, _BRUSH, ("kouzan-mouhitsu.ttf",),
            licence=_PUBLIC, install="apt install fonts-kouzan-mouhitsu",
        ),
        Style(
            "kouzan-gyosho", "handwritten", "衡山毛笔行书 Kouzan Mouhitsu Gyosho", 0.06, _BRUSH,
            ("kouzan-mouhitsu-gyosho.ttf",), licence=_PUBLIC, install="apt install fonts-kouzan-mouhitsu",
        ),
        Style(
            "aoyagi-kouzan", "handwritten", "青柳衡山 Aoyagi Kouzan T", 0.05, _BRUSH, ("AoyagiKouzanT.ttf",),
            licence=_PUBLIC, install="apt install fonts-aoyagi-kouzan-t",
        ),
        Style(
            "aoyagi-soseki", "handwritten", "青柳疏石 Aoyagi Soseki", 0.055, _BRUSH, ("aoyagi-soseki.ttf",),
            licence=_PUBLIC, install="apt install fonts-aoyagi-soseki",
        ),
    )
}  # fmt: skip


def style(name: str) -> Style:
    """The style called ``name``.

    Raises:
        UsageError: ``unknown-style``; lists the names.
    """
    found = STYLES.get(name)
    if found is None:
        raise UsageError(
            f"there is no style {name!r}", code="unknown-style", hint="one of: " + ", ".join(sorted(STYLES))
        )
    return found


def available() -> list[Style]:
    """Styles that can be used here: the bundled ones and those whose font is installed."""
    return [s for s in STYLES.values() if s.bundled or s.path() is not None]
