"""Catalogues of any size: each row once, and the same after any interruption."""

import asyncio
import errno
import inspect
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from astropy.table import Table
from conftest import toy_survey
from pyarrow import parquet

pytest.importorskip("dask")

from galcfm import Posterior, Survey
from galcfm.catalogue import CatalogueError, command, infer_catalogue, inference, partitions, plan
from galcfm.catalogue.sources import find_source
from galcfm.posterior import ModelError
from galcfm.properties import BANDS, MAGNITUDES, PROPERTY_NAMES
from galcfm.survey import SurveyError

SMALL = {"width": 8, "depth": 1}
TOLD = {"unit": "AB", "total": True, "dereddened": True}
FEW = {"n_samples": 6, "steps": 2, "progress": False}
ROOT = Path(__file__).resolve().parents[2]


def made_model(**options) -> Posterior:
    torch.manual_seed(0)
    survey = toy_survey(80)
    model = Posterior("magnitudes", network=SMALL, **options)
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return made_model()


@pytest.fixture(scope="module")
def image_model():
    return made_model(encoder={"n_features": 4, "widths": [4], "crop": 64, "bin_factor": 8})


@pytest.fixture(scope="module")
def model_folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "small"
    model.save(folder)
    return folder


def galaxies(n: int = 40) -> pd.DataFrame:
    return toy_survey(n, seed=5, images=False).catalogue[["object_id", "ra", "dec", *MAGNITUDES]]


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "galaxies.parquet"
    galaxies().to_parquet(path, row_group_size=9)
    return path


def rows_of(folder) -> pa.Table:
    """The rows of a result, in the order of the source, to the bit."""
    files = sorted((Path(folder) / "dataset").rglob("[!._]*.parquet"))
    parts = [parquet.read_table(path, partitioning=None) for path in files]
    return pa.concat_tables(parts).combine_chunks()


def leftovers(folder) -> list[str]:
    return [p.name for p in Path(folder).rglob("*") if ".tmp" in p.name or p.name == ".lock"]


# What is made ------------------------------------------------------------------------------------


def test_a_row_holds_the_summaries_of_its_draws(model, table, tmp_path):
    made = infer_catalogue(model, table, tmp_path / "out", n_draws=3, **TOLD, **FEW)
    assert (made.rows, made.used, made.rejected, made.failed) == (40, 40, 0, {})
    found, frame = made.table(), galaxies()
    assert list(found["object_id"]) == list(frame["object_id"])
    assert np.array_equal(found["ra"], frame["ra"])
    theta = model.sample(
        frame[list(MAGNITUDES)], object_id=frame["object_id"], n_samples=6, steps=2
    )
    theta = theta.numpy().astype(float)
    for k, name in enumerate(PROPERTY_NAMES):
        assert found[f"{name}_mean"].to_numpy() == pytest.approx(theta[..., k].mean(1), abs=1e-4)
        for statistic, q in (("median", 0.5), ("p16", 0.16), ("p84", 0.84)):
            expected = np.quantile(theta[..., k], q, axis=1)
            assert found[f"{name}_{statistic}"].to_numpy() == pytest.approx(expected, abs=1e-4)
        kept = np.stack([draws[name] for draws in found["draws"]])
        assert kept == pytest.approx(theta[:, :3, k], abs=1e-4)
    covariance = np.array([np.cov(one, rowvar=False)[0, 4] for one in theta])
    assert found["cov_log_stellar_mass_a_v"].to_numpy() == pytest.approx(covariance, abs=1e-4)
    flags = model.out_of_range(frame[list(MAGNITUDES)])
    assert np.array_equal(found["photometry_outside"], flags["photometry_outside"])


def test_columns_say_what_they_are_to_astropy_and_topcat(model, table, tmp_path):
    from astropy import units as u
    from astropy.table import Table

    made = infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW)
    (path,) = (made.folder / "dataset").glob("[!_]*.parquet")
    found = Table.read(path)
    assert found["a_v_mean"].unit == u.mag
    assert found["log_sfr_p16"].unit is None
    assert "(dex, log10 in Msun/yr)" in found["log_sfr_p16"].description
    assert found["cov_a_v_a_v"].unit == u.mag**2
    assert all(found[name].description for name in found.colnames)
    assert "Kroupa" in found["log_stellar_mass_median"].description
    metadata = parquet.read_schema(path).metadata
    assert b'ucd="pos.eq.ra;meta.main"' in metadata[b"IVOA.VOTable-Parquet.content"]
    described = json.loads((made.folder / "inference.json").read_text(encoding="utf-8"))
    assert described["state"] == "finished"


@pytest.mark.parametrize(
    ("jumps", "words"), [(0, b"6 draws by 2 Runge-Kutta steps"), (3, b"6 draws by 3 jumps")]
)
def test_a_result_says_how_its_draws_were_made(jumps, words, table, tmp_path):
    made = infer_catalogue(made_model(jumps=jumps), table, tmp_path / "out", **TOLD, **FEW)
    (path,) = (made.folder / "dataset").glob("[!_]*.parquet")
    content = parquet.read_schema(path).metadata[b"IVOA.VOTable-Parquet.content"]
    # Its lines are broken, after hyphens too.
    assert words.replace(b" ", b"") in b"".join(content.split())


def test_what_cannot_be_used_is_listed_as_from_table_lists_it(model, tmp_path):
    frame = galaxies(12)
    frame.loc[3, "mag_u"] = -9999.0
    frame.loc[5, "object_id"] = None
    frame.loc[11, "dec"] = 91.0
    frame.to_parquet(tmp_path / "a.parquet")
    made = infer_catalogue(
        model, tmp_path / "a.parquet", tmp_path / "out", rows_a_partition=5, **TOLD, **FEW
    )
    expected = Survey.from_table(tmp_path / "a.parquet", **TOLD).rejected
    rejected = made.rejected_rows()
    assert (made.rows, made.used, made.rejected) == (12, 9, 3)
    assert list(rejected["row"]) == list(expected["row"]) == [3, 5, 11]
    assert list(rejected["reason"]) == list(expected["reason"])
    assert set(rejected["file"]) == {str(tmp_path / "a.parquet")}


