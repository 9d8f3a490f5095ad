"""Whatever galcfm writes as a table, and what others write, each door reads in the same way."""

import ast
import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from astropy.table import Table
from conftest import toy_survey, write_votable
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

pytest.importorskip("dask")

import galcfm
from galcfm import Posterior, Survey
from galcfm.catalogue import CatalogueError, command, infer_catalogue
from galcfm.catalogue.partitions import _check
from galcfm.catalogue.plan import make_plan
from galcfm.catalogue.sources import find_source, read_partition
from galcfm.posterior import ModelError
from galcfm.posterior.draws import Draws
from galcfm.posterior.summaries import save_summaries, summarise
from galcfm.properties import BANDS, MAGNITUDES
from galcfm.survey import SurveyError

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
FEW = {"n_samples": 6, "steps": 2, "progress": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    survey = toy_survey(80)
    model = Posterior("magnitudes", network={"width": 8, "depth": 1})
    model.fit_standardisation(survey.split("train"))
    model.fit_range(survey.split("train"), survey.split("validation"))
    model.eval().save(tmp_path_factory.mktemp("models") / "small")
    return Posterior.load(tmp_path_factory.getbasetemp() / "models0" / "small")


# What is written ----------------------------------------------------------------------------------

IDS = ["a", "007", " padded", "padded too ", "NGC 1", "Ωé 日本", "a,b", 'a"b', "#5", "\u00a0x"]
IDS += ["", "-9999", "1.2e+18", "x" * 70, "/etc/passwd"]
ODD = [17.0, 17.5, 17.25, np.nan, -9999.0, 99.0, 0.0, np.inf]


@st.composite
def frames(draw):
    """Tables as users have them, `object_id` and five magnitudes among other things."""
    n = draw(st.integers(0, 5))
    kind = draw(st.sampled_from(["text", "text", "whole numbers", "range index", "index"]))
    texts = st.lists(st.sampled_from(IDS), min_size=n, max_size=n, unique_by=str.strip)
    names = draw(texts) if kind in ("text", "index") else [2**60 + k for k in range(n)]
    frame = pd.DataFrame({"object_id": pd.Series(names, dtype=None if n else "str")})
    for band in BANDS:
        frame[f"mag_{band}"] = np.full(n, 17.0)
    if n and draw(st.booleans()):
        band, row = draw(st.sampled_from(BANDS)), draw(st.integers(0, n - 1))
        frame.loc[row, f"mag_{band}"] = draw(st.sampled_from(ODD))
    for name in draw(st.sets(st.sampled_from(["ra", "dec", "redshift", "ebv", "extra", "note"]))):
        gaps = draw(st.sampled_from([np.zeros(n, bool), np.ones(n, bool), np.arange(n) % 2 == 0]))
        code = draw(st.sampled_from([np.nan, -9999.0]))
        frame[name] = "text" if name == "note" else np.where(gaps, code, 0.05)
    if kind == "range index":
        frame = frame.drop(columns="object_id").rename_axis("object_id")
    return frame.set_index("object_id") if kind == "index" else frame


def as_survey(frame):
    return Survey.from_table(frame, **DECLARED)


def drawn(survey):
    draws = np.random.default_rng(0).normal(size=(len(survey), 8, 5))
    return Draws.of(draws, survey.object_id, {}, {"survey": "mine"})


def summaries(ending):
    def write(frame, folder, model):
        survey = as_survey(frame)
        save_summaries(summarise(drawn(survey), survey), folder / f"a{ending}")
        return folder / f"a{ending}"

    return write


def saved_survey(name):
    def write(frame, folder, model):
        as_survey(frame).save(folder / "survey")
        return folder / "survey" / name

    return write


def result(kind):
    def write(frame, folder, model):
        frame.to_parquet(folder / "source.parquet")
        made = infer_catalogue(model, folder / "source.parquet", folder / "of", **DECLARED, **FEW)
        return next((made.folder / kind).glob("*.parquet"))

    return write


def data_set(frame, folder, model):
    survey = as_survey(frame.assign(ra=10.0, dec=10.0))
    survey.to_datasets(folder / "toys")
    return next((folder / "toys" / "data").glob("*.parquet"))


def training_history(frame, folder, model):
    pd.DataFrame([{"epoch": 1, "loss": 0.5}]).to_csv(folder / "history.csv", index=False)
    return folder / "history.csv"


def sdss_piece(frame, folder, model):
    frame.reset_index().to_parquet(folder / "plates.parquet", index=False)
    return folder / "plates.parquet"


def astropys(name, **options):
    def write(frame, folder, model):
        path = folder / name
        Table.from_pandas(frame.reset_index()).write(path, **options)
        return path

    return write


def votable(frame, folder, model):
    write_votable(Table.from_pandas(frame.reset_index()), folder / "a.vot")
    return folder / "a.vot"


def pandas_parquet(frame, folder, model):
    frame.to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def with_duplicates(frame, folder, model):
    """Two columns of one name, which are not used, and one that no program can convert."""
    table = pa.Table.from_pandas(frame)
    years = pa.array([2**30] * len(table), pa.date32())
    names = [*table.column_names, "twice", "twice", "years"]
    table = pa.table([*table.columns, years, years, years], names=names)
    if not isinstance(frame.index, pd.RangeIndex) or frame.index.name is None:
        table = table.replace_schema_metadata({})
    else:
        table = table.replace_schema_metadata(pa.Table.from_pandas(frame).schema.metadata)
    parquet.write_table(table, folder / "twice.parquet")
    return folder / "twice.parquet"


def csv(frame, folder, model):
    text = frame.reset_index().to_csv(index=False, errors="backslashreplace")
    path = folder / "a.csv"
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


# By the function of galcfm that writes, as the last test below finds them.
OURS = {
    "summaries.save_summaries": [
        summaries(ending) for ending in (".fits", ".parquet", ".ecsv", ".vot")
    ],
    "disk._finish": [saved_survey("catalogue.parquet"), saved_survey("rejected.parquet")],
    "partitions._infer": [result("dataset"), result("rejected")],
    "datasets._write": [data_set],
    "posterior_training.train": [training_history],
    "catalogue.fetch_catalogue": [sdss_piece],
    # An empty result, with the columns of a full one.
    "results.complete_result": [],
    # Part of `save_summaries`.
    "summaries._write_parquet": [],
    # In memory, on the way.
    "summaries.result_schema": [],
    "tables._of_arrow": [],
}
OTHERS = [
    pandas_parquet,
    with_duplicates,
    csv,
    astropys("a.ecsv", format="ascii.ecsv"),
    votable,
    astropys("a.fits", format="fits"),
    astropys("a.h5", path="t", serialize_meta=True),
    astropys("b.parquet", format="parquet"),
]
WRITERS = [*(writer for writers in OURS.values() for writer in writers), *OTHERS]


# What is read -------------------------------------------------------------------------------------


def by_from_table(path, columns, model, folder):
    """Means of the draws by galaxy and reasons by row, or why there are none."""
    try:
        survey = Survey.from_table(path, columns, **DECLARED)
    except SurveyError as error:
        none_left = r".* (\d+) of \1 rows cannot be used, .* row 0 .*?'\): (.*); correct the rows"
        found = re.fullmatch(none_left, str(error))
        return ({}, {0: found[2]}) if found else str(error)
    reasons = dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True))
    return means(model, survey.magnitudes, survey.object_id), reasons


