"""Workflows, container, Binder, Zenodo: what they call is there, pinned, and may do little."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from galcfm import runs

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = [path.stem for path in WORKFLOWS]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BIN = Path(sys.executable).parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def loaded(name: str) -> dict:
    return yaml.safe_load(text(name))


UV = re.search(r"UV := (uv==[\d.]+)", text("Makefile"))[1]


def read(name: str) -> dict:
    found = loaded(f".github/workflows/{name}.yml")
    # In YAML 1.1, `on` is a boolean.
    return {("on" if key is True else key): value for key, value in found.items()}


def steps(name: str) -> list[dict]:
    return [step for job in read(name)["jobs"].values() for step in job["steps"]]


def scripts(name: str) -> str:
    return "\n".join(step["run"] for step in steps(name) if "run" in step)


@pytest.mark.parametrize(
    "command",
    [
        ["actionlint", "-shellcheck", BIN / "shellcheck", "-config-file", ".github/actionlint.yaml"]
        + [str(path) for path in WORKFLOWS],
        ["zizmor", "--offline", "--quiet", ".github"],
        ["hadolint", "Dockerfile"],
        ["shellcheck", "binder/postBuild"],
    ],
    ids=lambda command: command[0],
)
def test_linters_find_nothing(command):
    """What `make lint` calls."""
    program = BIN / command[0]
    assert program.exists(), f"{program} is missing: install requirements.txt"
    found = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f'"{command[0]}"' in text("dodo.py")


def test_actions_have_one_pin_by_hash_with_its_version_each():
    lines = [line for path in WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines()]
    found: dict[str, set] = {}
    for line in (line for line in lines if "uses:" in line):
        pin = re.search(r"uses: ([\w-]+/[\w./-]+)(@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", line)
        assert pin, line
        found.setdefault(pin[1], set()).add(pin[2])
    assert {len(pins) for pins in found.values()} == {1}, found
    (update,) = loaded(".github/dependabot.yml")["updates"]
    assert update["package-ecosystem"] == "github-actions"


# All that any job may do beyond reading the code, and which one.
GRANTED = {
    ("notebooks", "pages"): {"pages": "write", "id-token": "write"},
    ("release", "publish"): {"id-token": "write"},
}


@pytest.mark.parametrize("name", NAMES)
def test_jobs_may_do_only_what_they_must(name):
    workflow = read(name)
    assert workflow["permissions"] == {}
    for job, content in workflow["jobs"].items():
        assert content["permissions"] == GRANTED.get((name, job), {"contents": "read"}), job
        assert content["timeout-minutes"] <= 1440
        for step in content["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
                assert "contents" in content["permissions"]


def test_no_secret_is_used():
    assert not [path.name for path in WORKFLOWS if "secrets." in path.read_text(encoding="utf-8")]


def test_a_strangers_code_never_reaches_the_own_runner():
    jobs = [(name, job) for name in NAMES for job in read(name)["jobs"].values()]
    assert {n for n, job in jobs if "self-hosted" in str(job["runs-on"])} == {"notebooks"}
    assert set(read("notebooks")["on"]) == {"push", "workflow_dispatch"}
    assert read("notebooks")["on"]["push"] == {"branches": ["main"]}
    assert read("notebooks")["jobs"]["notebooks"]["runs-on"] == ["self-hosted", "linux", "gpu"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_called_exists(name):
    """Targets of make, profiles, files."""
    makefile, profiles = text("Makefile"), set(runs.profiles())
    targets = set(re.findall(r"^([a-z ]+|\$\(VENV\)/\.installed):", makefile, re.MULTILINE))
    targets = {word for line in targets for word in line.split()} | {".venv/.installed"}
    for line in re.findall(r"\bmake ([^\n]+)", scripts(name)):
        words = [word for word in line.split() if "=" not in word]
        assert len(words) == 1, line
        assert words[0] in targets, line
        assert set(re.findall(r"PROFILE=(\w+)", line)) <= profiles
        variables = {word.partition("=")[0] for word in line.split() if "=" in word}
        assert all(f"{variable} ?=" in makefile for variable in variables), line
    for file in re.findall(r"--constraint (\S+)|\b(binder/\w+)\b", scripts(name)):
        assert (ROOT / "".join(file)).exists(), file
    # Targets that make hands over are tasks.
    lines = re.findall(r"^([a-z ]+): .*\n\t@\$\(BIN\)/doit", makefile, re.MULTILINE)
    called = {target for line in lines for target in line.split()}
    assert "book" in called
    assert called <= set(re.findall(r"^def task_(\w+)", text("dodo.py"), re.MULTILINE))


def test_every_python_is_tested_and_profiles_of_the_dispatch_exist():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    wanted = [f"3.{k}" for k in range(int(low), int(high))]
    assert read("test")["jobs"]["tests"]["strategy"]["matrix"]["python"] == wanted
    assert set(read("test")["on"]) == {"pull_request", "push"}
    assert {"tests", "lint", "book"} <= set(read("test")["jobs"])
    inputs = read("notebooks")["on"]["workflow_dispatch"]["inputs"]
    assert set(inputs["profile"]["options"]) <= set(runs.profiles())


def test_the_command_runs_in_three_more_locales():
    (step,) = (step for step in steps("test") if "smoke_of_command.py" in step.get("run", ""))
    assert "PYTHONUTF8=0 PYTHONCOERCECLOCALE=0" in step["run"]
    for encoding in ("ISO-8859-1", "CP1252"):
        assert f"localedef -i en_US -f {encoding} " in step["run"]
        assert f"smoke en_US.{encoding} " in step["run"]
    assert "smoke C ascii\n" in step["run"]


def test_results_are_kept_with_their_checksums(tmp_path):
    """The step of the workflow, run on a small run."""
    (step,) = (s for s in steps("notebooks") if "checksums" in s.get("name", ""))
    run = tmp_path / "data" / "runs" / "quick"
    names = ("metrics.json", "image/model.safetensors", "image/checkpoint.pt", "outdated/a.nc")
    for path in (*(run / name for name in names), tmp_path / "data/surveys/quick/survey.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    environment = {
        "PATH": "/usr/bin:/bin",
        "PROFILE": "quick",
        "RUNNER_TEMP": str(tmp_path / "tmp"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    for _ in range(2):  # what an earlier run left is replaced
        subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=environment, check=True)
    kept = tmp_path / "tmp" / "run"
    sums = (kept / "SHA256SUMS").read_text(encoding="utf-8")
    assert sorted(line.split()[1] for line in sums.splitlines()) == [
        "runs/quick/image/model.safetensors",
        "runs/quick/metrics.json",
        "surveys/quick/survey.json",
    ]
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=kept, check=True)
    (upload,) = (s for s in steps("notebooks") if "upload-artifact@" in s.get("uses", ""))
    assert upload["with"]["path"] == "${{ runner.temp }}/run"


def test_a_release_is_the_version_of_the_code(tmp_path):
    (step,) = (s for s in steps("release") if s.get("name") == "The tag is the version")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / f"galcfm-{PROJECT['version']}.tar.gz").touch()
    for tag, status in ((f"v{PROJECT['version']}", 0), (PROJECT["version"], 0), ("v9.9.9", 1)):
        found = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env={"TAG": tag})
        assert found.returncode == status, tag
    publish = read("release")["jobs"]["publish"]
    assert publish["environment"] == "pypi"
    assert publish["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    # Trusted publishing: no password.
    assert "with" not in publish["steps"][-1]


def test_zenodo_and_the_citation_agree():
    zenodo = json.loads(text(".zenodo.json"))
    citation = loaded("CITATION.cff")
    assert zenodo["title"] == citation["title"]
    assert zenodo["license"] == citation["license"] == PROJECT["license"]
    assert [c["name"] for c in zenodo["creators"]] == [a["name"] for a in citation["authors"]]
    (paper,) = zenodo["related_identifiers"]
    assert paper["identifier"] == citation["preferred-citation"]["identifiers"][0]["value"]
    assert set(zenodo["keywords"]) == set(PROJECT["keywords"])
    assert "version" not in zenodo, "Zenodo takes it from the release"


# Container, Binder and Colab --------------------------------------------------------------------


def test_the_container_takes_the_pins_and_a_choice_of_pytorch():
    content = text("Dockerfile")
    assert "ARG TORCH=cpu" in content
    assert '--torch-backend "$TORCH" --requirement requirements.txt' in content
    assert UV in content
    version = re.search(r"ARG PYTHON=(3\.\d+)", content)[1]
    environment = loaded("environment.yml")
    assert environment["dependencies"][0] == f"python={version}"
    assert re.search(r"^USER \d+$", content, re.MULTILINE), "results are not root's"


def test_the_container_leaves_out_what_is_made():
    """What git ignores, except what lies in folders of other names."""
    ignored = {line.strip("/") for line in text(".dockerignore").splitlines()}
    ignored = {line.removeprefix("**/") for line in ignored if line and not line.startswith("#")}
    wanted = {line.strip("/") for line in text(".gitignore").splitlines()}
    assert wanted - {""} <= ignored
    assert ".git" not in ignored, "results name their commit"


def test_binder_starts_from_the_same_python_and_pins():
    binder = loaded("binder/environment.yml")
    environment = loaded("environment.yml")
    assert binder["dependencies"][:2] == environment["dependencies"][:2]
    assert binder["dependencies"][2] == {"pip": [UV]}
    script = ROOT / "binder" / "postBuild"
    assert script.stat().st_mode & 0o111, "Binder runs it"
    assert "--torch-backend cpu --requirement requirements.txt" in script.read_text(
        encoding="utf-8"
    )


def test_buttons_lead_to_files_that_are_there():
    content = text("README.md")
    buttons = re.findall(r"\)\]\((https://(?:mybinder|colab)[^)]+)\)", content)
    assert len(buttons) == 2
    shell = text("binder/colab.ipynb")
    owners = {re.search(r"/([\w.-]+)/galcfm\b", address)[1] for address in buttons}
    owners |= set(re.findall(r"github\.com/([\w.-]+)/galcfm\b", shell))
    assert len(owners) == 1, "the account that hosts the repository has one name everywhere"
    (binder,) = (a for a in buttons if "mybinder" in a)
    assert (ROOT / binder.rpartition("urlpath=lab/tree/")[2]).exists()
    (colab,) = (a for a in buttons if "colab" in a)
    assert (ROOT / colab.partition("/blob/main/")[2]).exists()
    badges = re.findall(r"actions/workflows/(\w+)\.yml", content)
    assert badges
    assert set(badges) <= set(NAMES)


def test_the_notebook_for_colab_shows_the_readmes_lines():
    notebook = nbformat.read(ROOT / "binder" / "colab.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    readme = re.search(r"```python\n(.*?)```", text("README.md"), re.DOTALL)[1]
    assert readme.strip() in [cell.source.strip() for cell in code]
    shell = "\n".join(cell.source for cell in code)
    extras = re.search(r"galcfm\[([\w,]+)\]", shell)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    profile, name = re.search(r"doit profile=(\w+) notebook:\w+/(\w+)", shell).groups()
    assert profile in runs.profiles()
    assert name in runs.NOTEBOOKS