def test_fluxes_and_extinction_are_taken_as_from_table_takes_them(model, tmp_path):
    frame = galaxies(8)
    flux = 10 ** (-0.4 * (frame[list(MAGNITUDES)].to_numpy() - 22.5))
    other = pd.DataFrame({"ID": frame["object_id"], "E": 0.03, "FLUX": list(flux)})
    other.to_parquet(tmp_path / "a.parquet")
    columns = {"object_id": "ID", "ebv": "E"}
    columns |= {f"mag_{band}": f"FLUX[{k}]" for k, band in enumerate(BANDS)}
    told = {"unit": "nanomaggy", "total": True, "dereddened": False, "columns": columns}
    made = infer_catalogue(model, tmp_path / "a.parquet", tmp_path / "out", **told, **FEW)
    survey = Survey.from_table(tmp_path / "a.parquet", **told)
    theta = model.sample(survey.magnitudes, object_id=survey.object_id, n_samples=6, steps=2)
    assert made.table()["a_v_mean"].to_numpy() == pytest.approx(theta[..., 4].mean(1), abs=1e-4)


# However it is cut -------------------------------------------------------------------------------


@pytest.mark.parametrize("rows_a_partition", [1, 7, 10])
def test_rows_do_not_depend_on_the_partitions(model, table, tmp_path, rows_a_partition):
    whole = infer_catalogue(model, table, tmp_path / "whole", n_draws=2, **TOLD, **FEW)
    options = {"rows_a_partition": rows_a_partition, "n_draws": 2}
    cut = infer_catalogue(model, table, tmp_path / "cut", **options, **TOLD, **FEW)
    assert len(list((cut.folder / "records").iterdir())) == -(-40 // rows_a_partition)
    assert rows_of(cut.folder).equals(rows_of(whole.folder))


def test_resumed_with_another_cut_each_row_stands_once(model, table, tmp_path):
    whole = infer_catalogue(model, table, tmp_path / "whole", **TOLD, **FEW)
    for size in (7, 40, 5, 15):
        made = infer_catalogue(model, table, tmp_path / "out", rows_a_partition=size, **TOLD, **FEW)
        assert (made.rows, made.used) == (40, 40)
        assert rows_of(made.folder).equals(rows_of(whole.folder))


def test_names_that_are_long_alike_or_hidden_lose_nothing(model, tmp_path):
    places = [tmp_path / part / "渦巻銀河の測光カタログ第三版" for part in ("north", "south")]
    for place, rows in zip(places, (galaxies()[:3], galaxies()[3:7]), strict=True):
        place.mkdir(parents=True)
        rows.to_parquet(place / "星団の銀河.parquet")
    galaxies()[7:9].to_parquet(tmp_path / "south" / "_few.parquet")
    pattern = str(tmp_path / "*" / "**" / "*.parquet")
    made = infer_catalogue(model, pattern, tmp_path / "out", **TOLD, **FEW)
    assert made.used == 9
    assert set(made.table()["object_id"]) == set(galaxies()[:9]["object_id"])
    import pyarrow.dataset

    assert pyarrow.dataset.dataset(tmp_path / "out" / "dataset").count_rows() == 9


def test_a_folder_that_dask_wrote_is_read(model, tmp_path):
    for k in range(2):
        (tmp_path / "in" / "all.parquet").mkdir(parents=True, exist_ok=True)
        galaxies()[k::2].to_parquet(tmp_path / "in" / "all.parquet" / f"part.{k}.parquet")
    assert infer_catalogue(model, tmp_path / "in", tmp_path / "out", **TOLD, **FEW).used == 40


def test_rows_do_not_depend_on_blocks_formats_or_company(model, table, tmp_path, monkeypatch):
    from astropy.table import Table

    whole = infer_catalogue(model, table, tmp_path / "whole", **TOLD, **FEW)
    frame, folder = galaxies(), tmp_path / "parts"
    (folder / "more").mkdir(parents=True)
    frame[:13].to_parquet(folder / "a.parquet")
    Table.from_pandas(frame[13:25]).write(folder / "b.fits")
    frame[25:33].to_csv(folder / "c.csv", index=False)
    Table.from_pandas(frame[33:]).write(folder / "more" / "d.fits.gz")
    (folder / "README.txt").write_text("no table", encoding="utf-8")
    monkeypatch.setattr(partitions, "ROWS_AT_ONCE", 5)
    cut = infer_catalogue(model, folder, tmp_path / "cut", rows_a_partition=6, **TOLD, **FEW)
    assert rows_of(cut.folder).equals(rows_of(whole.folder))
    pattern = infer_catalogue(model, str(folder / "[ab].*"), tmp_path / "ab", **TOLD, **FEW)
    assert rows_of(pattern.folder).equals(rows_of(whole.folder)[:25])


def test_no_more_than_a_block_is_in_memory(model, table, tmp_path, monkeypatch):
    """Whatever the number of rows, and of those that a file groups."""
    parquet.write_table(pa.concat_tables([parquet.read_table(table)] * 3), tmp_path / "b.parquet")
    sizes = []
    summarise = partitions.summarise

    def spied(model, values, *arguments, **options):
        sizes.append(len(values["object_id"]))
        return summarise(model, values, *arguments, **options)

    monkeypatch.setattr(partitions, "ROWS_AT_ONCE", 8)
    monkeypatch.setattr(partitions, "summarise", spied)
    infer_catalogue(model, tmp_path / "b.parquet", tmp_path / "out", **TOLD, **FEW)
    assert sum(sizes) == 120
    assert max(sizes) == 8


def test_one_torch_thread_a_worker_and_the_users_back(model, table, tmp_path, monkeypatch):
    threads, summarise = [], partitions.summarise

    def spied(*arguments, **options):
        threads.append(torch.get_num_threads())
        return summarise(*arguments, **options)

    monkeypatch.setattr(partitions, "summarise", spied)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        infer_catalogue(model, table, tmp_path / "out", rows_a_partition=9, **TOLD, **FEW)
        assert set(threads) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_no_more_threads_than_cores(model, table, tmp_path, monkeypatch):
    import dask
    from dask.system import CPU_COUNT

    whole, at_once, most = inference.infer_partition, [], []

    def slow(*arguments):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.05)
        at_once.pop()
        return whole(*arguments)

    monkeypatch.setattr(inference, "infer_partition", slow)
    told = FEW | TOLD | {"rows_a_partition": 2}
    infer_catalogue(model, table, tmp_path / "out", **told)
    assert max(most) <= CPU_COUNT
    most.clear()
    with dask.config.set(num_workers=1):
        infer_catalogue(model, table, tmp_path / "one", **told)
    assert max(most) == 1


# Cutouts -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictured():
    survey = toy_survey(6, seed=3)
    # In colour: grey cutouts are refused.
    tint = np.array([0, 5, 11], np.uint8)
    return Survey(survey.catalogue, np.clip(survey.images, 0, 240) + tint, survey.parameters)