def means(model, magnitudes, object_id):
    draws = model.sample(magnitudes, object_id=object_id, n_samples=6, steps=2)
    return dict(zip(object_id, draws[..., 1].numpy().mean(1), strict=True))


def by_reader_of_catalogues(path, columns, model, folder):
    """What `infer_catalogue` reads and judges, without its threads and files."""
    settings = {"n_samples": 6, "steps": 2, "seed": 0, "n_draws": 0}
    try:
        source = find_source(path, folder / "out", 1000)
        plan = make_plan(model, source, folder / "out", columns, DECLARED, None, None, settings)
        (partition,) = source.partitions
        table, _ = read_partition(partition, plan.columns_read, None)
        values, reasons = _check(plan, table)
    except (CatalogueError, SurveyError) as error:
        return re.sub(r"^no partition of .*? can be read: ", "", str(error))
    good = [row for row, said in enumerate(reasons) if not said]
    magnitudes = np.stack([values[name] for name in MAGNITUDES], 1)[good]
    found = means(model, magnitudes, values["object_id"][good]) if good else {}
    return found, {row: "; ".join(said) for row, said in enumerate(reasons) if said}


def by_infer_catalogue(path, columns, model, folder):
    try:
        made = infer_catalogue(model, path, folder / "out", columns=columns, **DECLARED, **FEW)
    except (CatalogueError, SurveyError) as error:
        return re.sub(r"^no partition of .*? can be read: ", "", str(error))
    return next(iter(made.failed.values()), None) or of_result(made.folder)


