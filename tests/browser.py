"""Debian's Chromium for the tests that look at pages: they are skipped where it is missing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SERIOUS = {"serious", "critical"}
# Entries of the reference and coloured words of code are thousands, and alike: one of a kind stays.
TAKE_OUT_ALIKE = """() => {
    document.querySelectorAll("dl.py ~ dl.py").forEach(entry => entry.remove());
    const seen = new Set();
    for (const word of document.querySelectorAll("pre span")) {
        // Folded cells come first, and nothing is looked at in them.
        if (!word.checkVisibility()) continue;
        const block = word.closest("pre").parentElement.parentElement;
        const kind = `${word.className} in ${block.className}`;
        if (seen.has(kind)) word.remove();
        seen.add(kind);
    }
}"""


@contextmanager
def browser() -> Iterator:
    """A headless Chromium, driven by Playwright, which needs no browser of its own then."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # Root has no sandbox.
        chromium = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def opened(chromium, path: Path, fragment: str = "", **context) -> Iterator:
    """A page from the disk that may ask nothing of a network, and must not fail in its scripts."""
    view = chromium.new_context(**context)
    page = view.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"{request.url} did not come"))
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or wrong.append(f"{request.url} is asked for")
        ),
    )
    page.goto(path.as_uri() + fragment)
    yield page
    view.close()
    assert not wrong, f"{path.name}: {wrong}"


def faults(page, **options) -> list[str]:
    """What axe-core finds serious or critical on a page, with where it stands.

    Afterwards the page has one of each kind of what is alike.
    """
    page.evaluate(TAKE_OUT_ALIKE)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # It would load the styles again, which a page from the disk may not.
    options = {"resultTypes": ["violations"], "preload": False} | options
    found = axe.run(page, options=options)
    return [
        f"{violation['id']}: {node['html'][:150]}"
        for violation in found.response["violations"]
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]