def png(image) -> bytes:
    from PIL import Image

    Image.fromarray(image).save(content := BytesIO(), "PNG")
    return content.getvalue()


def cutouts_as(kind: str, survey: Survey, folder: Path):
    """The table and cutouts of a survey, and what is given as cutouts."""
    frame, place = survey.catalogue[["object_id", "ra", "dec", *MAGNITUDES]].copy(), folder / kind
    if kind in ("png", "pixels"):
        cells = [png(x) if kind == "png" else x.tolist() for x in survey.images]
        frame, place = frame.assign(cutout=cells), "cutout"
    else:
        place.mkdir()
        for name, image in zip(survey.object_id, survey.images, strict=True):
            (place / f"{name}.PNG").write_bytes(png(image))
    frame.to_parquet(folder / f"{kind}.parquet", row_group_size=4)
    return folder / f"{kind}.parquet", place


@pytest.mark.parametrize("kind", ["png", "pixels", "folder"])
def test_cutouts_are_a_column_or_a_folder(image_model, pictured, tmp_path, kind):
    path, place = cutouts_as(kind, pictured, tmp_path)
    options = {"cutouts": place, "pixel_scale": 0.396, "rows_a_partition": 4}
    made = infer_catalogue(image_model, path, tmp_path / "out", **options, **TOLD, **FEW)
    assert made.used == 6
    theta = image_model.sample(
        pictured.magnitudes, pictured.images, object_id=pictured.object_id, n_samples=6, steps=2
    )
    assert made.table()["a_v_mean"].to_numpy() == pytest.approx(theta[..., 4].mean(1), abs=1e-3)
    assert {"photometry_outside", "image_outside"} <= set(made.table().columns)


def test_a_survey_needs_no_words(image_model, pictured, tmp_path):
    pictured.save(tmp_path / "survey")
    options = FEW | {"rows_a_partition": 4}
    made = infer_catalogue(image_model, tmp_path / "survey", tmp_path / "out", **options)
    path, place = cutouts_as("folder", pictured, tmp_path)
    same = infer_catalogue(
        image_model, path, tmp_path / "same", cutouts=place, pixel_scale=0.396, **TOLD, **FEW
    )
    assert rows_of(made.folder).equals(rows_of(same.folder))


def test_cutouts_that_are_none_are_refused(image_model, pictured, tmp_path):
    path, _ = cutouts_as("folder", pictured, tmp_path)
    np.save(tmp_path / "images.npy", pictured.images)
    Survey(pictured.catalogue, None, pictured.parameters).save(tmp_path / "survey")
    for source, cutouts, message in (
        (path, tmp_path / "images.npy", "is not a folder of cutouts"),
        (path, tmp_path / "nowhere", "is not a folder of cutouts"),
        (path, "cutouts.h5", "is not a folder of cutouts"),
        (path, "pictures", "has no column 'pictures', and no folder of cutouts has this name"),
        (path, None, "this is an image model: give cutouts"),
        (tmp_path / "survey", None, "this is an image model: give cutouts"),
    ):
        options = {"cutouts": cutouts, "pixel_scale": 0.396, **TOLD, **FEW}
        with pytest.raises(CatalogueError, match=message):
            infer_catalogue(image_model, source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".fits"])
def test_a_file_without_the_column_of_cutouts_is_named(image_model, pictured, tmp_path, ending):
    folder = tmp_path / "tables"
    folder.mkdir()
    path, _ = cutouts_as("png", pictured, tmp_path)
    path.rename(folder / "a.parquet")
    frame = pictured.catalogue[["object_id", "ra", "dec", *MAGNITUDES]]
    Table.from_pandas(frame).write(folder / f"b{ending}")
    options = {"cutouts": "cutout", "pixel_scale": 0.396, **TOLD, **FEW}
    made = infer_catalogue(image_model, folder, tmp_path / "out", **options)
    (reason,) = made.failed.values()
    assert f"b{ending} has no column cutout, which the first file has" in reason
    assert made.used == len(pictured)


def test_a_survey_may_lack_positions_and_its_limits_are_no_magnitudes(model, tmp_path):
    frame = galaxies(6).drop(columns=["ra", "dec"])
    frame[[f"magerr_{band}" for band in BANDS]] = 0.02
    frame.loc[2, "magerr_u"] = np.inf
    survey = Survey.from_table(frame, missing_bands=True, **TOLD)
    survey.save(tmp_path / "survey")
    made = infer_catalogue(model, tmp_path / "survey", tmp_path / "out", **FEW)
    assert made.used == 5
    (reason,) = made.rejected_rows()["reason"]
    assert reason == "mag_u is an upper limit, which this model cannot use"
    with pytest.raises(ModelError, match="row 2: mag_"):
        model.infer(survey, n_samples=8, steps=2)
    # To one that takes gaps it is one.
    gaps = made_model(missing_bands=True)
    made = infer_catalogue(gaps, tmp_path / "survey", tmp_path / "gaps", **FEW)
    without = survey.magnitudes.copy()
    without[2, 0] = np.nan
    theta = gaps.sample(without, object_id=survey.object_id, n_samples=6, steps=2)
    assert made.table()["a_v_mean"].to_numpy() == pytest.approx(theta[..., 4].mean(1), abs=1e-4)
    encoded = gaps.encode_survey(survey).numpy()
    np.testing.assert_array_equal(encoded, gaps.encode(without).numpy())


