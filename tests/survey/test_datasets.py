"""Surveys in the layout of the Multimodal Universe: there and back, and through other loaders."""

import json
import os
import re

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from conftest import toy_survey
from hub_server import TOKEN, Hub
from huggingface_hub import HfApi
from pyarrow import parquet

from galcfm import Survey
from galcfm.paths import published_folder
from galcfm.properties import Declaration, Embedding, LinearCutouts, Property
from galcfm.survey import SurveyError
from galcfm.survey import datasets as writing
from galcfm.survey.cutouts import Cutouts
from galcfm.survey.datasets import data_card
from galcfm.survey.embeddings import Embeddings
from studies.frame import BOOK_SURVEY


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def survey() -> Survey:
    found = toy_survey(30, 5)
    found.images[..., 0] //= 2  # colour
    # Labels that are missing, flags and words are columns too.
    found.catalogue.loc[[3, 7], "a_v"] = np.nan
    found.catalogue["active"] = np.arange(30) % 2 == 0
    found.catalogue["sequence"] = np.where(np.arange(30) % 3, "blue", "grün")
    found.catalogue["dn4000_err"] = 0.04
    found.parameters = {"kind": "simulated", "seed": 5, "catalogue": "/home/someone/table.fits"}
    return found


def in_order(survey: Survey) -> tuple[pd.DataFrame, np.ndarray]:
    order = np.argsort(survey.object_id)
    catalogue = survey.catalogue.iloc[order].reset_index(drop=True)
    return catalogue[sorted(catalogue)], survey.images[order]


def same(a: Survey, b: Survey) -> bool:
    (table_a, images_a), (table_b, images_b) = in_order(a), in_order(b)
    pd.testing.assert_frame_equal(table_a, table_b, check_dtype=False, check_column_type=False)
    return bool((images_a == images_b).all())


def test_a_survey_comes_back_as_it_went(survey, tmp_path):
    survey.to_datasets(tmp_path / "toys")
    found = Survey.from_datasets(tmp_path / "toys")
    assert same(found, survey)
    assert found.parameters == survey.parameters
    assert found.source == "simulated survey"
    for split in ("train", "validation", "test"):
        assert set(found.split(split).object_id) == set(survey.split(split).object_id)


def test_a_survey_without_pictures_stays_so(survey, tmp_path):
    Survey(survey.catalogue, None, survey.parameters).to_datasets(tmp_path / "toys")
    assert Survey.from_datasets(tmp_path / "toys").images is None


@pytest.fixture(scope="module")
def declared() -> Survey:
    """Other bands and properties, two embeddings and linear cutouts of two bands."""
    rng, n = np.random.default_rng(2), 12
    declaration = Declaration(
        [Property("log_m", "dex(Msun)", (5, 14)), Property("redshift", "1", (0, 3))],
        ("g", "W1"),
        [Embedding("image", "AION-1", 5), Embedding("spectrum", "DINO v3", 2)],
        LinearCutouts(("W1", "g"), 6, 0.262),
    )
    columns = {"object_id": [f"g{k}" for k in range(n)], "ra": 1.0, "dec": 2.0, "ebv": np.nan}
    columns |= {"mag_g": 20.0, "mag_W1": rng.normal(18, 1, n), "log_m": 10.0, "redshift": 0.3}
    columns["split"] = ["train"] * 8 + ["test"] * 4
    images = rng.normal(0, 1, (n, 6, 6, 2)).astype(np.float32)
    vectors = {e.name: rng.normal(size=(n, e.length)).astype("f4") for e in declaration.embeddings}
    parameters = {"kind": "table", "source": "mine.fits", "declaration": declaration.content}
    return Survey(pd.DataFrame(columns), images, parameters, "mine", embeddings=vectors)


