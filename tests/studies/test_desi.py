"""Real galaxies of DESI: a table in the schema of the Hub's data set, downloads, cuts, models."""

import json
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from copied import copy_repository, doit
from hub_server import Hub

from galcfm.paths import download_folder
from galcfm.runs import RunError
from galcfm.stored_posteriors import load_densities
from studies import desi
from studies.desi import table

NAME = "EiffL/desi_x_ls_aion"
REPOSITORY = f"datasets/{NAME}"
WIDTH = 8


def galaxies(n: int, seed: int = 0, **changes) -> pa.Table:
    """Galaxies as the data set has them: tokens of half precision, most of them noise.

    The image knows the distance, the spectrum all properties, beyond what the magnitudes tell.
    """
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, 5))
    mass = 10.3 + 0.6 * latent[:, 0]
    redshift = np.clip(0.2 + 0.08 * latent[:, 1], 0.02, 0.55)
    rate = 10 ** (0.2 + 0.7 * latent[:, 2])
    rate[latent[:, 2] < -1.5] = 0
    r = 19 - 2 * (mass - 10.3) + 5 * np.log10(redshift / 0.2) + 0.05 * rng.standard_normal(n)
    colour = 0.8 - 0.2 * latent[:, 2] + 0.1 * rng.standard_normal((2, n))
    columns = {
        "ra": rng.uniform(0, 360, n),
        "dec": rng.uniform(-10, 60, n),
        "LOG_MSTAR": mass.astype(np.float32),
        "Z_HP": redshift.astype(np.float32),
        "Z_MW": (10 ** (-2.2 + 0.2 * latent[:, 3])).astype(np.float32),
        "TAGE_MW": (8 + 1.5 * latent[:, 4]).astype(np.float32),
        "AVG_SFR": rate.astype(np.float32),
        "MAG_G": (r + colour[0]).astype(np.float32),
        "MAG_R": r.astype(np.float32),
        "MAG_Z": (r - colour[1]).astype(np.float32),
        "object_id": [str(39627322 + 1000 * seed + k) for k in range(n)],
    }
    columns = {f"{name}_provabgs": values for name, values in (columns | changes).items()}
    for name, known, tokens in (("image", latent[:, 1:2], 5), ("spectrum", latent, 3)):
        means = np.tile(known, WIDTH)[:, :WIDTH] + 0.1 * rng.standard_normal((n, WIDTH))
        values = means[:, None] + rng.standard_normal((n, tokens, WIDTH))
        values += means[:, None] - values.mean(axis=1, keepdims=True)
        kind = pa.list_(pa.list_(pa.float16()))
        columns[f"embedding_{name}"] = pa.array(values.astype(np.float16).tolist(), kind)
    return pa.table(columns)


