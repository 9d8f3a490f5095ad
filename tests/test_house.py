"""The house: what may import what, how many rooms there are, what a digest of code notices."""

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

from galcfm import provenance
from galcfm.provenance import code_digest, rooms_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "galcfm"
CEILINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["galcfm"][
    "ceilings"
]
# Longer ones, each with its reason.
LONG: dict[str, str] = {
    "galcfm/metrics.py": "470 lines of code; each metric has its formula in its docstring",
    "galcfm/survey/intake.py:survey_of_table": "it documents Survey.from_table",
    "notebooks/studies/frame.py": "282 lines of code; it documents the frame of all studies",
}


def test_arrows_only_go_down():
    """The contracts of `[tool.importlinter]` in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    found = subprocess.run(
        [*command, "--no-cache"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "notebooks")},
        capture_output=True,
        encoding="utf-8",
    )
    assert found.returncode == 0, found.stdout


def code_lines(path: Path) -> int:
    """Number of lines of a file that hold code: no docstring, no comment, not blank."""
    text = path.read_text(encoding="utf-8")
    documents = set()
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in (node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)):
        if ast.get_docstring(node, clean=False) is not None:
            documents |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    layout = {getattr(tokenize, name) for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT")}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout | {tokenize.ENDMARKER}:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - documents)


def files_of(room: str) -> list[Path]:
    path = ROOT / room
    return [path] if path.suffix else sorted(path.rglob("*.py"))


def test_code_lines_are_counted_without_docstrings_and_comments(tmp_path):
    path = tmp_path / "room.py"
    path.write_text(
        '"""Doc.\n\nMore.\n"""\n\n# Why.\nx = (  # so\n    1,\n)\n\n\n'
        'def f():\n    """Doc."""\n    return """text\nof two lines"""\n',
        encoding="utf-8",
    )
    assert code_lines(path) == 6


@pytest.mark.parametrize("ceiling", CEILINGS, ids=lambda ceiling: ceiling["rooms"][0])
def test_a_room_stays_below_its_ceiling(ceiling):
    lines = sum(code_lines(path) for room in ceiling["rooms"] for path in files_of(room))
    assert lines <= ceiling["lines"], "do less, or let a library do it: see CONTRIBUTING.md"


def test_every_room_has_a_ceiling_and_all_of_them_are_11200_lines():
    of_wheel = [c for c in CEILINGS if c["rooms"][0].startswith("galcfm")]
    assert sum(c["lines"] for c in of_wheel) <= 11_200
    covered = {path for c in of_wheel for room in c["rooms"] for path in files_of(room)}
    assert covered == set(PACKAGE.rglob("*.py"))


def test_files_and_functions_are_short():
    """Files of at most 500 lines, functions of at most 80, docstrings included."""
    long = {}
    for path in [*files_of("galcfm"), *files_of("notebooks/studies")]:
        name = str(path.relative_to(ROOT))
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 500:
            long[name] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 80:
                long[f"{name}:{node.name}"] = node.end_lineno - node.lineno + 1
    assert set(long) == set(LONG), long


def test_the_documents_list_the_rooms_there_are():
    rooms = {p.stem for p in PACKAGE.iterdir() if not p.name.startswith(("_", "."))}
    assert len(rooms) <= 18, "move a wall: see CONTRIBUTING.md"
    reference = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"automodule:: galcfm\.(\w+)", reference)) == rooms
    tree = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^  (\w+)(?:\.py|/)", tree, re.MULTILINE)) == rooms
    for room in re.findall(
        r"`galcfm\.([\w.]+)`", tree + (ROOT / "README.md").read_text(encoding="utf-8")
    ):
        assert any(
            (PACKAGE / room.replace(".", "/")).with_suffix(end).exists() for end in ("", ".py")
        ), room


def test_figures_and_surveys_need_no_torch():
    code = "import sys; from galcfm import figures, survey; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


READING = ("06", "07", "08", "09", "10", "11", "12", "14", "16")


@pytest.mark.parametrize("number", READING)
def test_a_chapter_that_reads_imports_no_torch(number):
    """What its cells import, the notebook being run with results "published"."""
    (script,) = (ROOT / "notebooks").glob(f"{number}_*.py")
    # What a cell imports below an `if` is for results that are made.
    nodes = ast.parse(script.read_text(encoding="utf-8")).body
    imports = [ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    # `studies` is found once galcfm.runs is imported.
    code = "; ".join(["import sys", "import galcfm.runs", *imports])
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# Digests of code --------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of galcfm."""
    files = {
        "__init__.py": "",
        "low.py": '"""Doc."""\n\n\ndef double(x):\n    """Twice."""\n    return 2 * x\n',
        "shown.py": "COLOUR = 'red'\n",
        "room/__init__.py": "from galcfm.room.one import f\nfrom galcfm.room.two import g\n",
        "room/one.py": "from galcfm.low import double\n\nf = double\n",
        "room/two.py": "g = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "galcfm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "FOLDERS", {"galcfm": tmp_path / "galcfm"})
    forget()
    yield tmp_path / "galcfm"
    forget()


def forget():
    """What was read of files that change here, as none does while a program runs."""
    for cached in (provenance._tree, provenance._imports, provenance._meaning):
        cached.cache_clear()


def written(path, text):
    path.write_text(text, encoding="utf-8")
    forget()


def test_a_digest_notices_code_and_neither_comments_nor_docstrings(package):
    before = code_digest("galcfm.room.one")
    low = package / "low.py"
    written(low, "# A comment.\ndef double(x):\n    '''Other words.'''\n\n    return 2 * x  # so\n")
    assert code_digest("galcfm.room.one") == before
    written(low, "def double(x):\n    return 3 * x\n")
    assert code_digest("galcfm.room.one") != before


def test_what_a_package_hands_on_counts_as_from_where_it_is(package, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("from galcfm.room import f\nfrom galcfm import shown\n", encoding="utf-8")
    assert [path.name for path in rooms_of(script)] == ["low.py", "one.py", "shown.py"]
    monkeypatch.setattr(provenance, "CHANGES_NOTHING", ("galcfm.shown.",))
    assert [path.name for path in rooms_of(script)] == ["low.py", "one.py"]


def test_notebooks_depend_on_the_rooms_they_use():
    names = [
        {str(path.relative_to(PACKAGE)) for path in rooms_of(ROOT / "notebooks" / f"{name}.py")}
        for name in ("01_data_curation", "02_training")
    ]
    assert {"training/loop.py", "posterior/model.py", "flow.py", "survey/survey.py"} <= names[1]
    assert not {"simulate/rendering.py", "metrics.py", "figures/performance.py"} & names[1]
    assert {"simulate/rendering.py", "sdss/cutouts.py"} <= names[0]
    assert not {"training/loop.py", "flow.py", "metrics.py", "survey/intake.py"} & names[0]


def test_arrays_are_told_apart():
    import numpy as np

    a = np.arange(6.0).reshape(2, 3)
    same = [provenance.array_digest(x) for x in (a, np.asfortranarray(a), a.copy())]
    assert len(set(same)) == 1
    others = [a.T, a.astype("f4"), a + 1, a[:1], None, a.astype(object)]
    assert len({*same, *(provenance.array_digest(x) for x in others)}) == 7
    assert provenance.array_digest(a, None) != provenance.array_digest(a)