def test_a_declared_survey_comes_back_as_it_went(declared, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROWS_PER_FILE", 5)
    declared.to_datasets(tmp_path / "mine")
    found = Survey.from_datasets(tmp_path / "mine")
    assert same(found, declared)
    assert found.declaration == declared.declaration
    order, wanted = np.argsort(found.object_id), np.argsort(declared.object_id)
    for name, values in declared.embeddings.items():
        assert found.embeddings[name].dtype == np.float32
        np.testing.assert_array_equal(found.embeddings[name][order], values[wanted])
    alone = declared.without_images()
    alone.to_datasets(tmp_path / "mine")
    assert Survey.from_datasets(tmp_path / "mine").images is None
    assert "linear cutout" not in data_card(alone, "mine")


def test_other_loaders_see_vectors_and_fluxes(declared, tmp_path):
    declared.to_datasets(tmp_path / "mine")
    rows = datasets.load_dataset(str(tmp_path / "mine"), split="test")
    assert rows.features["embedding_image"] == datasets.List(datasets.Value("float32"), 5)
    first = rows[0]
    k = int(np.flatnonzero(declared.object_id == first["object_id"])[0])
    assert first["embedding_image"] == declared.embeddings["image"][k].tolist()
    assert first["image"]["band"] == ["W1", "g"]
    assert first["image"]["scale"] == pytest.approx([0.262, 0.262])
    # North is up in an image, and last in a record.
    np.testing.assert_array_equal(first["image"]["flux"][1], declared.images[k, ::-1, :, 1])
    # Without its declaration it is a table, which from_table reads.
    with pytest.raises(SurveyError, match=r"column 'image' contains a dict|lacks the columns"):
        Survey.from_datasets(rows)
    made = Survey.from_table(
        rows.to_pandas(),
        unit="AB",
        total=True,
        dereddened=True,
        bands=declared.declaration.bands,
        properties=declared.declaration.properties,
        embeddings={"image": Embeddings("embedding_image", "AION-1")},
        cutouts=Cutouts(rows.to_pandas()["image"], bands=("W1", "g"), linear=True),
        pixel_scale=0.262,
    )
    np.testing.assert_array_equal(made.embeddings["image"][0], first["embedding_image"])
    np.testing.assert_allclose(made.images[0], declared.images[k])


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("embedding_image", lambda x: x[:4], r"row 1 .*embedding image: it has 4 numbers, not 5"),
        ("embedding_image", lambda x: None, r"row 1 .*'g\d+'\): embedding image: it has 0"),
        ("image", lambda x: None, r"row 1 .*image: it is neither fluxes"),
        ("image", lambda x: x | {"band": ["W1", "r"]}, "row 1 .*of which 0 are g"),
        ("image", lambda x: x | {"band": None}, r"row 1 .*image: "),
        ("image", lambda x: x | {"flux": [[[1.0]]] * 2}, r"row 1 .*image: 1×1 pixels"),
    ],
)
def test_damaged_vectors_and_fluxes_are_refused(declared, tmp_path, column, change, words):
    declared.to_datasets(tmp_path / "mine")
    path = tmp_path / "mine" / "data" / "train-00000-of-00001.parquet"
    table = parquet.read_table(path).replace_schema_metadata({})
    cells = table[column].to_pylist()
    cells[1] = change(cells[1])
    table = table.drop_columns([column]).append_column(column, pa.array(cells))
    parquet.write_table(table, path)
    with pytest.raises(SurveyError, match=words) as caught:
        Survey.from_datasets(tmp_path / "mine")
    assert str(tmp_path / "mine") in str(caught.value)
    assert "\n" not in str(caught.value)
    parquet.write_table(table.drop_columns(["embedding_spectrum"]), path)
    with pytest.raises(SurveyError, match=r"embedding_spectrum|embedding image|image:"):
        Survey.from_datasets(tmp_path / "mine")


def test_a_card_describes_what_a_survey_declares(declared):
    text = data_card(declared, "mine")
    said = "12 galaxies with magnitudes in g, W1, linear cutouts in W1, g, embeddings of AION-1, "
    assert f"{said}embeddings of DINO v3 and 2 properties, in the layout" in text
    assert "| `embedding_image` |  | embedding: 5 features that AION-1 computed |" in text
    assert "| `image` | nmgy | linear cutout: flux per pixel in W1, g, 6×6 pixels" in text
    assert "| `log_m` | dex(Msun) | log_m |" in text
    assert "rgb_image" not in text
    assert "five" not in text
    assert "not fluxes" not in text


