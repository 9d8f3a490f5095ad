"""No result and no key depends on the locale: encodings are named wherever a text is read."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ROOT / "tests" / "smoke_of_command.py"
FILES = [
    path
    for folder in (".", "benchmarks", "book", "galcfm", "notebooks", "tests")
    for path in sorted((ROOT / folder).glob("*.py" if folder == "." else "**/*.py"))
]
# Encoding of each locale of the C library; localedef makes the locales.
LOCALES = {"C": "ascii", "en_US.ISO-8859-1": "iso8859-1", "en_US.CP1252": "cp1252"}


@pytest.fixture(scope="module")
def locales(tmp_path_factory) -> Path:
    """A folder with the locales that few systems have."""
    folder = tmp_path_factory.mktemp("locales")
    for name in LOCALES:
        language, _, charmap = name.partition(".")
        if charmap and shutil.which("localedef") and Path("/usr/share/i18n/charmaps").is_dir():
            made = ["localedef", "-i", language, "-f", charmap, str(folder / name)]
            subprocess.run(made, check=True, capture_output=True)
    return folder


def smoke(folder: Path, encoding: str, **environment) -> str:
    command = [sys.executable, "-X", "warn_default_encoding", str(SMOKE), str(folder), encoding]
    found = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'notebooks'}"} | environment,
        capture_output=True,
    )
    assert found.returncode == 0, found.stderr.decode("utf-8", "replace")[-3000:]
    return found.stdout.decode("ascii")


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> str:
    """What the command makes where every text is UTF-8."""
    return smoke(tmp_path_factory.mktemp("utf8"), "utf-8", PYTHONUTF8="1")


@pytest.mark.parametrize("name", LOCALES)
def test_the_command_gives_the_same_in_every_locale(name, locales, expected, tmp_path):
    if name != "C" and not (locales / name).exists():
        pytest.skip("localedef is missing")
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    assert smoke(tmp_path, LOCALES[name], LC_ALL=name, LOCPATH=str(locales), **plain) == expected


TEXT_FILES = {"open", "read_text", "write_text", "NamedTemporaryFile", "TemporaryFile", "fdopen"}
PROCESSES = {"run", "Popen", "check_output", "check_call", "call"}
TABLES = {"loadtxt", "savetxt", "genfromtxt", "fromregex"}
# Functions of that name that read no text.
BINARY = ("fits", "Image", "webbrowser", "xarray", "images", "tarfile", "zipfile", "lsdb", "zarr")


def opens_text_without_encoding(call: ast.Call) -> bool:
    """Say whether a call reads or writes a text in the encoding of the locale."""
    name = ast.unparse(call.func)
    owner, _, function = name.rpartition(".")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or None in given or name == "os.open":
        return False
    if function in PROCESSES and owner == "subprocess":
        return {"text", "universal_newlines", "errors"} & set(given) != set()
    if function in TABLES:
        # An open file has its encoding.
        return ast.unparse(call.args[0]) != "file"
    if function not in TEXT_FILES or owner.split(".")[-1] in BINARY:
        return False
    if function in ("read_text", "write_text"):
        return len(call.args) < (1 if function == "read_text" else 2)
    # The mode is the second argument of open() and the first of Path.open().
    arguments = [a.value for a in call.args if isinstance(a, ast.Constant)]
    mode = given.get("mode")
    modes = [mode.value] if isinstance(mode, ast.Constant) else arguments
    binary = any(isinstance(m, str) and re.fullmatch(r"[rwxa+]*b[rwxa+]*", m) for m in modes)
    # Temporary files are binary without a mode.
    return not binary and (function in ("open", "fdopen") or bool(modes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open(path)", True),
        ("path.open()", True),
        ("path.open('w')", True),
        ("path.open('rb')", False),
        ("open(path, 'wb')", False),
        ("open(path, mode='r+b')", False),
        ("open(path, 'w', encoding='utf-8')", False),
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text('a')", True),
        ("path.write_text('a', encoding='utf-8')", False),
        ("tempfile.NamedTemporaryFile()", False),
        ("tempfile.NamedTemporaryFile('w')", True),
        ("subprocess.run(a, text=True)", True),
        ("subprocess.run(a, capture_output=True)", False),
        ("subprocess.Popen(a, universal_newlines=True)", True),
        ("np.loadtxt(path)", True),
        ("fits.open(path)", False),
    ],
)
def test_the_search_finds_texts_without_encoding(text, expected):
    assert opens_text_without_encoding(ast.parse(text).body[0].value) is expected


def test_every_text_is_opened_with_its_encoding():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)[:80]}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and opens_text_without_encoding(node)
    ]
    assert not found, "name the encoding: " + "\n".join(found)
    assert len(FILES) > 150


def test_nothing_is_sorted_or_written_by_the_rules_of_a_locale():
    names = re.compile(r"\b(import locale|strxfrm|strcoll|setlocale|getpreferredencoding)\b")
    found = [path for path in FILES if names.search(path.read_text(encoding="utf-8"))]
    assert {path.name for path in found} == {"smoke_of_command.py", "test_locales.py"}