@pytest.mark.parametrize("kind", ["survey", "folder"])
def test_other_cutouts_at_the_same_place_are_noticed(image_model, pictured, tmp_path, kind):
    darker = Survey(pictured.catalogue, pictured.images // 4, pictured.parameters)
    found, path, options = [], tmp_path / "table.parquet", {}
    for survey in (pictured, darker):
        if kind == "survey":
            survey.save(path := tmp_path / "survey")
        else:
            shutil.rmtree(tmp_path / "folder", ignore_errors=True)
            same, place = cutouts_as(kind, survey, tmp_path)
            if not path.exists():  # the table itself is not touched again
                same.rename(path)
            options = {"cutouts": place, "pixel_scale": 0.396, **TOLD}
        made = infer_catalogue(image_model, path, tmp_path / "out", **options, **FEW)
        found.append(made.table()["a_v_mean"].to_numpy())
        theta = image_model.sample(
            survey.magnitudes, survey.images, object_id=survey.object_id, n_samples=6, steps=2
        )
        assert found[-1] == pytest.approx(theta[..., 4].mean(1), abs=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_a_column_of_other_numbers_is_no_picture(image_model, pictured, tmp_path):
    from astropy.table import Table

    frame = pictured.catalogue[["object_id", *MAGNITUDES]]
    fluxes = Table.from_pandas(frame)
    fluxes["cutout"] = pictured.images.astype(np.int16) * 3
    fluxes.write(tmp_path / "a.fits")
    cells = [x.tolist() for x in pictured.images]
    cells[1][0][0][0], cells[2] = 256, [[1, 2], [3]]
    frame.assign(cutout=pd.Series(cells, dtype=object)).drop(index=2).to_parquet(
        tmp_path / "b.parquet"
    )
    options = {"cutouts": "cutout", "pixel_scale": 0.396, **TOLD, **FEW}
    for name, rejected in (("a.fits", 6), ("b.parquet", 1)):
        made = infer_catalogue(image_model, tmp_path / name, tmp_path / f"of-{name}", **options)
        assert made.rejected == rejected
        assert made.rejected_rows()["reason"].str.contains("is not an image").all()


def test_an_identifier_that_no_file_can_have_is_rejected(image_model, pictured, tmp_path):
    path, place = cutouts_as("folder", pictured, tmp_path)
    frame = pd.read_parquet(path)
    frame.loc[0, "object_id"] = "銀河" * 60
    frame.to_parquet(path)
    options = {"cutouts": place, "pixel_scale": 0.396, **TOLD, **FEW}
    made = infer_catalogue(image_model, path, tmp_path / "out", **options)
    assert (made.used, made.rejected, made.failed) == (5, 1, {})


def test_cutouts_that_are_wrong_are_rejected_row_by_row(image_model, pictured, tmp_path):
    path, place = cutouts_as("folder", pictured, tmp_path)
    names = pictured.object_id
    (place / f"{names[1]}.PNG").unlink()
    (place / f"{names[2]}.PNG").write_bytes(b"no picture")
    options = {"cutouts": place, "pixel_scale": 0.396}
    made = infer_catalogue(image_model, path, tmp_path / "out", **options, **TOLD, **FEW)
    assert list(made.rejected_rows()["object_id"]) == [names[1], names[2]]
    assert "not a readable JPEG or PNG" in made.rejected_rows()["reason"][1]
    options = {"cutouts": place, "pixel_scale": 0.396}
    with pytest.raises(CatalogueError, match="not a catalogue on disk"):
        infer_catalogue(image_model, pd.read_parquet(path), tmp_path / "no", **options, **TOLD)
    for file in place.iterdir():
        file.unlink()
    made = infer_catalogue(image_model, path, tmp_path / "other", **options, **TOLD, **FEW)
    assert (made.used, made.rejected) == (0, 6)
    # What has no rows has columns.
    assert "a_v_mean" in made.table()


# HATS --------------------------------------------------------------------------------------------


@pytest.fixture
def hats(tmp_path):
    lsdb = pytest.importorskip("lsdb")
    frame = galaxies().assign(ra=np.linspace(10, 40, 40), dec=np.linspace(-20, 20, 40))
    options = {"lowest_order": 1, "highest_order": 4, "partition_rows": 12}
    catalogue = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec", **options)
    catalogue.write_catalog(tmp_path / "hats", catalog_name="toy", progress_bar=False)
    frame.to_parquet(tmp_path / "same.parquet")
    return tmp_path / "hats"


def test_a_hats_catalogue_is_a_source(model, hats, tmp_path):
    made = infer_catalogue(model, hats, tmp_path / "out", n_draws=2, **TOLD, **FEW)
    plain = infer_catalogue(
        model, tmp_path / "same.parquet", tmp_path / "plain", n_draws=2, **TOLD, **FEW
    )
    assert len(list((made.folder / "records").iterdir())) > 2
    by_name = [rows_of(x.folder).sort_by("object_id") for x in (made, plain)]
    assert by_name[0].equals(by_name[1])
    # Pixels with more rows than a worker should lose are cut.
    options = {"n_draws": 2, "rows_a_partition": 4} | TOLD | FEW
    for _ in range(2):
        cut = infer_catalogue(model, hats, tmp_path / "cut", **options)
        assert rows_of(cut.folder).sort_by("object_id").equals(by_name[1])


def test_a_damaged_hats_catalogue_is_named(model, hats, tmp_path):
    for path in hats.glob("*properties"):
        path.write_text("hats_nrows=many", encoding="utf-8")
    with pytest.raises(SurveyError, match=r"hats cannot be read as a HATS catalogue"):
        infer_catalogue(model, hats, tmp_path / "out", **TOLD, **FEW)


def test_a_result_is_a_source_of_lsdb(model, table, tmp_path):
    lsdb = pytest.importorskip("lsdb")
    made = infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW)
    found = lsdb.from_dataframe(made.table(), ra_column="ra", dec_column="dec")
    assert len(found.compute(progress_bar=False)) == 40


def test_what_lsdb_has_open_is_inferred_with_all_that_was_done_to_it(model, hats, tmp_path):
    import lsdb

    near = lsdb.open_catalog(hats).cone_search(10, -20, 8 * 3600)
    made = infer_catalogue(model, near, tmp_path / "out", **TOLD, **FEW)
    names = near.compute(progress_bar=False)["object_id"]
    assert 0 < len(names) < 40
    assert sorted(made.table()["object_id"]) == sorted(names)


# Whatever ends it --------------------------------------------------------------------------------


def test_a_partition_that_cannot_be_read_is_named_and_ends_no_other(model, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for k, name in enumerate("abc"):
        galaxies()[13 * k : 13 * (k + 1)].to_parquet(folder / f"{name}.parquet")
    whole = (folder / "b.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(whole[: len(whole) // 2])
    made = infer_catalogue(model, folder, tmp_path / "out", **TOLD, **FEW)
    assert made.used == 26
    (reason,) = made.failed.values()
    assert f"{folder / 'b.parquet'} cannot be read" in reason
    assert (
        json.loads((made.folder / "inference.json").read_text(encoding="utf-8"))["state"]
        == "unfinished"
    )
    (folder / "b.parquet").write_bytes(whole)
    before = {p: p.stat().st_mtime_ns for p in (made.folder / "dataset").glob("[ac]*")}
    made = infer_catalogue(model, folder, tmp_path / "out", **TOLD, **FEW)
    assert (made.used, made.failed) == (39, {})
    assert before == {p: p.stat().st_mtime_ns for p in before}
    # A file that has changed since is inferred anew, one that is gone is no part of the result.
    others = galaxies()[26:39].assign(object_id=lambda frame: frame["object_id"] + "-b")
    others.to_parquet(folder / "c.parquet")
    (folder / "a.parquet").unlink()
    made = infer_catalogue(model, folder, tmp_path / "out", **TOLD, **FEW)
    names = [*galaxies()["object_id"][13:26], *others["object_id"]]
    assert list(made.table()["object_id"]) == names


@pytest.mark.parametrize("ended", [0, 1, 2])
def test_a_full_disk_ends_it_in_a_sentence_and_loses_nothing(
    model, table, tmp_path, monkeypatch, ended
):
    options = {"rows_a_partition": 10} | TOLD | FEW
    whole = infer_catalogue(model, table, tmp_path / "whole", **options)
    write, calls = parquet.ParquetWriter.write_table, []

    def full(self, *arguments, **options):
        # Tables in memory are written with options, tables of the result without them.
        if not options:
            calls.append(1)
            if len(calls) > ended:
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(parquet.ParquetWriter, "write_table", full)
        with pytest.raises(OSError, match=r"No space left on device.*running again continues"):
            infer_catalogue(model, table, tmp_path / "out", **options)
    assert leftovers(tmp_path / "out") == []
    assert len(list((tmp_path / "out" / "dataset").rglob("*.parquet"))) <= ended
    made = infer_catalogue(model, table, tmp_path / "out", **options)
    assert rows_of(made.folder).equals(rows_of(whole.folder))


def test_ctrl_c_ends_it_between_two_galaxies(model, table, tmp_path, monkeypatch):
    done, summarise = [], partitions.summarise

    def counted(model, values, images, each, **options):
        def also(n):
            done.append(n)
            if len(done) == 5:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)
            each(n)

        return summarise(model, values, images, also, **options)

    with monkeypatch.context() as patched:
        patched.setattr(partitions, "summarise", counted)
        with pytest.raises(KeyboardInterrupt):
            infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW)
    assert sum(done) < 20
    assert leftovers(tmp_path / "out") == []
    assert infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW).used == 40