def test_many_rows_make_several_files_in_order(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROWS_PER_FILE", 10)
    survey.to_datasets(tmp_path / "toys")
    n = len(survey.split("train"))
    files = sorted(p.name for p in (tmp_path / "toys" / "data").glob("train-*"))
    last = -(-n // 10)
    assert files[0] == f"train-00000-of-{last:05d}.parquet"
    assert len(files) == last
    found = Survey.from_datasets(tmp_path / "toys")
    assert same(found, survey)
    assert list(found.split("train").object_id) == list(survey.split("train").object_id)


def test_the_loader_of_the_hub_reads_it(survey, tmp_path):
    """`load_dataset`, which the Multimodal Universe names as its own."""
    survey.to_datasets(tmp_path / "toys")
    found = datasets.load_dataset(str(tmp_path / "toys"))
    assert {k: len(v) for k, v in found.items()} == dict(survey.catalogue["split"].value_counts())
    rows = found["test"]
    kinds = {name: feature.dtype for name, feature in rows.features.items()}
    # As their galaxies of Galaxy Zoo: pictures that are pictures, and their scale.
    assert isinstance(rows.features["rgb_image"], datasets.Image)
    assert kinds["rgb_pixel_scale"] == "float32"
    assert (kinds["object_id"], kinds["ra"], kinds["healpix"]) == ("string", "float64", "int64")
    first = rows[0]
    k = int(np.flatnonzero(survey.object_id == first["object_id"])[0])
    assert (np.asarray(first["rgb_image"]) == survey.images[k]).all()
    assert first["rgb_pixel_scale"] == pytest.approx(0.396)
    assert first["mag_r"] == survey.magnitudes[k, 2]


@pytest.mark.parametrize("part", ["dict", "one"])
def test_what_that_loader_gives_is_a_survey_again(survey, tmp_path, part):
    survey.to_datasets(tmp_path / "toys")
    found = datasets.load_dataset(str(tmp_path / "toys"))
    wanted = survey if part == "dict" else survey.split("test")
    assert same(Survey.from_datasets(found if part == "dict" else found["test"]), wanted)


def test_pixels_are_those_of_the_sky(survey, tmp_path):
    """The twelve base pixels of HEALPix, of the column `healpix`: nside = 16, nested."""
    survey.to_datasets(tmp_path / "toys")
    paths = (tmp_path / "toys" / "data").iterdir()
    columns = ["ra", "dec", "healpix"]
    for ra, dec, pixel in pd.concat(pd.read_parquet(p, columns=columns) for p in paths).to_numpy():
        base = pixel // 16**2
        # The equatorial ones, 4 to 7, are diamonds 90 deg wide, centred at ra = 0, 90, 180, 270.
        if base in (4, 5, 6, 7):
            assert abs((ra - 90 * (base - 4) + 180) % 360 - 180) <= 45
            assert abs(np.sin(np.radians(dec))) <= 2 / 3
        else:
            assert (dec > 0) == (base < 4)


def test_a_survey_goes_through_the_hub(survey, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    survey.to_datasets(tmp_path / "toys")
    with Hub() as hub:
        api = HfApi(endpoint=hub.url, token=TOKEN)
        api.create_repo("astronomer/toys", repo_type="dataset", private=True)
        api.upload_folder(
            repo_id="astronomer/toys", folder_path=tmp_path / "toys", repo_type="dataset"
        )
        options = {"endpoint": hub.url, "cache_dir": tmp_path / "hub"}
        found = Survey.from_datasets("astronomer/toys", token=TOKEN, **options)
        assert same(found, survey)
        assert found.name == "astronomer/toys"
        with pytest.raises(SurveyError, match=r"nor a data set on the Hub: .*token") as caught:
            Survey.from_datasets("astronomer/others", token=TOKEN, **options)
    assert "\n" not in str(caught.value)


# Refusals ---------------------------------------------------------------------------------------


def test_nothing_of_others_is_replaced(survey, tmp_path):
    (tmp_path / "thesis.tex").write_text("\\documentclass", encoding="utf-8")
    with pytest.raises(SurveyError, match=re.escape("thesis.tex")):
        survey.to_datasets(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_data_set_is_replaced_whole(survey, tmp_path):
    survey.to_datasets(tmp_path / "toys")
    fewer = survey.select(np.arange(12))
    fewer.to_datasets(tmp_path / "toys")
    assert same(Survey.from_datasets(tmp_path / "toys"), fewer)


def test_a_replacement_that_is_interrupted_is_done_again(survey, tmp_path, monkeypatch):
    folder = tmp_path / "toys"
    survey.to_datasets(folder)
    fewer = survey.select(np.arange(12))
    written = writing._write

    def killed(*arguments):
        written(*arguments)
        raise KeyboardInterrupt

    # While it is written, what was there stays.
    monkeypatch.setattr(writing, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        fewer.to_datasets(folder)
    assert same(Survey.from_datasets(folder), survey)
    monkeypatch.undo()
    replaced = os.replace

    def cut_short(source, target):
        if source.name == ".toys.partial":
            raise KeyboardInterrupt
        return replaced(source, target)

    # Killed while one takes the place of the other: nothing is there, until it is done again.
    monkeypatch.setattr(os, "replace", cut_short)
    with pytest.raises(KeyboardInterrupt):
        fewer.to_datasets(folder)
    with pytest.raises(SurveyError, match="nor a data set"):
        Survey.from_datasets(folder)
    monkeypatch.undo()
    # The next call brings back what was there, before it writes.
    monkeypatch.setattr(writing, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        fewer.to_datasets(folder)
    assert same(Survey.from_datasets(folder), survey)
    monkeypatch.undo()
    fewer.to_datasets(folder)
    assert same(Survey.from_datasets(folder), fewer)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["toys"]


def test_a_file_that_is_missing_is_named(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROWS_PER_FILE", 8)
    survey.to_datasets(tmp_path / "toys")
    next((tmp_path / "toys" / "data").glob("train-00001-of-*")).unlink()
    with pytest.raises(SurveyError, match=r"toys has \d of \d files of train: fetch"):
        Survey.from_datasets(tmp_path / "toys")


def test_a_galaxy_without_a_place_is_named(survey, tmp_path):
    lost = survey.select(np.arange(5))
    lost.catalogue.loc[2, "dec"] = np.nan
    with pytest.raises(SurveyError, match=r"row 2 .*toy-5-2.*not a position on the sky"):
        lost.to_datasets(tmp_path / "toys")
    assert not (tmp_path / "toys").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s, p: Survey.from_datasets(p), r"has no data/\*\.parquet"),
        (
            lambda s, p: Survey.from_datasets(datasets.Dataset.from_dict({"object_id": ["a"]})),
            "lacks the columns ra, dec",
        ),
    ],
)
def test_what_is_no_survey_is_refused_in_a_sentence(survey, tmp_path, make, words):
    with pytest.raises(SurveyError, match=words):
        make(survey, tmp_path)


def test_pictures_of_other_sizes_are_refused_with_the_remedy(survey, tmp_path):
    survey.to_datasets(tmp_path / "toys")
    rows = datasets.load_dataset(str(tmp_path / "toys"), split="test")
    rows = rows.map(lambda row: {"rgb_image": row["rgb_image"].resize((64, 64))})
    with pytest.raises(SurveyError, match=r"64×64 pixels.*from_table"):
        Survey.from_datasets(rows)


# The card ---------------------------------------------------------------------------------------


def test_a_card_says_what_a_user_must_know(survey, tmp_path):
    survey.to_datasets(tmp_path / "toys")
    text = (tmp_path / "toys" / "README.md").read_text(encoding="utf-8")
    assert text == data_card(survey, "toys")
    for heading in ("Intended use", "Population", "Calibration of the labels", "Limits"):
        assert f"\n## {heading}\n" in text
    facts = yaml.safe_load(text.split("---\n")[1])
    assert facts["license"] == "bsd-3-clause"
    assert facts["size_categories"] == ["n<1K"]
    paths = {f["split"]: f["path"] for f in facts["configs"][0]["data_files"]}
    assert paths == {s: f"data/{s}-*" for s in ("train", "validation", "test")}
    assert "simulated" in text
    assert "| `a_v` | 28 |" in text
    assert "| `dn4000` | 0.040 |" in text
    middle = np.median(survey.redshift)
    assert f"{middle:.3f}" in re.search(r"\| `redshift` .*", text)[0]
    assert "Further columns: `active`, `sequence`, `dn4000_err`. `<property>_err`" in text
    assert "`mag_z` | mag | AB, whole galaxy, extinction removed, band z |" in text


def test_a_card_tells_nothing_of_the_machine(survey):
    assert "/home/someone" not in data_card(survey, "toys")
    assert json.loads(re.search(r"```json\n(.*?)```", data_card(survey, "toys"), re.DOTALL)[1])


@pytest.mark.parametrize(
    ("kind", "licence", "words"),
    [("sdss", "cc-by-4.0", "credit the Sloan"), ("table", "other", "name it here")],
)
def test_the_licence_is_that_of_the_galaxies(survey, kind, licence, words):
    other = Survey(survey.catalogue, None, {"kind": kind, "source": "mine.fits"})
    text = data_card(other, "toys")
    assert yaml.safe_load(text.split("---\n")[1])["license"] == licence
    assert words in text
    assert "simulated, from published relations" not in text


def test_the_books_survey_has_its_card():
    """Chapter 15 writes it."""
    text = (published_folder() / "surveys" / "quick" / "README.md").read_text(encoding="utf-8")
    found = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    assert found == {"kind": "simulated", **BOOK_SURVEY}