def by_command(path, columns, model, folder):
    model.save(folder / "model")
    words = ["infer", path, "--model", folder / "model", "--out", folder / "out", "--unit", "AB"]
    words += ["--total", "--dereddened", "--samples", "6", "--steps", "2", "--quiet"]
    words += [word for pair in columns.items() for word in ("--column", "=".join(pair))]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = command.main([str(word) for word in words])
    if code == 1:
        error = said.getvalue().strip().removeprefix("galcfm: ")
        return re.sub(r"^no partition of .*? can be read: ", "", error)
    return of_result(folder / "out")


def of_result(folder):
    rows, bad = pd.read_parquet(folder / "dataset"), pd.read_parquet(folder / "rejected")
    means = dict(zip(rows["object_id"], rows["log_sfr_mean"], strict=True))
    return means, dict(zip(bad["row"], bad["reason"], strict=True)) if len(bad) else {}


READERS = {
    "Survey.from_table": by_from_table,
    "infer_catalogue": by_infer_catalogue,
    "galcfm infer": by_command,
}


def agree(path, model, folder, readers):
    """Check that all readers give the same galaxies, values and reasons, or the same sentence."""
    # Results hold no magnitudes: other columns take their place.
    columns = dict.fromkeys(MAGNITUDES, "a_v_p84") if "of" in path.parts else {}
    first, *others = [read(path, columns, model, folder / name) for name, read in readers.items()]
    for other in others:
        if isinstance(first, str) or isinstance(other, str):
            assert first == other or "has no rows" in first + other, (first, other)
            assert "\n" not in first
        else:
            assert first[0].keys() == other[0].keys()
            np.testing.assert_allclose(list(first[0].values()), list(other[0].values()), atol=1e-4)
            # If no row can be used, from_table names the first one alone.
            assert first[1].items() <= other[1].items()
            assert bool(first[1]) == bool(other[1])
    return first


def written(write, frame, folder, model):
    """Path of what was written, `None` where there is nothing that could be."""
    try:
        return write(frame, folder, model)
    except (SurveyError, CatalogueError, ModelError) as error:
        said = str(error)
    # Formats of others hold less than tables may, and refuse it in their own words.
    except (UnicodeError, TypeError, ValueError) as error:
        said = "theirs" if write in OTHERS else str(error)
    assert re.search("has no rows|rows cannot be used|(?i:ascii)|theirs", said), (write, said)
    return None


@settings(max_examples=200)
@given(frame=frames(), write=st.sampled_from(WRITERS))
def test_each_door_reads_what_is_written(model, tmp_path_factory, frame, write):
    folder = tmp_path_factory.mktemp("written")
    path = written(write, frame, folder, model)
    if path is not None:
        agree(path, model, folder, {"table": by_from_table, "catalogue": by_reader_of_catalogues})


PLAIN = pd.DataFrame({"object_id": ["a", "b"]} | dict.fromkeys(MAGNITUDES, 17.0))


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_whole_is_read_by_all(model, tmp_path, write):
    frame = PLAIN.assign(redshift=np.nan, mag_z=[17.0, np.nan])
    found = agree(written(write, frame, tmp_path, model), model, tmp_path, READERS)
    if isinstance(found, str):
        sentences = "has no object_id|has no mag_u|has no column|is used for mag_u and"
        assert re.search(sentences, found), found
    else:
        assert list(found[0]) == ["a"]


def test_a_range_index_goes_on_across_partitions(model, tmp_path):
    """Pandas keeps such an index as three numbers."""
    frame = pd.DataFrame(dict.fromkeys(MAGNITUDES, np.full(5, 17.0)))
    frame.index = pd.RangeIndex(10, 20, 2, name="object_id")
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=3)
    options = {"rows_a_partition": 2, **DECLARED, **FEW}
    made = infer_catalogue(model, tmp_path / "a.parquet", tmp_path / "out", **options)
    assert made.table()["object_id"].tolist() == ["10", "12", "14", "16", "18"]
    assert as_survey(tmp_path / "a.parquet").object_id.tolist() == ["10", "12", "14", "16", "18"]
    # An Arrow table that was cut does not say which part is left.
    with pytest.raises(SurveyError, match="has no object_id"):
        as_survey(pa.Table.from_pandas(frame)[2:])


def test_every_writer_of_tables_is_in_the_registry():
    """Add every function that writes a table to `OURS`."""
    kinds = {"to_parquet", "to_csv", "to_hdf", "to_feather", "write_table", "ParquetWriter"}
    found = set()
    for path in Path(galcfm.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            names = {getattr(call.func, "attr", "") for call in calls}
            formats = [c for c in calls if "format" in {keyword.arg for keyword in c.keywords}]
            written = "write" in {getattr(call.func, "attr", "") for call in formats}
            if names & kinds or written:
                found.add(f"{path.stem}.{function.name}")
    assert found == set(OURS)
