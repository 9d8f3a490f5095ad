"""Take a screenshot of the explorer in the built book, for the README.

`python book/explorer_picture.py` makes `book/_static/explorer.png`, with Playwright and Chromium.
"""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from galcfm.paths import replacing

PAGE = Path(__file__).parent.parent / "_build" / "html" / "book" / "explorer.html"
PICTURE = Path(__file__).parent / "_static" / "explorer.png"

if __name__ == "__main__":
    if not PAGE.exists():
        raise SystemExit(f"there is no {PAGE}: run `make book` first")
    with sync_playwright() as driver, replacing(PICTURE) as temporary:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 1900}, color_scheme="light")
        page.goto(PAGE.as_uri())
        # Cutouts and fonts.
        page.wait_for_load_state("networkidle")
        page.screenshot(path=temporary)
        chromium.close()
    print(PICTURE)
