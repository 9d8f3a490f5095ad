"""The texts of the project avoid the habits of `prose.yaml`, and numbers of results are glued."""

import ast
import io
import json
import re
import tokenize
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TABLE = yaml.safe_load((ROOT / "tests" / "prose.yaml").read_text(encoding="utf-8"))
HABITS = TABLE["habits"]
# Files that are not yet rewritten: the list only becomes shorter.
WAITING = yaml.safe_load((ROOT / "tests" / "prose_waiting.yaml").read_text(encoding="utf-8")) or []
PLACES = (
    "README.md",
    "CONTRIBUTING.md",
    "book/*.md",
    "book/*.py",
    "notebooks/**/*.py",
    "notebooks/studies/**/*.yaml",
    "galcfm/**/*.py",
    "benchmarks/**/*.py",
    "tests/**/*.py",
)
# This file quotes the habits.
FILES = sorted({p for place in PLACES for p in ROOT.glob(place)} - {Path(__file__).resolve()})
# Role and target of MyST, code, formulae, links and tags: what readers do not read as words.
GLUED = re.compile(r"\{glue:[^}]*\}`[^`]*`")
UNREAD = (
    (re.compile(r"^(```+|:::+)(?!\{(?:note|tip|warning|admonition|glossary|figure|list-table|"
                r"table|margin|epigraph))[^\n]*\n.*?^\1", re.M | re.S), " "),
    (re.compile(r"^:[\w-]+:[^\n]*$", re.M), " "),
    (re.compile(r"\$\$.*?\$\$(?: \([\w-]+\))?", re.S), "formula"),
    (re.compile(r"(?<!\\)\$[^$]+\$"), "formula"),
    (GLUED, "0"),
    (re.compile(r"\{(?:doc|ref|term|eq|numref)\}`([^`<]*?)\s*(?:<[^>`]*>)?`"), r"\1"),
    (re.compile(r"\{\w+:?\w*\}`[^`]*`"), "reference"),
    (re.compile(r"``?[^`]+``?"), "‹code›"),
    (re.compile(r"!?\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"<[^>\n]{1,200}>"), " "),
)  # fmt: skip
NUMBER = re.compile(r"±\s*\d*\.?\d+(?: nat)?|[−+-]?\d*\.\d+ nat\b")


def paragraphs_of(text: str, first: int = 1) -> list[tuple[int, str]]:
    """Return line numbers and paragraphs of Markdown, without what readers do not read as words."""

    def blanked(found, words):
        # Lines stay where they are.
        return found.expand(words) + "\n" * found.group().count("\n")

    for pattern, words in UNREAD:
        text = pattern.sub(lambda found, words=words: blanked(found, words), text)
    paragraphs, line = [], first
    for block in re.split(r"(\n\s*\n)", text):
        words = re.sub(r"[*_#>|]+|^\s*[-\d]+\.? ", " ", block, flags=re.M)
        start = line + len(block) - len(block.lstrip("\n"))
        if words.strip():
            paragraphs.append((start, " ".join(words.split())))
        line += block.count("\n")
    return paragraphs


def cells_of(text: str) -> list[tuple[int, str, str]]:
    """Return first line, header and source of each cell of a paired script."""
    cells, start = [], None
    lines = text.splitlines()
    for number, line in enumerate([*lines, "# %%"], 1):
        if line.startswith("# %%"):
            if start:
                cells.append((start + 1, lines[start - 1], "\n".join(lines[start : number - 1])))
            start = number
    return cells


def code_texts(source: str, first: int = 1) -> list[tuple[int, str]]:
    """Return lines and texts of comments, docstrings and other strings with a space."""
    comments, last = [], None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("# %"):
            words, line = token.string.lstrip("#: "), token.start[0]
            if last == line - 1:
                comments[-1][1] += "\n" + words
            else:
                comments.append([line, words])
            last = line
    # Examples of docstrings are code.
    strings = [
        (node.lineno, re.sub(r"^ *(>>>|\.\.\. ).*$", "", node.value, flags=re.M))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    return [
        (start + first - 1, text)
        for line, words in [*comments, *strings]
        for start, text in paragraphs_of(re.sub(r"\n *(?=\w+: )", "\n\n", words), line)
    ]


def texts_of(path: Path) -> list[tuple[int, str, bool]]:
    """Return line, text and whether it is prose (or of code) of each paragraph of a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [(*found, True) for found in paragraphs_of(text)]
    if path.suffix == ".yaml":
        return [(1, words, True) for words in _words(yaml.safe_load(text))]
    if path.parent != ROOT / "notebooks":
        return [(*found, False) for found in code_texts(text)]
    texts = []
    for first, header, source in cells_of(text):
        if "[markdown]" in header:
            words = re.sub(r"^# ?", "", source, flags=re.M)
            texts += [(*found, True) for found in paragraphs_of(words, first)]
            continue
        options = re.search(r"mystnb=(\{.*\})", header)
        for words in _words(json.loads(_json(options.group(1)))) if options else ():
            texts += [(first - 1, text, True) for _, text in paragraphs_of(words)]
        texts += [(*found, False) for found in code_texts(source, first)]
    return texts


def _json(text: str) -> str:
    """Return the first whole JSON value of a text."""
    _, end = json.JSONDecoder().raw_decode(text)
    return text[:end]


def _words(value) -> list[str]:
    """Return all strings with a space in nested lists and mappings."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [words for each in value for words in _words(each)]
    return [value] if isinstance(value, str) and " " in value else []


def offences(texts) -> list[str]:
    """Return one sentence per habit that is found in texts."""
    found = []
    for line, text, is_prose in texts:
        for habit in HABITS:
            if habit.get("only") == "prose" and not is_prose:
                continue
            kept = re.sub(habit["not"], " ", text, flags=re.I) if "not" in habit else text
            for match in re.finditer(habit["pattern"], kept, re.I):
                near = kept[max(0, match.start() - 25) : match.end() + 25]
                found.append(f"line {line}, {habit['habit']}: …{near}… Write: {habit['fix']}")
    return found


def markdown_of(path: Path) -> str:
    """Return the Markdown of a page or of a chapter; nothing for files that cannot glue."""
    if path.suffix == ".md" and path.parent == ROOT / "book":
        return path.read_text(encoding="utf-8")
    if path.parent != ROOT / "notebooks":
        return ""
    cells = cells_of(path.read_text(encoding="utf-8"))
    return "\n\n".join(
        re.sub(r"^# ?", "", source, flags=re.M)
        for _, header, source in cells
        if "[markdown]" in header
    )


def typed_numbers(text: str) -> list[str]:
    """Return numbers of results that a page has in type and not glued."""
    known = [number for numbers in TABLE["numbers"].values() for number in numbers]
    text = GLUED.sub("glued", text)
    for number in known:
        text = text.replace(number, "")
    return [
        text[max(0, m.start() - 30) : m.end() + 10].replace("\n", " ")
        for m in NUMBER.finditer(text)
    ]


@pytest.mark.parametrize("habit", HABITS, ids=lambda h: h["habit"])
def test_patterns_find_what_they_should(habit):
    for words in habit["found"]:
        assert [o for o in offences([(1, words, True)]) if habit["habit"] in o], words
    for words in habit["fine"]:
        assert not [o for o in offences([(1, words, True)]) if habit["habit"] in o], words


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_texts_are_plain_english_and_numbers_glued(path):
    found = offences(texts_of(path))
    # The README cannot glue; test_findings.py holds its numbers to the results.
    if path.name != "README.md":
        found += typed_numbers(markdown_of(path))
    found += swallowed(markdown_of(path))
    if str(path.relative_to(ROOT)) in WAITING:
        assert found, "this file is clean: take it off tests/prose_waiting.yaml"
    else:
        assert not found, "\n".join(found)


def swallowed(text: str) -> list[str]:
    """Return a sentence for each line that begins with %: MyST takes it for a comment."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    lines = re.findall(r"^\s*%.*", plain, re.M)
    return [f"{line.strip()!r} is a comment of MyST: move a word before the %" for line in lines]


def test_lines_that_myst_swallows_are_found():
    assert len(swallowed("It holds for 71\n% of the galaxies.\n")) == 1
    assert not swallowed(
        "It holds for 71 % of the galaxies.\n\n```python\n%matplotlib inline\n```\n"
    )


def test_waiting_files_exist():
    assert not [name for name in WAITING if not (ROOT / name).exists()]


@pytest.mark.parametrize(
    ("spoiled", "n"),
    [
        ("The image adds 0.25 ± 0.02 nat.", 1),
        ("The image adds {glue:text}`gain:.2f` ± {glue:text}`gain_error:.2f` nat.", 0),
        ("In the paper the image adds 0.91 nat.", 0),
        ("The image adds −0.40 nat.", 1),
    ],
)
def test_typed_numbers_are_found(spoiled, n):
    assert len(typed_numbers(spoiled)) == n


def test_a_spoiled_page_fails(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\nIt shows five draws\na galaxy of `told`.\n", encoding="utf-8")
    assert [o.split(":")[0] for o in offences(texts_of(page))] == ["line 3, a for per"]