def test_the_bar_ends_at_all_rows(model, tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    frame = galaxies(12)
    frame.loc[3, "mag_u"] = -9999.0
    for k in range(3):
        frame[4 * k : 4 * k + 4].to_parquet(tmp_path / "parts" / f"{k}.parquet")
    bars, bar = [], inference.tqdm
    monkeypatch.setattr(inference, "tqdm", lambda *a, **k: bars.append(bar(*a, **k)) or bars[-1])
    options = TOLD | FEW | {"progress": True}
    infer_catalogue(model, tmp_path / "parts", tmp_path / "out", **options)
    assert (bars[0].initial, bars[0].n, bars[0].total) == (0, 12, 12)
    galaxies(12)[:4].to_parquet(tmp_path / "parts" / "0.parquet")
    infer_catalogue(model, tmp_path / "parts", tmp_path / "out", **options)
    assert (bars[1].initial, bars[1].n, bars[1].total) == (8, 12, 12)


def test_a_file_with_fewer_columns_is_named(model, tmp_path):
    (tmp_path / "parts").mkdir()
    galaxies(4).to_parquet(tmp_path / "parts" / "a.parquet")
    galaxies(4).drop(columns="ra").to_parquet(tmp_path / "parts" / "b.parquet")
    made = infer_catalogue(model, tmp_path / "parts", tmp_path / "out", **TOLD, **FEW)
    (reason,) = made.failed.values()
    assert "b.parquet has no column ra, which the first file has" in reason
    assert made.used == 4


def run_command(*arguments, limit=None, **options) -> subprocess.Popen:
    def limited():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "galcfm.catalogue.command", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        preexec_fn=limited,
        **options,
    )


def infer_words(table, model_folder, out, *more) -> list:
    told = ["--unit", "AB", "--total", "--dereddened", "--quiet"]
    drawn = ["--samples", 200, "--steps", 20, "--rows", 3]
    return ["infer", table, "--model", model_folder, "--out", out, *told, *drawn, *more]


def wait_for(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def n_records(out: Path) -> int:
    folder = out / "records"
    return len(list(folder.glob("[!.]*.json"))) if folder.exists() else 0


@pytest.fixture(scope="module")
def slow(model, tmp_path_factory):
    """A table whose partitions of three rows take a moment, and the undisturbed result."""
    folder = tmp_path_factory.mktemp("slow")
    galaxies(60).to_parquet(folder / "galaxies.parquet")
    drawn = {"n_samples": 200, "steps": 20, "rows_a_partition": 3, "progress": False}
    infer_catalogue(model, folder / "galaxies.parquet", folder / "whole", **drawn, **TOLD)
    return folder / "galaxies.parquet", rows_of(folder / "whole"), drawn


def test_a_killed_process_goes_on_where_it_was(slow, model_folder, tmp_path):
    table, expected, _ = slow
    out = tmp_path / "out"
    process = run_command(*infer_words(table, model_folder, out))
    wait_for(lambda: n_records(out) >= 2 or process.poll() is not None)
    process.kill()
    process.communicate()
    done = n_records(out)
    assert 2 <= done < 20
    process = run_command(*infer_words(table, model_folder, out))
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "60 of 60 galaxies inferred" in printed
    assert rows_of(out).equals(expected)
    assert leftovers(out) == []


def test_a_file_that_cannot_grow_is_told_of(slow, model_folder, tmp_path):
    """As a disk that is full: here no file may be larger than 15 kB, and schemas alone are."""
    process = run_command(*infer_words(slow[0], model_folder, tmp_path / "out"), limit=15_000)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot be written (File too large)" in told.splitlines()[-1]
    assert leftovers(tmp_path / "out") == []


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**options) as made,
        # Not the default one, which other tests would use.
        distributed.Client(made, set_as_default=False) as client,
    ):
        yield made, client


def test_killed_workers_lose_and_double_nothing(model, slow, cluster, tmp_path):
    """Three times, and whatever the workers had sent or not."""
    table, expected, drawn = slow
    killed, out = {}, tmp_path / "out"

    def fresh():
        return next((w.pid for w in cluster[0].workers.values() if w.pid not in {None, *killed}), 0)

    def kill():
        for number in (2, 5, 8):
            wait_for(lambda number=number: n_records(out) >= number and fresh())
            os.kill(pid := fresh(), signal.SIGKILL)
            killed[pid] = n_records(out)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    with cluster[1].as_current():
        made = infer_catalogue(model, table, out, **drawn, **TOLD)
    thread.join()
    assert len(killed) == 3
    assert max(killed.values()) < 20
    assert made.failed == {}
    assert rows_of(out).equals(expected)


