"""Pins, environment, wheel and citation agree with each other."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import galcfm

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name.lower().replace("_", "-"): r for r in requirements}


def test_everything_is_pinned_once():
    for name, requirement in pins().items():
        assert [s.operator for s in requirement.specifier] == ["=="], name
    assert pins()["torch"].specifier == "==2.13.0", "a +cpu or hashed torch installs nowhere else"


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_pins_satisfy_the_project(extra):
    wanted = PROJECT["optional-dependencies"].get(extra, PROJECT["dependencies"])
    for requirement in map(Requirement, wanted):
        pin = pins()[requirement.name.lower()]
        version = next(iter(pin.specifier)).version
        assert requirement.specifier.contains(version), f"{requirement} against {pin}"


def test_environment_is_python_pip_and_the_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, lock = environment["dependencies"]
    assert python in ("python=3.11", "python=3.12", "python=3.13")
    assert pip == "pip"
    assert lock == {"pip": ["-r requirements.txt"]}


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"] == galcfm.__version__
    assert f"## {galcfm.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "2512.05078" in citation["preferred-citation"]["identifiers"][0]["value"]


def test_a_wheel_builds_and_imports_from_elsewhere(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("galcfm-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        names = archive.namelist()
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "galcfm").rglob("*.py")} <= set(names)
    assert not [n for n in names if n.startswith(("tests", "notebooks"))]
    code = (
        "import sys; sys.path[:0] = [sys.argv[1]]; import galcfm; print(galcfm.__file__);"
        "galcfm.Posterior, galcfm.Survey;"
        "heavy = {'astropy', 'galsim', 'xarray', 'matplotlib', 'speclite'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "installed")],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert str(tmp_path) in found.stdout


def test_the_readmes_first_lines_run_before_a_build():
    block = re.search(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )[1]
    found = subprocess.run(
        [sys.executable, "-c", block], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert "photometry_outside" in found.stdout
    # A galaxy of r = 17 holds some 10^9 to 10^11 solar masses.
    first = float(re.search(r"tensor\(\[\[ *([\d.]+)", found.stdout)[1])
    assert 9 < first < 11