def as_bytes(part: pa.Table) -> bytes:
    content = BytesIO()
    pq.write_table(part, content)
    return content.getvalue()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The data set in three files on a Hub of the tests."""
    monkeypatch.setenv("GALCFM_DATA", str(tmp_path / "data"))
    with Hub() as served:
        files = {
            f"data/train-0000{k}-of-00003.parquet": as_bytes(galaxies(20, seed=k)) for k in range(3)
        }
        served.commits[REPOSITORY] = [files | {"README.md": b"---\n---\n"}]
        yield served


def fetched(hub: Hub) -> list[str]:
    return [path for path in hub.asked if path.startswith("GET") and "resolve" in path]


def test_tokens_are_averaged_whatever_lists_hold_them():
    tokens = [np.arange(4 * n).reshape(n, 4) / 8 for n in (3, 1, 2)]
    expected = [t.mean(axis=0) for t in tokens]
    for inner in (pa.list_(pa.float16()), pa.list_(pa.float32(), 4), pa.large_list(pa.float64())):
        lists = pa.array([t.tolist() for t in tokens], pa.list_(inner))
        np.testing.assert_allclose(table.mean_over_tokens(lists), expected)
        np.testing.assert_allclose(table.mean_over_tokens(lists[1:]), expected[1:])
    gaps = table.mean_over_tokens(pa.array([[[1.0, 2.0]], None, []]))
    np.testing.assert_array_equal(gaps, [[1, 2], [np.nan] * 2, [np.nan] * 2])
    # Embeddings that are averaged already.
    np.testing.assert_array_equal(
        table.mean_over_tokens(pa.array([[1.0, 2.0], None])), [[1, 2], [np.nan] * 2]
    )
    with pytest.raises(ValueError, match="tokens have 2 or 1 features"):
        table.mean_over_tokens(pa.array([[[1.0, 2.0]], [[3.0]]]))


def test_files_are_fetched_one_by_one_and_kept_averaged(hub, monkeypatch):
    options = {"endpoint": hub.url, "progress": False}
    some = table.read_table(NAME, 30, **options)
    assert len(some) == 30
    assert len(fetched(hub)) == 2, "no more files than are needed"
    more = table.read_table(NAME, 0, **options)
    assert len(more) == 60
    assert len(fetched(hub)) == 3, "files that are there are not fetched again"
    assert more[:30].equals(some)
    kept = list(download_folder("EiffL--desi_x_ls_aion").rglob("*.parquet"))
    assert len(kept) == 3, "the files themselves are deleted"
    # Nothing but the data set's own numbers, in the order of its files.
    theirs = pa.concat_tables([galaxies(20, seed=k) for k in range(3)])
    order = np.argsort(more[table.IDENTIFIER].to_numpy())
    for name in table.NUMBERS:
        np.testing.assert_array_equal(more[name].to_numpy()[order], theirs[name].to_numpy())
    means = np.stack(more["embedding_image"].to_numpy()[order])
    whole = np.array(theirs["embedding_image"].to_pylist(), dtype=np.float32).mean(axis=1)
    np.testing.assert_allclose(means, whole, rtol=1e-5, atol=1e-6)


def test_an_interrupted_download_continues(hub, monkeypatch):
    options = {"endpoint": hub.url, "progress": False}
    real, calls = table.averaged, []

    def fails_once(path):
        calls.append(path.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(table, "averaged", fails_once)
    with pytest.raises(KeyboardInterrupt):
        table.read_table(NAME, 0, **options)
    folder = download_folder("EiffL--desi_x_ls_aion")
    assert len(list((folder).glob("*/data--train-*.parquet"))) == 1
    hub.broken = 500
    with pytest.raises(RunError, match="cannot be fetched: check the name and the network"):
        table.read_table(NAME, 0, **options)
    hub.broken = None
    assert len(table.read_table(NAME, 0, **options)) == 60
    assert len(fetched(hub)) == 3, "a file that had arrived is not fetched twice"


def test_what_cannot_be_fetched_is_one_sentence(hub, monkeypatch):
    options = {"endpoint": hub.url, "progress": False}
    with pytest.raises(RunError, match="EiffL/nothing cannot be fetched: check the name"):
        table.read_table("EiffL/nothing", 1, **options)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(OSError, match="free some space"):
        table.read_table(NAME, 1, **options)
    assert not fetched(hub)


def test_a_folder_takes_the_place_of_the_hub(tmp_path):
    with pytest.raises(RunError, match="has no Parquet files"):
        table.read_table(str(tmp_path), 0, progress=False)
    pq.write_table(galaxies(10), tmp_path / "a.parquet")
    pq.write_table(
        galaxies(10, seed=1).drop_columns([table.IDENTIFIER]), tmp_path / "unnamed.parquet"
    )
    found = table.read_table(str(tmp_path), 0, progress=False)
    assert len(found) == 20
    assert "unnamed-3" in found[table.IDENTIFIER].to_pylist()
    assert table.read_table(str(tmp_path / "a.parquet"), 4, progress=False).num_rows == 4
    pq.write_table(galaxies(3).drop_columns(["Z_MW_provabgs"]), tmp_path / "a.parquet")
    with pytest.raises(RunError, match=r"a\.parquet has no column Z_MW_provabgs"):
        table.read_table(str(tmp_path), 0, progress=False)
    (tmp_path / "a.parquet").write_bytes(b"PAR1, and no more")
    with pytest.raises(RunError, match=r"a\.parquet is damaged"):
        table.read_table(str(tmp_path), 0, progress=False)


def test_cuts_units_and_missing_labels(tmp_path):
    n = 40
    changes = {
        "Z_HP": np.r_[0.005, 0.7, np.full(n - 2, 0.1)].astype(np.float32),
        "MAG_G": np.r_[[20.0] * 2, -99.0, [20.0] * (n - 3)].astype(np.float32),
        "Z_MW": np.r_[[0.01] * 3, 0.0, [0.01] * (n - 4)].astype(np.float32),
        "AVG_SFR": np.r_[[10.0] * 4, 0.0, 1e-4, [10.0] * (n - 6)].astype(np.float32),
        "object_id": ["same"] + [str(k) for k in range(1, n - 1)] + ["1"],
    }
    pq.write_table(galaxies(n, **changes), tmp_path / "a.parquet")
    given = table.read_table(str(tmp_path), 0, progress=False)
    survey = desi.survey_of(given)
    assert list(survey.parameters["cuts"].values()) == [n, n - 2, n - 3, n - 4, n - 5]
    assert survey.declaration.bands == ("g", "r", "z")
    assert survey.declaration.property_names == tuple(desi.PROPERTIES)
    assert [(e.name, e.length) for e in survey.declaration.embeddings] == [
        ("image", WIDTH),
        ("spectrum", WIDTH),
    ]
    of = survey.catalogue.set_index("object_id")
    assert of.loc["10", "log_sfr"] == pytest.approx(1.0)
    assert of.loc["10", "log_metallicity"] == pytest.approx(-2.0)
    assert of.index[of["log_sfr"].isna()].tolist() == ["4", "5"]
    # Embeddings stay with their galaxies.
    row = given[table.IDENTIFIER].to_pylist().index("10")
    ours = survey.embeddings["image"][list(survey.object_id).index("10")]
    np.testing.assert_allclose(ours, given["embedding_image"][row].as_py())


@pytest.fixture(scope="module")
def chapter(tmp_path_factory) -> tuple[list[dict], Path]:
    """Outputs of the chapter, made by the build in the profile `desi`, and the folder of the run.

    The data set is on a Hub of the tests; all parameters are those of the profile.
    """
    copy = copy_repository(tmp_path_factory.mktemp("copy") / "galcfm")
    with Hub() as served, pytest.MonkeyPatch.context() as patch:
        files = {f"data/train-0000{k}-of-00003.parquet": galaxies(200, seed=k) for k in range(3)}
        served.commits[REPOSITORY] = [{name: as_bytes(part) for name, part in files.items()}]
        patch.setenv("HF_ENDPOINT", served.url)
        task = "notebook:desi/18_declared_surveys"
        # Alone, without the chapters on the simulated survey.
        made = doit(copy, "run", "--single", "profile=desi", task)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-6000:]
    run = copy / "data" / "runs" / "desi"
    path = run / "chapters" / "18_declared_surveys.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", ())], run


def test_the_chapter_shows_real_galaxies(chapter):
    outputs, run = chapter
    data = [output.get("data", {}) for output in outputs]
    texts = ["".join(found.get("text/markdown", "")) for found in data]
    (words,) = [text for text in texts if "Real galaxies of desi_x_ls_aion" in text]
    assert "600, of which" in words
    assert sum("image/png" in found for found in data) == 6
    (folder,) = (run / "studies").glob("desi-*")
    assert {path.name for path in folder.iterdir()} == {
        "survey",
        "densities.npz",
        "prior",
        *desi.MODELS,
        *(f"posteriors_{name}.nc" for name in desi.MODELS),
    }


def test_embeddings_add_what_they_know(chapter):
    _, run = chapter
    (folder,) = (run / "studies").glob("desi-*")
    densities = load_densities(folder / "densities.npz")
    of = {name: np.nanmean(densities[name].posterior_truth) for name in desi.MODELS}
    assert of["image_embedding"] > of["photometry"] + 0.1
    assert of["spectrum_embedding"] > of["image_embedding"] + 0.3