def test_the_model_travels_once_to_each_worker(model, table, cluster, tmp_path, monkeypatch):
    from distributed.protocol import dumps

    sent = []
    submit = cluster[1].submit

    def spied(function, *arguments, **options):
        sent.append(sum(len(frame) for frame in dumps((function, arguments))))
        return submit(function, *arguments, **options)

    monkeypatch.setattr(cluster[1], "submit", spied)
    options = {"rows_a_partition": 20} | TOLD | FEW
    with cluster[1].as_current():
        made = infer_catalogue(model, table, tmp_path / "out", **options)
    alone = infer_catalogue(model, table, tmp_path / "alone", **TOLD, **FEW)
    assert rows_of(made.folder).equals(rows_of(alone.folder))
    assert len(sent) == 3
    assert max(sorted(sent)[:2]) < 2000 < max(sent)


def test_a_lost_scheduler_ends_it_in_a_sentence(model, slow, tmp_path):
    distributed = pytest.importorskip("distributed")
    table, expected, drawn = slow
    address, out = tmp_path / "scheduler.json", tmp_path / "out"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def start(kind, *words):
        module = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        where = ["--scheduler-file", str(address), *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*module, *where], env=environment, **quiet)

    scheduler = start("scheduler", "--port", "0")
    worker = start("worker", "--nthreads", "1", "--no-nanny", "--death-timeout", "5")
    try:
        wait_for(address.exists)

        def kill():
            wait_for(lambda: n_records(out) >= 2)
            scheduler.kill()

        # For so long it waits for the scheduler to come back, too.
        options = {"scheduler_file": str(address), "timeout": 10, "set_as_default": False}
        with distributed.Client(**options) as client, client.as_current():
            thread = threading.Thread(target=kill, daemon=True)
            thread.start()
            with pytest.raises(CatalogueError, match=r"scheduler was lost.*run again to resume"):
                infer_catalogue(model, table, out, **drawn, **TOLD)
            thread.join()
        assert 2 <= n_records(out) < 20
    finally:
        scheduler.kill()
        worker.kill()
        scheduler.wait(), worker.wait()
    made = infer_catalogue(model, table, out, **drawn, **TOLD)
    assert rows_of(made.folder).equals(expected)


def test_a_record_that_dies_with_its_worker_is_waited_for(model, slow, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    table, expected, drawn = slow
    status, looked = distributed.Future.status.fget, set()

    def lost_at_first(future):
        found = status(future)
        if found == "finished" and future.key not in looked:
            looked.add(future.key)
            return "lost"
        return found

    monkeypatch.setattr(distributed.Future, "status", property(lost_at_first))
    options = {"processes": False, "n_workers": 1, "dashboard_address": None}
    with distributed.Client(**options, set_as_default=False) as client, client.as_current():
        made = infer_catalogue(model, table, tmp_path / "out", **drawn, **TOLD)
    assert len(looked) == 20
    assert rows_of(made.folder).equals(expected)


def test_a_scheduler_lost_while_a_result_travels_ends_it_in_a_sentence(
    model, slow, tmp_path, monkeypatch
):
    distributed = pytest.importorskip("distributed")
    table, _, drawn = slow

    def lost(*_, **__):
        raise distributed.comm.CommClosedError("Stream is closed")

    monkeypatch.setattr(distributed.Future, "result", lost)
    options = {"processes": False, "n_workers": 1, "dashboard_address": None}
    with (
        distributed.Client(**options, set_as_default=False) as client,
        client.as_current(),
        pytest.raises(CatalogueError, match=r"scheduler was lost.*run again to resume"),
    ):
        infer_catalogue(model, table, tmp_path / "out", **drawn, **TOLD)


# What users tried -------------------------------------------------------------------------------


def test_two_threads_with_one_source_each_make_their_own_result(slow, model, tmp_path):
    table, expected, drawn = slow
    places = [tmp_path / name for name in "ab"]
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(infer_catalogue, model, table, p, **drawn, **TOLD) for p in places]
        assert [run.result().used for run in runs] == [60, 60]
    for place in places:
        assert rows_of(place).equals(expected)


def test_two_threads_into_one_folder_are_refused(slow, model, tmp_path):
    table, expected, drawn = slow
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(infer_catalogue, model, table, tmp_path / "out", **drawn, **TOLD)
        wait_for(lambda: n_records(tmp_path / "out") >= 1)
        with pytest.raises(CatalogueError, match="another process or thread is making"):
            infer_catalogue(model, table, tmp_path / "out", **drawn, **TOLD)
        assert run.result().used == 60
    assert rows_of(tmp_path / "out").equals(expected)


def test_a_pattern_takes_the_folders_that_it_matches(model, tmp_path):
    galaxies()[:3].to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").mkdir()
    galaxies()[3:9].to_parquet(tmp_path / "b.parquet" / "part.0.parquet")
    made = infer_catalogue(model, tmp_path / "*.parquet", tmp_path / "out", **TOLD, **FEW)
    assert made.rows == made.used == 9


@pytest.mark.parametrize("source", ["", "**/*.parquet"])
def test_a_result_inside_its_source_is_no_part_of_it(model, tmp_path, source):
    galaxies(5).to_parquet(tmp_path / "a.parquet")
    for _ in range(2):
        made = infer_catalogue(model, tmp_path / source, tmp_path / "out", **TOLD, **FEW)
        assert (made.rows, made.used, made.failed) == (5, 5, {})


def test_tables_of_astropy_with_text_are_read(model, tmp_path):
    from astropy.table import Table

    frame = galaxies(6)
    Table.from_pandas(frame.assign(note="text")).write(tmp_path / "yaml.parquet")
    found = Table.from_pandas(frame.assign(note="text"))
    about = {name: {"unit": "", "ucd": "", "utype": ""} for name in found.colnames}
    found.write(tmp_path / "vo.parquet", format="parquet.votable", metadata=about)
    for name in ("yaml", "vo"):
        out = tmp_path / name
        made = infer_catalogue(model, tmp_path / f"{name}.parquet", out, **TOLD, **FEW)
        assert list(made.table()["object_id"]) == list(frame["object_id"])


