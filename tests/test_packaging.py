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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The content of a wheel, outside the checkout."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = place.glob("galcfm-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "installed")
    return place / "installed"


def run_outside(code: str, installed: Path) -> str:
    """Run code where the wheel and the core dependencies can be imported, and nothing else."""
    extras = set().union(*PROJECT["optional-dependencies"].values())
    refused = {Requirement(r).name.replace("-", "_") for r in extras} - {"pillow", "galcfm"}
    head = (
        "import sys\n"
        f"sys.path.insert(0, {str(installed)!r})\n"
        f"sys.modules.update(dict.fromkeys({sorted(refused)!r}))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", head + code],
        capture_output=True,
        encoding="utf-8",
        cwd=installed.parent,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_wheel_imports_from_elsewhere(installed):
    there = {str(path.relative_to(installed)) for path in installed.rglob("*.py")}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "galcfm").rglob("*.py")} <= there
    assert not [n for n in there if n.startswith(("tests", "notebooks"))]
    code = "import galcfm; print(galcfm.__file__); galcfm.Posterior, galcfm.Survey"
    assert str(installed) in run_outside(code, installed)


def test_the_readmes_first_lines_run_anywhere(installed):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1]
    assert len([line for line in block.splitlines() if line]) <= 10
    found = run_outside(block, installed)
    assert "photometry_outside" in found
    # A galaxy of r = 17 holds some 10^9 to 10^11 solar masses.
    first = float(re.search(r"tensor\(\[\[ *([\d.]+)", found)[1])
    assert 9 < first < 11
