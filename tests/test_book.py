"""The smoke profile from survey to book, in a temporary copy of the repository."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from browser import browser, faults, opened
from copied import copy_repository, doit

from studies.key_numbers import key_numbers

GAINS = r"gain_\w+|own_photometry"
GOLDEN = Path(__file__).parent / "golden" / "smoke_metrics.json"


def statuses(copy: Path) -> dict[str, str]:
    """R(un) or U(p to date) of each task."""
    listed = doit(copy, "list", "--all", "--status", "--quiet", "profile=smoke").stdout
    return {
        name: status
        for status, name in (line.split()[:2] for line in listed.splitlines() if line)
        if name == "book" or "/" in name
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = copy_repository(tmp_path_factory.mktemp("copy") / "galcfm")
    result = doit(folder, "profile=smoke", "book")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-6000:]
    return folder


def test_the_book_is_complete(copy):
    html = copy / "_build" / "html"
    for page in pages(copy):
        assert page.exists(), page
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="([^"]+)"', text)
        outside = [url for url in loaded if re.match(r"(https?:)?//", url)]
        assert not outside, f"{page.name} asks the network for {outside}"


def pages(copy: Path) -> list[Path]:
    html = copy / "_build" / "html"
    toc = yaml.safe_load((copy / "_toc.yml").read_text(encoding="utf-8"))
    chapters = (c["file"] for part in toc["parts"] for c in part["chapters"])
    return [html / f"{page}.html" for page in (toc["root"], *chapters)]


def test_pictures_have_words_in_their_place(copy):
    for page in pages(copy):
        for image in re.findall(r"<img [^>]*>", page.read_text(encoding="utf-8")):
            words = re.search(r'alt="([^"]*)"', image)
            # Sphinx puts the name of the file where nothing is given.
            assert words is not None, f"{page.name}: {image}"
            assert len(words[1]) > 30, f"{page.name}: {image}"
            assert ".png" not in words[1], f"{page.name}: {image}"


def test_no_page_has_a_serious_fault(copy):
    """Of those that axe-core finds, of contrast on dark pages, or wider than the screen."""
    found = []
    with browser() as chromium:
        for path in pages(copy):
            with opened(chromium, path, color_scheme="light") as page:
                as_opened = page.viewport_size
                for screen in (1000, 390):
                    page.set_viewport_size({"width": screen, "height": 844})
                    width = page.evaluate("document.documentElement.scrollWidth")
                    if width > screen:
                        found.append(f"{path.name} is {width} pixels wide on a screen of {screen}")
                page.set_viewport_size(as_opened)
                found += [f"{path.name}: {fault}" for fault in faults(page)]
                # Colours that are still on their way from light to dark have no contrast.
                page.add_style_tag(content="*, ::before, ::after { transition: none !important }")
                page.emulate_media(color_scheme="dark")
                page.wait_for_selector("html[data-theme=dark]", state="attached")
                dark = faults(page, runOnly=["color-contrast"])
                found += [f"{path.name}, dark: {fault}" for fault in dark]
    assert not found, "\n".join(found)


def test_faults_are_found(copy):
    """Of what is alike one stays to be looked at, and is not of the folded cells."""
    path = copy / "_build" / "html" / "book" / "chapters" / "15_your_own_galaxies.html"
    with browser() as chromium, opened(chromium, path, color_scheme="light") as page:
        page.add_style_tag(content="pre .n { color: #999 !important; background: #aaa !important }")
        page.evaluate("document.querySelector('main img').removeAttribute('alt')")
        found = faults(page)
    # The figure is a link, too.
    expected = {"color-contrast", "image-alt", "link-name"}
    assert {fault.split(":")[0] for fault in found} == expected


def test_the_explorer_by_mouse_keys_and_link(copy):
    page_of_galaxies = copy / "_build" / "html" / "book" / "explorer.html"
    script = (copy / "_build" / "html" / "_static" / "explorer" / "galaxies.js").read_text(
        encoding="utf-8"
    )
    data = json.loads(script.split("=", 1)[1].strip().rstrip(";"))
    by_id = {galaxy["id"]: galaxy for galaxy in data["galaxies"]}
    names = list(by_id)

    def chosen(page):
        return page.evaluate("new URLSearchParams(location.hash.slice(1)).get('galaxy')")

    with browser() as chromium:
        with opened(chromium, page_of_galaxies) as page:
            galaxy = data["galaxies"][data["first"]]
            assert chosen(page) == galaxy["id"]
            assert page.locator("#explorer section.galaxy").count() == 1
            row = page.locator("#explorer tbody tr").first.inner_text().replace("−", "-")
            for number in (galaxy["measured"][0], galaxy["models"]["image"]["median"][0]):
                assert f"{number:.2f}" in row
            page.get_by_label("Galaxy A", exact=True).select_option("0")
            galaxy = by_id[names[0]]
            page.locator("#explorer .map").focus()
            page.keyboard.press("ArrowRight")
            right = by_id[chosen(page)]
            assert right["measured"][0] > galaxy["measured"][0]
            page.keyboard.press("ArrowUp")
            assert by_id[chosen(page)]["measured"][1] > right["measured"][1]
            page.go_back()
            assert chosen(page) == right["id"], "the back button undoes one choice"
            page.get_by_label("Map", exact=True).select_option(label="Dₙ(4000) and Aᵥ")
            page.get_by_label("Compare with galaxy B").select_option("5")
            sections = page.locator("#explorer section.galaxy")
            assert sections.count() == 2
            a, b = sections.nth(0).bounding_box(), sections.nth(1).bounding_box()
            assert b["x"] > a["x"] + a["width"] - 1, "B is beside A"
            address = page.evaluate("location.hash")
            assert f"with={names[5]}" in address
            assert "map=dn4000-a_v" in address
            page.get_by_role("button", name="Copy link").click()
            page.get_by_role("status").get_by_text("link is").wait_for()
            page.evaluate("location.hash = 'what-to-try'")
            page.wait_for_function("location.hash.includes('galaxy=')")
            assert sections.count() == 2
        with opened(chromium, page_of_galaxies, "#sort=gain&tint=gain") as page:
            models = [galaxy["models"] for galaxy in data["galaxies"]]
            gains = [
                round(m["image"]["delta_log_p"] - m["photometry"]["delta_log_p"], 6) for m in models
            ]
            order = sorted(range(len(names)), key=lambda row: (-gains[row], row))
            assert chosen(page) == names[order[0]]
            page.get_by_role("button", name="Next").click()
            assert chosen(page) == names[order[1]]
            page.get_by_role("button", name="Start from the other end").click()
            assert chosen(page) == names[min(range(len(names)), key=lambda row: (gains[row], row))]
            page.go_back()
            assert chosen(page) == names[order[1]]
            page.get_by_text("Sort and filter").click()
            page.get_by_label("Show only").select_option("gain")
            page.get_by_label("From", exact=True).fill(str(round(gains[order[2]] - 0.001, 3)))
            page.keyboard.press("Enter")
            passing = sum(gain >= gains[order[2]] - 0.001 for gain in gains)
            label = page.locator("#explorer .map").get_attribute("aria-label")
            assert label.startswith(f"Map of {passing} galaxies")
            page.get_by_role("button", name="Zoom in").click()
            links = page.get_by_role("link", name="Download")
            assert (page_of_galaxies.parent / links.first.get_attribute("href")).exists()
        with opened(chromium, page_of_galaxies, f"#galaxy-{names[2]}") as page:
            assert chosen(page) == names[2], "as chapters link it"
        fragment = f"#galaxy={names[3]}&with={names[4]}&map=dn4000-a_v"
        narrow = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
        with opened(chromium, page_of_galaxies, fragment, color_scheme="dark", **narrow) as page:
            for letter, name in zip("AB", names[3:5], strict=True):
                heading = page.get_by_role("heading", name=f"Galaxy {letter}: {name}", exact=True)
                assert heading.count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            other = page.locator("#explorer .map circle").nth(7)
            other.scroll_into_view_if_needed()
            box = other.bounding_box()
            page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.wait_for_function(f"!location.hash.includes('galaxy={names[3]}&')")
            assert not faults(page)
        with opened(chromium, page_of_galaxies, "#galaxy=unknown") as page:
            assert "There is no galaxy unknown" in page.get_by_role("status").inner_text()


def test_headline_numbers_are_those_of_the_run(copy):
    metrics = json.loads(
        (copy / "data" / "runs" / "smoke" / "metrics.json").read_text(encoding="utf-8")
    )
    pages = copy / "_build" / "html" / "book"
    chapter = (pages / "chapters" / "04_metrics.html").read_text(encoding="utf-8")
    gain = metrics["comparison"]["delta_log_p"]["exact"]["difference"]
    assert f"{gain:.3f}".replace("-", "−") in chapter
    index = (pages / "index.html").read_text(encoding="utf-8")
    for key in ("gain_quick_exact", "gain_paper_size"):
        assert f"{key_numbers()[key]['gain']:.3f}" in index


def glued_in(chapters: Path) -> dict[str, dict[str, float]]:
    """Return by name and chapter the gains that executed chapters glue for all pages.

    A gain has one name in the whole book, which `GAINS` matches.
    """
    found = {}
    for path in sorted(chapters.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in (output for cell in cells for output in cell.get("outputs", ())):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name", "")
            if re.match(GAINS, name):
                for kind, value in output["data"].items():
                    number = re.fullmatch(r"(?:np\.float64\()?(-?\d[\d.e-]*)\)?", "".join(value))
                    if kind.endswith("text/plain") and number:
                        found.setdefault(name, {})[path.stem] = float(number[1])
    return found


def contradictions(glued: dict, texts: dict[str, str]) -> list[str]:
    """Return one sentence per gain that two chapters or pages quote with different numbers.

    Arguments:
        glued: Result of `glued_in`.
        texts: Text of each page by its name.
    """
    found, known = [], key_numbers()
    for name, values in glued.items():
        kind = "standard_error" if name.endswith("_error") else "gain"
        stored = known.get(name.removesuffix("_error"), {}).get(kind)
        values = values | ({"the stored result": stored} if stored is not None else {})
        if max(values.values()) - min(values.values()) > 1e-6:
            found.append(f"{name} is " + " and ".join(f"{v:.4f} in {p}" for p, v in values.items()))
    digits = {}
    for page, text in texts.items():
        for name, form in re.findall(rf"\{{glue:text\}}`(?:[^`]*::)?({GAINS}):([^`]*)`", text):
            digits.setdefault(name, {}).setdefault(form, {})[page] = True
    found += [
        f"{name} is rounded as " + " and ".join(f"{f} in {', '.join(p)}" for f, p in of.items())
        for name, of in digits.items()
        if len(of) > 1
    ]
    return found


def texts_of_pages(root: Path) -> dict[str, str]:
    paths = [*(root / "book").glob("*.md"), *(root / "notebooks").glob("*.py")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_no_two_pages_quote_different_gains(copy):
    glued = glued_in(copy / "data" / "runs" / "smoke" / "chapters")
    assert set(key_numbers()) <= set(glued), "chapter 06 glues all of them"
    assert len(glued["gain_paper_size"]) > 1
    assert not contradictions(glued, texts_of_pages(copy))


def test_spoiled_gains_are_found(tmp_path):
    good = {name: of["gain"] for name, of in key_numbers().items()}

    def chapter(name, **gains):
        cells = [
            {"outputs": [{"metadata": {"scrapbook": {"name": k}}, "data": {"text/plain": repr(v)}}]}
            for k, v in gains.items()
        ]
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
        return glued_in(tmp_path)

    chapter("06", **good, n_test=5)
    assert not contradictions(chapter("08", gain_12_epochs=good["gain_12_epochs"], n_test=9), {})
    (found,) = contradictions(chapter("07", gain_paper_size=0.5), {})
    assert found.startswith("gain_paper_size is ")
    assert "0.5000 in 07" in found
    quoted = "`gain_32px:.3f`", "`chapters/06.ipynb::gain_32px:.2f`"
    texts = {f"page {k}": f"It adds {{glue:text}}{form} nat." for k, form in enumerate(quoted)}
    (found,) = contradictions({}, texts)
    assert found == "gain_32px is rounded as .3f in page 0 and .2f in page 1"


def test_a_second_build_does_nothing(copy):
    before = (copy / "_build" / "html" / "index.html").stat().st_mtime_ns
    result = doit(copy, "profile=smoke", "book")
    assert result.returncode == 0
    done = result.stdout.splitlines()
    assert len(done) > 10
    assert all(line.startswith("-- ") for line in done), "up to date"
    assert (copy / "_build" / "html" / "index.html").stat().st_mtime_ns == before


def test_a_changed_parameter_reruns_what_depends_on_it(copy):
    assert set(statuses(copy).values()) == {"U"}
    path = copy / "notebooks" / "parameters" / "smoke" / "04_metrics.yaml"
    path.write_text("seed: 2\n", encoding="utf-8")
    found = statuses(copy)
    path.unlink()
    upstream = [f"notebook:smoke/{n}" for n in ("01_data_curation", "02_training")]
    assert [found[name] for name in upstream] == ["U", "U"]
    assert found["notebook:smoke/04_metrics"] == "R"


def test_a_comment_changes_nothing(copy):
    path = copy / "galcfm" / "metrics.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"""', '"""Other words. ', 1) + "# A comment.\n", encoding="utf-8")
    found = statuses(copy)
    path.write_text(text.replace("CONFIDENCE = 0.95", "CONFIDENCE = 0.9"), encoding="utf-8")
    changed = statuses(copy)
    path.write_text(text, encoding="utf-8")
    assert {name for name, status in found.items() if status == "R"} == {"book"}, "it shows them"
    of = {name.rpartition("/")[2]: status for name, status in changed.items()}
    assert of["04_metrics"] == "R"
    assert [of["01_data_curation"], of["02_training"]] == ["U", "U"]


def test_the_metrics_are_the_golden_ones(copy):
    """Loose: other processors round otherwise, and training carries it on."""
    metrics = json.loads(
        (copy / "data" / "runs" / "smoke" / "metrics.json").read_text(encoding="utf-8")
    )
    found = {
        f"{model}/{metric}/{kind}": metrics[model][metric][kind]["mean"]
        for model in ("image", "photometry")
        for metric in ("delta_log_p", "d_kl")
        for kind in ("kde", "exact")
    }
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found == pytest.approx(golden, abs=0.05, rel=0.01)


def test_a_failed_notebook_names_the_cell(copy):
    path = copy / "notebooks" / "05_figures.ipynb"
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    code[2]["source"] = ["raise RuntimeError('broken on purpose')"]
    path.write_text(json.dumps(notebook), encoding="utf-8")
    before = (copy / "data" / "runs" / "smoke" / "chapters" / "05_figures.ipynb").read_bytes()
    result = doit(copy, "profile=smoke", "book")
    path.write_text(text, encoding="utf-8")
    assert result.returncode != 0
    assert re.search(
        r"notebooks/05_figures\.ipynb failed in cell \[\d+\]: RuntimeError: broken on purpose",
        result.stdout + result.stderr,
    )
    after = (copy / "data" / "runs" / "smoke" / "chapters" / "05_figures.ipynb").read_bytes()
    assert after == before


def test_nothing_of_a_stranger_goes_with_the_book(copy):
    before = (copy / "_build" / "html" / "index.html").read_bytes()
    for place in (copy / "_build" / "thesis.txt", copy / "book" / "chapters" / "thesis.txt"):
        place.write_text("years of work", encoding="utf-8")
        for task in ("book", "wipe"):
            (copy / "book" / "limitations.md").touch()
            text = (copy / "book" / "limitations.md").read_text(encoding="utf-8")
            (copy / "book" / "limitations.md").write_text(text + "\n", encoding="utf-8")
            result = doit(copy, "profile=smoke", task)
            assert "contains thesis.txt, which is no part of" in result.stderr, task
            assert result.returncode != 0
        assert place.read_text(encoding="utf-8") == "years of work"
        place.unlink()
    assert (copy / "_build" / "html" / "index.html").read_bytes() == before


def test_unknown_profiles_and_parameters_end_in_one_sentence(copy):
    result = doit(copy, "profile=hasty", "book")
    assert result.returncode != 0
    assert "no profile called 'hasty': choose from desi, paper, quick, sdss, smoke" in result.stderr
    assert "Traceback" not in result.stderr
    path = copy / "notebooks" / "parameters" / "smoke" / "02_training.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "max_epoch: 3\n", encoding="utf-8")
    result = doit(copy, "profile=smoke", "book")
    path.write_text(text, encoding="utf-8")
    assert result.returncode != 0
    assert "02_training has no parameter max_epoch" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_rerun_with_papermill(copy, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(copy)}
    environment.pop("GALCFM_DATA", None)

    paths = ["notebooks/02_training.ipynb", str(tmp_path / "out.ipynb")]
    smoke = ["-p", "profile", "smoke", "-p", "survey", "smoke"]
    smoke += ["-f", "notebooks/parameters/smoke/02_training.yaml"]

    def papermill(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "papermill", *paths, *smoke, *arguments],
            cwd=copy,
            env=environment,
            capture_output=True,
            encoding="utf-8",
        )

    result = papermill("-p", "max_epochs", "1")
    assert "name another run (-p run NAME)" in result.stderr
    result = papermill("-p", "max_epochs", "1", "-p", "run", "shorter")
    assert result.returncode == 0, result.stderr[-2000:]
    history = (copy / "data" / "runs" / "smoke-shorter" / "image" / "training.csv").read_text(
        encoding="utf-8"
    )
    assert len(history.splitlines()) == 2
