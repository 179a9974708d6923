"""Contact sheets: many pictures in one, each with its name, so that one person can see all."""

import html
import struct

from harness.browser import new_context
from harness.elements import SCREENSHOTS

# Viewers scale larger pictures down.
WIDTH, HEIGHT = 1_560, 1_720
# The most columns; wide pictures have two.
COLUMNS, NARROW = 4, 960
GAP, LABEL = 8, 18
# Pictures of a whole page are cut into slices that are not taller.
SLICE = 1_500
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: {gap}px; width: {width}px; box-sizing: border-box; display: grid;
  grid-template-columns: repeat({columns}, 1fr); gap: {gap}px; background: #7a8894;
  font: 12px/{label}px sans-serif; color: #fff }}
figure {{ margin: 0 }}
figcaption {{ height: {label}px; overflow: hidden; white-space: nowrap }}
div {{ overflow: hidden }}
img {{ display: block; width: 100% }}
</style>"""
TILE = """<figure><figcaption>{name}</figcaption><div style="height: {height}px">
<img src="{source}" style="margin-top: -{top}px"></div></figure>"""


def size_of(path):
    """Returns the width and the height in the head of a PNG file."""
    with path.open("rb") as file:
        return struct.unpack(">II", file.read(24)[16:])


def slices_of(name, path, width):
    """Yields the tiles of a picture: its name, its place in the picture, and its height."""
    whole, tall = size_of(path)
    height = round(tall * width / whole)
    for top in range(0, height, SLICE):
        shown = min(SLICE, height - top)
        yield (
            shown,
            TILE.format(name=html.escape(name), source=path.as_uri(), height=shown, top=top),
        )


def rows_of(tiles, count):
    """Yields the rows of a sheet with `count` columns: the height of each, and its markup."""
    width = (WIDTH - GAP * (count + 1)) / count
    for start in range(0, len(tiles), count):
        pictures = tiles[start : start + count]
        # Row by row, so that slices at the same height of a page are side by side.
        columns = [list(slices_of(name, path, width)) for name, path in pictures]
        for index in range(max(map(len, columns))):
            cells = [each[index] if index < len(each) else (0, "<i></i>") for each in columns]
            yield max(height for height, _ in cells), "".join(text for _, text in cells)


def write_sheet(browser, name, tiles):
    """Writes the pictures into as many sheets as are needed: `sheets/NAME-1.png`."""
    folder = SCREENSHOTS / "sheets"
    folder.mkdir(parents=True, exist_ok=True)
    columns = COLUMNS if size_of(tiles[0][1])[0] <= NARROW else 2
    sheets, room = [], 0
    for height, text in rows_of(tiles, columns):
        room -= height + LABEL + GAP
        if room < 0:
            sheets.append([])
            room = HEIGHT - 2 * GAP - height - LABEL
        sheets[-1].append(text)
    context = new_context(browser, viewport={"width": WIDTH, "height": 100})
    page = context.new_page()
    head = PAGE.format(width=WIDTH, columns=columns, gap=GAP, label=LABEL)
    for number, rows in enumerate(sheets, 1):
        path = folder / f"{name.replace(' ', '-')}-{number}.html"
        path.write_text(head + "".join(rows))
        page.goto(path.as_uri())
        page.screenshot(path=path.with_suffix(".png"), full_page=True)
        path.unlink()
    context.close()