def test_a_dask_dataframe_is_a_source(model, table, cluster, tmp_path):
    dataframe = pytest.importorskip("dask.dataframe")
    frame = dataframe.from_pandas(galaxies(), npartitions=3)
    whole = infer_catalogue(model, table, tmp_path / "whole", **TOLD, **FEW)
    made = infer_catalogue(model, frame, tmp_path / "threads", **TOLD, **FEW)
    assert rows_of(made.folder).equals(rows_of(whole.folder))
    with cluster[1].as_current():
        made = infer_catalogue(model, frame, tmp_path / "workers", **TOLD, **FEW)
    assert rows_of(made.folder).equals(rows_of(whole.folder))


def test_the_home_folder_and_an_empty_path(model, table, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    made = infer_catalogue(model, "~/galaxies.parquet", "~/out", **TOLD, **FEW)
    assert made.folder == tmp_path / "out"
    with pytest.raises(CatalogueError, match=r"the source '' cannot be used \(it is empty\)"):
        infer_catalogue(model, "", tmp_path / "other", **TOLD, **FEW)


def test_without_stderr_all_is_inferred(model, table, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    told = TOLD | FEW | {"progress": True}
    assert infer_catalogue(model, table, tmp_path / "out", **told).used == 40


def test_nothing_rejected_has_the_columns_of_something_rejected(model, table, tmp_path):
    made = infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW)
    assert list(made.rejected_rows().columns) == ["file", "row", "object_id", "reason"]
    assert made.rejected_rows()["row"].dtype == np.int64


def test_an_asynchronous_client_is_refused(model, table, tmp_path):
    distributed = pytest.importorskip("distributed")

    async def called():
        options = {"processes": False, "n_workers": 1, "dashboard_address": None}
        async with distributed.Client(asynchronous=True, **options):
            infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW)

    with pytest.raises(CatalogueError, match="client is asynchronous"):
        asyncio.run(called())


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": None}, "unit is None: choose from AB"),
        ({"unit": "nanomaggy"}, "the numbers look like AB"),
        ({"total": False}, "trained on total fluxes"),
        ({"dereddened": False}, "map a column to ebv"),
        ({"columns": {"mag_u": "U"}}, "has no column 'U'"),
        ({"cutouts": "here"}, "this is a photometry model"),
        ({"n_samples": 1}, "n_samples is 1: give a whole number, at least 2"),
        ({"n_draws": 9}, "n_draws is 9, more than the 6 samples"),
        ({"rows_a_partition": 0}, "rows_a_partition is 0"),
    ],
)
def test_what_is_declared_wrongly_is_refused_before_any_work(
    model, table, tmp_path, options, message
):
    with pytest.raises(ValueError, match=message):
        infer_catalogue(model, table, tmp_path / "out", **(TOLD | FEW | options))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.parquet", "is missing or not a file"),
        ("nowhere/*.fits", "contains no table"),
        ("notes.txt", r"contains no table.*\.txt is not an ending of a table"),
        ("empty", "contains no table"),
        ("none.parquet", "has no rows"),
        ("broken.parquet", "no partition of .* can be read"),
        (".", "no partition of .* can be read"),
    ],
)
def test_sources_that_are_none_are_refused(model, tmp_path, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes", encoding="utf-8")
    (tmp_path / "broken.parquet").write_text("PAR1", encoding="utf-8")
    galaxies()[:0].to_parquet(tmp_path / "none.parquet")
    with pytest.raises(CatalogueError, match=message):
        infer_catalogue(model, tmp_path / source, tmp_path / "out", **TOLD, **FEW)


@pytest.mark.parametrize("rows_a_partition", [4, 40])
def test_the_unit_is_checked_by_the_first_rows_however_it_is_cut(
    model, tmp_path, monkeypatch, rows_a_partition
):
    monkeypatch.setattr(plan, "ROWS_CHECKED", 10)
    frame, options = galaxies(), TOLD | FEW | {"rows_a_partition": rows_a_partition}
    frame.loc[10:, list(MAGNITUDES)] = 35.0
    frame.to_parquet(tmp_path / "late.parquet")
    assert infer_catalogue(model, tmp_path / "late.parquet", tmp_path / "out", **options).used == 40
    frame[::-1].to_parquet(tmp_path / "early.parquet")
    with pytest.raises(SurveyError, match="the numbers look like Jy"):
        infer_catalogue(model, tmp_path / "early.parquet", tmp_path / "other", **options)


def test_a_model_gets_what_it_was_trained_with_or_says_so(table, tmp_path):
    with_redshift = made_model(use_redshift=True)
    with pytest.raises(SurveyError, match="has no redshift, with which this model was trained"):
        infer_catalogue(with_redshift, table, tmp_path / "out", **TOLD, **FEW)
    frame = galaxies().assign(redshift=0.1)
    frame.loc[4, "redshift"] = np.nan
    frame.to_parquet(tmp_path / "z.parquet")
    made = infer_catalogue(with_redshift, tmp_path / "z.parquet", tmp_path / "out", **TOLD, **FEW)
    assert list(made.rejected_rows()["reason"]) == ["redshift has no value"]
    assert made.table()["redshift"].eq(0.1).all()
    # A model that does not use it refuses no row for its lack.
    made = infer_catalogue(
        made_model(), tmp_path / "z.parquet", tmp_path / "without", **TOLD, **FEW
    )
    assert made.rejected == 0


def test_what_lies_in_the_destination_is_safe(model, table, tmp_path):
    out = tmp_path / "out"
    infer_catalogue(model, table, out, **TOLD, **FEW)
    with pytest.raises(CatalogueError, match="was made with another n_samples: name another"):
        infer_catalogue(model, table, out, **TOLD, **(FEW | {"n_samples": 7}))
    (out / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"out contains thesis\.txt"):
        infer_catalogue(model, table, out, **TOLD, **FEW)
    stranger = tmp_path / "stranger"
    (stranger / "dataset").mkdir(parents=True)
    (stranger / "dataset" / "mine.parquet").write_text("years of work", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"has no inference\.json"):
        infer_catalogue(model, table, stranger, **TOLD, **FEW)
    assert (stranger / "dataset" / "mine.parquet").read_text(encoding="utf-8") == "years of work"


def test_a_second_process_is_refused(model, table, tmp_path, monkeypatch):
    import filelock

    from galcfm import paths

    monkeypatch.setattr(paths, "LOCK_WAIT", 0.1)
    (tmp_path / "out").mkdir()
    with (
        filelock.FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(CatalogueError, match="another process or thread is making"),
    ):
        infer_catalogue(model, table, tmp_path / "out", **TOLD, **FEW)


def test_partitions_cover_each_row_once(tmp_path):
    galaxies(23).to_parquet(tmp_path / "a.parquet")
    galaxies(5).to_parquet(tmp_path / "b.parquet")
    found = find_source(tmp_path, tmp_path / "out", 10)
    assert found.rows == 28
    assert [(p.start, p.stop) for p in found.partitions] == [(0, 10), (10, 20), (20, 23), (0, 5)]
    assert len({p.name for p in found.partitions}) == 4


def test_ucds_are_of_the_vocabulary(model):
    from astropy.io.votable.ucd import parse_ucd

    from galcfm.catalogue.summaries import result_columns

    columns = result_columns(model, ("ra", "dec", "redshift")).columns.values()
    assert len(columns) == 4 + 5 * 4 + 15 + 2 * len(model.ranges) + 1
    for column in columns:
        parse_ucd(column.meta["ucd"], check_controlled_vocabulary=True)
        assert column.description


def test_costs_add_up(model, table, tmp_path):
    from studies.past_one_machine import cost_of, costs

    made = infer_catalogue(model, table, tmp_path / "out", rows_a_partition=10, **TOLD, **FEW)
    cost = cost_of(made.folder)
    assert cost["galaxies"] == 40
    size = sum(path.stat().st_size for path in made.folder.glob("*/*.parquet"))
    assert cost["bytes"] == pytest.approx(size / 40)
    found = costs(1e9, 0.036, 150)
    assert found["core hours"] == pytest.approx(1e4)
    assert found["US dollars"] == pytest.approx(400)
    assert found["result [GB]"] == pytest.approx(150)
    assert found["partitions"] == 1e4
    assert found["minutes per partition"] == pytest.approx(60)


# The command -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "infer", "simulate", "train", "show"])
def test_each_command_explains_itself(name, capsys):
    assert command.main([*([name] if name else []), "--help"]) == 0
    printed = capsys.readouterr().out
    assert "examples:\n" in printed
    assert "exit codes: 0 done" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_help_and_show_need_no_torch(tmp_path):
    toy_survey(4, images=False).save(tmp_path / "survey")
    code = (
        "import sys; from galcfm.catalogue import command; command.main(['show', sys.argv[1]]);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "survey")], check=True, cwd=ROOT)


def test_the_command_trains_infers_and_shows(tmp_path, capsys):
    survey = toy_survey(60)
    survey.save(tmp_path / "survey")
    small = ["--recipe", "rehearsal", "--models", "photometry", "--quiet"]
    out = tmp_path / "models"
    words = ["train", tmp_path / "survey", "--out", out, *small, "--set", "width=8"]
    assert command.main(list(map(str, words))) == 0
    assert (out / "photometry" / "model.json").exists()
    words = ["infer", tmp_path / "survey", "--model", out / "photometry", "--out"]
    words += [tmp_path / "out", "--samples", 8, "--steps", 2, "--quiet"]
    assert command.main(list(map(str, words))) == 0
    assert "60 of 60 galaxies inferred" in capsys.readouterr().out
    for shown, expected in (
        ("survey", '"n_galaxies": 60'),
        ("models/photometry", '"features": "r_and_colours"'),
        ("out", '"used": 60'),
    ):
        assert command.main(["show", str(tmp_path / shown)]) == 0
        assert expected in capsys.readouterr().out
    assert command.main(["show", str(tmp_path / "out"), "--object", survey.object_id[7]]) == 0
    assert "a_v_median" in capsys.readouterr().out
    assert command.main(["show", str(tmp_path / "out"), "--object", "nobody"]) == 1


def test_the_command_names_what_it_could_not_read(model_folder, tmp_path, capsys):
    folder = tmp_path / "parts"
    folder.mkdir()
    galaxies(4).to_parquet(folder / "a.parquet")
    (folder / "b.parquet").write_text("PAR1", encoding="utf-8")
    words = [str(w) for w in infer_words(folder, model_folder, tmp_path / "out")]
    assert command.main(words) == 3
    assert f"not read: {folder / 'b.parquet'}" in capsys.readouterr().err
    assert command.main(["show", str(tmp_path / "out")]) == 0
    assert "b.parquet" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{}", "[]", '"tcp://here"'])
def test_a_scheduler_file_without_address_is_named(tmp_path, capsys, content):
    path = tmp_path / "scheduler.json"
    path.write_text(content, encoding="utf-8")
    words = ["infer", "x", "--model", "m", "--out", "o", "--scheduler", str(path)]
    assert command.main(words) == 1
    assert f"{path} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["infer", "nowhere.fits", "--model", "m", "--out", "o"], "there is no folder m here"),
        (
            ["infer", "x", "--model", "m", "--out", "o", "--scheduler", "missing.json"],
            "missing.json is missing: start `dask scheduler",
        ),
        (["train", "nowhere", "--out", "o"], "the folder is not a survey"),
        (["train", "x", "--out", "o", "--recipe", "best"], "no recipe called 'best'"),
        (["train", "x", "--out", "o", "--set", "width=wide"], "give a value such as 256"),
        (
            ["train", "x", "--out", "o", "--set", "wide=2"],
            "--set wide is unknown: give one of features",
        ),
        (["simulate", "--out", "o", "--galaxies", "0"], "n_galaxies is 0"),
        (["show", "nowhere"], "there is no folder nowhere here"),
    ],
)
def test_errors_are_one_sentence(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(words) == 1
    printed = capsys.readouterr().err
    assert told in printed
    assert printed.startswith("galcfm: ")
    assert len(printed.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--column", "u"], "'u' does not have the form NAME=COLUMN"),
        (["--workers", "1", "--scheduler", "s"], "give one of them"),
        (["--workers", "0"], "'--workers': 0 is not in the range"),
        (["--samples", "many"], "'many' is not a valid integer"),
        (["--what"], "No such option"),
    ],
)
def test_a_wrong_call_ends_with_2(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["infer", "x", "--model", "m", "--out", "o", *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_options_have_the_defaults_of_the_call():
    call = inspect.signature(infer_catalogue).parameters
    given = {o.name: o.default for o in command.infer.params if isinstance(o.default, int)}
    assert {"n_samples", "steps", "seed", "n_draws", "rows_a_partition", "progress"} == set(given)
    assert given == {name: call[name].default for name in given}


def test_ctrl_c_is_told_and_goes_on(model_folder, table, tmp_path, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    words = [str(w) for w in infer_words(table, model_folder, tmp_path / "out")]
    with monkeypatch.context() as patched:
        patched.setattr(inference, "complete_result", interrupted)
        assert command.main(words) == 130
    assert "interrupted: repeat the call to resume" in capsys.readouterr().err
    assert command.main(words) == 0
