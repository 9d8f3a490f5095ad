"""The command from simulated galaxies to posteriors, and the digests of what it makes, as JSON.

`python tests/smoke_of_command.py FOLDER ENCODING` runs in a locale of this encoding; the digests
are the same in all of them. `tests/test_locales.py` and the workflow `test.yml` compare them.
"""

import codecs
import contextlib
import hashlib
import io
import json
import locale
import sys
import warnings
from pathlib import Path

import pandas as pd

from galcfm import provenance
from galcfm.catalogue import command

# Greek and accented letters, which Latin-1 and the code page of Windows write in other bytes.
IDS = ["Ωé-1", "naïve-2", "plain-3"]


def run(*words) -> str:
    """Run the command, which must end well, and return what it prints."""
    printed = io.TextIOWrapper(io.BytesIO(), locale.getpreferredencoding(False))
    with contextlib.redirect_stdout(printed):
        assert command.main([str(word) for word in words]) == 0, words
    printed.flush()
    return printed.buffer.getvalue().decode(printed.encoding)


def digest_of(folder: Path) -> str:
    """Return a digest of the tables in a folder, in the order of their names."""
    tables = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    text = pd.concat(tables).drop(columns="file", errors="ignore").to_csv(index=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def main(folder: Path, encoding: str) -> dict:
    """Run all commands in a folder and return digests by name."""
    found = codecs.lookup(locale.getpreferredencoding(False)).name
    assert found == codecs.lookup(encoding).name, f"the locale has {found}, not {encoding}"
    # Whatever opens a text without naming its encoding.
    warnings.filterwarnings("error", category=EncodingWarning, module=r"(galcfm|studies)\b")
    for name in ("", "simulate", "train", "infer", "show"):
        assert "exit codes" in run(*([name] if name else []), "--help")
    survey, models = folder / "survey", folder / "models"
    run("simulate", "--out", survey, "--galaxies", 40, "--processes", 1, "--quiet")
    small = ("--models", "photometry", "--set", "width=8", "--quiet")
    run("train", survey, "--recipe", "rehearsal", "--out", models, *small)
    table = pd.read_parquet(survey / "catalogue.parquet").iloc[: len(IDS)].assign(object_id=IDS)
    table.to_csv(folder / "table.csv", index=False)
    few = ("--model", models / "photometry", "--samples", 8, "--steps", 2, "--quiet")
    declared = ("--unit", "AB", "--total", "--dereddened")
    run("infer", survey, "--out", folder / "of_survey", *few)
    run("infer", folder / "table.csv", "--out", folder / "of_table", *few, *declared)
    for shown in (survey, models / "photometry", folder / "of_table"):
        run("show", shown)
    run("show", folder / "of_table", "--object", IDS[2])
    of_table = pd.read_parquet(folder / "of_table" / "dataset")
    assert of_table["object_id"].tolist() == IDS
    described = json.loads((survey / "survey.json").read_text(encoding="utf-8"))
    identity = json.loads((folder / "of_table" / "inference.json").read_text(encoding="utf-8"))
    weights = (models / "photometry" / "model.safetensors").read_bytes()
    return {
        "code of the simulator": described["code"],
        "survey": described["files"],
        "weights": hashlib.sha256(weights).hexdigest(),
        "model": identity["identity"]["model"],
        "code": identity["identity"]["code"],
        "code of the studies": provenance.code_digest("studies.frame"),
        "posteriors of the survey": digest_of(folder / "of_survey" / "dataset"),
        "posteriors of the table": digest_of(folder / "of_table" / "dataset"),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2]), indent=2))
