"""The house: what may import what, how many rooms there are, what a digest of code notices."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from galcfm import provenance
from galcfm.provenance import code_digest, rooms_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "galcfm"


def test_arrows_only_go_down():
    """The contracts of `[tool.importlinter]` in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    found = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_the_module_is_thin():
    rooms = [p for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    assert len(rooms) <= 18, "move a wall: see CONTRIBUTING.md"


def test_the_documents_list_the_rooms_there_are():
    rooms = {p.stem for p in PACKAGE.iterdir() if not p.name.startswith(("_", "."))}
    studies = {p.stem for p in (PACKAGE / "studies").iterdir() if not p.name.startswith("_")}
    reference = (ROOT / "book" / "api.md").read_text()
    listed = set(re.findall(r"automodule:: galcfm\.(\w+)", reference))
    assert listed == rooms
    assert set(re.findall(r"automodule:: galcfm\.studies\.(\w+)", reference)) == studies
    tree = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"^  (\w+)(?:\.py|/)", tree, re.MULTILINE))
    assert named == rooms
    for room in re.findall(r"`galcfm\.([\w.]+)`", tree + (ROOT / "README.md").read_text()):
        assert any(
            (PACKAGE / room.replace(".", "/")).with_suffix(end).exists() for end in ("", ".py")
        ), room


def test_figures_and_surveys_need_no_torch():
    code = "import sys; from galcfm import figures, survey; assert 'torch' not in sys.modules"
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
        path.write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "galcfm")
    forget()
    yield tmp_path / "galcfm"
    forget()


def forget():
    """What was read of files that change here, as none does while a program runs."""
    for cached in (provenance._tree, provenance._imports, provenance._meaning):
        cached.cache_clear()


def written(path, text):
    path.write_text(text)
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
    script.write_text("from galcfm.room import f\nfrom galcfm import shown\n")
    assert [path.name for path in rooms_of(script)] == ["low.py", "one.py", "shown.py"]
    monkeypatch.setattr(provenance, "CHANGES_NOTHING", ("galcfm.shown.",))
    assert [path.name for path in rooms_of(script)] == ["low.py", "one.py"]


HANDS_ON = '''

class Table:
    def save(self):
        return 1

    @classmethod
    def publish(cls, name):
        """Doc."""
        from galcfm.shown import publish

        return publish(cls, name)
'''


def test_what_only_hands_on_to_what_changes_nothing_changes_nothing(package, monkeypatch):
    monkeypatch.setattr(provenance, "CHANGES_NOTHING", ("galcfm.shown.",))
    one = package / "room/one.py"
    text = one.read_text()
    without = HANDS_ON[: HANDS_ON.index("    @classmethod")]
    written(one, text + without)
    before = code_digest("galcfm.room.one")
    written(one, text + HANDS_ON)
    assert code_digest("galcfm.room.one") == before
    # What does more, or hands on to what counts, counts.
    for changed in (
        HANDS_ON.replace("return publish", "name = name.lower()\n        return publish"),
        HANDS_ON.replace("galcfm.shown", "galcfm.low"),
    ):
        written(one, text + changed)
        assert code_digest("galcfm.room.one") != before


def test_notebooks_depend_on_the_rooms_they_use():
    names = [
        {str(path.relative_to(PACKAGE)) for path in rooms_of(ROOT / "notebooks" / f"{name}.py")}
        for name in ("01_data_curation", "02_training")
    ]
    assert {"training/loop.py", "posterior/model.py", "flow.py", "survey/survey.py"} <= names[1]
    assert not {"simulate/rendering.py", "metrics.py", "figures/models.py"} & names[1]
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
