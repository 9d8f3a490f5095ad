"""Catalogues for models with embeddings: columns, files and surveys, in any partitions."""

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given as drawing
from hypothesis import settings
from hypothesis import strategies as st
from pyarrow import parquet

pytest.importorskip("dask")

from galcfm import Posterior, Survey
from galcfm.catalogue import CatalogueError, command, infer_catalogue
from galcfm.catalogue.embeddings import read_some
from galcfm.catalogue.partitions import _check
from galcfm.catalogue.plan import make_plan
from galcfm.catalogue.sources import find_source, read_partition
from galcfm.properties import MAGNITUDES, PROPERTIES, Declaration, Embedding
from galcfm.survey import SurveyError
from galcfm.survey.embeddings import Embeddings

TOLD = {"unit": "AB", "total": True, "dereddened": True}
FEW = {"n_samples": 6, "steps": 2, "progress": False, "rows_a_partition": 7}
DECLARED = Declaration(embeddings=[Embedding("image", "AION-1", 3), Embedding("spec", "DINO", 2)])
N = 20


@pytest.fixture(scope="module")
def survey() -> Survey:
    rng = np.random.default_rng(1)
    columns = {"object_id": [f"g{k}" for k in range(N)], "ra": 1.0, "dec": 1.0, "redshift": 0.1}
    columns |= {"ebv": 0.0, "split": "train"}
    columns |= {name: rng.normal(17, 1, N) for name in MAGNITUDES}
    columns |= {p.name: rng.uniform(*p.plausible, N) for p in PROPERTIES}
    vectors = {e.name: rng.normal(size=(N, e.length)).astype("f4") for e in DECLARED.embeddings}
    parameters = {"declaration": DECLARED.content}
    return Survey(pd.DataFrame(columns), None, parameters, "toy", embeddings=vectors)


@pytest.fixture(scope="module")
def model(survey) -> Posterior:
    torch.manual_seed(0)
    model = Posterior("magnitudes", network={"width": 8, "depth": 1}, declaration=DECLARED)
    model.fit_standardisation(survey)
    return model.eval()


@pytest.fixture(scope="module")
def expected(model, survey) -> dict[str, float]:
    draws = model.sample(
        survey.magnitudes,
        embeddings=survey.embeddings,
        object_id=survey.object_id,
        n_samples=6,
        steps=2,
    )
    return dict(zip(survey.object_id, draws[..., 1].numpy().mean(1), strict=True))


@pytest.fixture
def table(survey, tmp_path):
    """A table with both embeddings as columns, in row groups of five."""
    content = pa.Table.from_pandas(survey.catalogue[["object_id", *MAGNITUDES]])
    for name, x in survey.embeddings.items():
        content = content.append_column(f"of_{name}", pa.array([*x], pa.list_(pa.float32())))
    parquet.write_table(content, tmp_path / "galaxies.parquet", row_group_size=5)
    return tmp_path / "galaxies.parquet"


COLUMNS = {"image": Embeddings("of_image", "AION-1"), "spec": Embeddings("of_spec", "DINO")}


def means(made) -> dict[str, float]:
    rows = made.table()
    return dict(zip(rows["object_id"], rows["log_sfr_mean"], strict=True))


def reasons(made) -> dict[str, str]:
    rows = made.rejected_rows()
    return dict(zip(rows["object_id"], rows["reason"], strict=True))


def infer(model, source, tmp_path, embeddings, **options):
    declared = {} if embeddings is None else TOLD
    options = FEW | {"embeddings": embeddings} | options
    return infer_catalogue(model, source, tmp_path / "out", **declared, **options)


def test_columns_are_read_with_their_partition(model, table, expected, tmp_path):
    made = infer(model, table, tmp_path, COLUMNS)
    assert means(made) == pytest.approx(expected, abs=1e-5)
    assert reasons(made) == {}
    assert "embedding_outside" not in made.table()


def test_files_are_matched_by_object_id_in_any_order(model, survey, expected, tmp_path):
    order = np.random.default_rng(2).permutation(N)[: N - 2]
    ids = [f"g{k}" for k in order]
    image, spec = (survey.embeddings[name][order] for name in ("image", "spec"))
    parquet.write_table(
        pa.table({"object_id": ids, "e": pa.array([*image], pa.list_(pa.float32()))}),
        tmp_path / "image.pq",
        row_group_size=4,
    )
    with h5py.File(tmp_path / "spec.h5", "w") as file:
        file["object_id"], file["spec"] = ids, spec
    survey.catalogue.to_parquet(tmp_path / "a.parquet")
    given = {
        "image": Embeddings(tmp_path / "image.pq", "AION-1", column="e"),
        "spec": Embeddings(str(tmp_path / "spec.h5"), "DINO"),
    }
    made = infer(model, tmp_path / "a.parquet", tmp_path, given)
    found = means(made)
    assert found == pytest.approx({name: expected[name] for name in ids}, abs=1e-5)
    lost = {f"g{k}" for k in range(N)} - set(ids)
    assert reasons(made) == {name: f"embedding image: there is none for {name}" for name in lost}


def test_a_survey_has_its_own(model, survey, expected, tmp_path):
    survey.save(tmp_path / "survey")
    made = infer(model, tmp_path / "survey", tmp_path, None)
    assert means(made) == pytest.approx(expected, abs=1e-5)


def test_rows_without_a_usable_vector_are_rejected_alone(model, table, expected, tmp_path):
    content = parquet.read_table(table)
    cells = content["of_image"].to_pylist()
    cells[3], cells[9], cells[12] = None, [1.0], [1.0, np.nan, 1.0]
    at = content.column_names.index("of_image")
    content = content.set_column(at, "of_image", pa.array(cells, pa.list_(pa.float32())))
    parquet.write_table(content, table)
    made = infer(model, table, tmp_path, COLUMNS)
    assert reasons(made) == {
        "g3": "embedding image: it has 0 numbers, not 3",
        "g9": "embedding image: it has 1 numbers, not 3",
        "g12": "embedding image: it has numbers that are not finite",
    }
    assert means(made) == pytest.approx(
        {name: x for name, x in expected.items() if name not in reasons(made)}, abs=1e-5
    )
    # The same table makes the same survey.
    found = Survey.from_table(table, **TOLD, embeddings=COLUMNS)
    assert dict(found.rejected[["object_id", "reason"]].to_numpy()) == reasons(made)


def test_a_change_of_the_file_is_noticed(model, survey, expected, tmp_path):
    survey.catalogue.to_parquet(tmp_path / "a.parquet")
    paths = {}
    for name, x in survey.embeddings.items():
        paths[name] = tmp_path / f"{name}.h5"
        with h5py.File(paths[name], "w") as file:
            file["object_id"], file[name] = [*survey.object_id], x
    given = {name: Embeddings(path, COLUMNS[name].model) for name, path in paths.items()}
    infer(model, tmp_path / "a.parquet", tmp_path, given)
    with h5py.File(paths["image"], "a") as file:
        file["more"] = np.zeros(5)
        file["image"][0] += 1
    made = infer(model, tmp_path / "a.parquet", tmp_path, given)
    assert means(made)["g0"] != pytest.approx(expected["g0"], abs=1e-5)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"image": Embeddings("of_image", "AION-2")}, "image is of AION-2, and this .* of AION-1"),
        ({"image": COLUMNS["image"]}, "spec is missing, and .* trained with the one of DINO"),
        (COLUMNS | {"other": COLUMNS["image"]}, "uses no embedding other: leave it out"),
        (COLUMNS | {"image": Embeddings("of_spec", "AION-1")}, "has 2 numbers .* trained with 3"),
        (COLUMNS | {"image": Embeddings("of_imag", "AION-1")}, "neither a column of .* nor a file"),
        (COLUMNS | {"image": Embeddings(np.zeros((N, 3)), "AION-1")}, "make a survey with"),
        (COLUMNS | {"image": Embeddings("a.npy", "AION-1")}, "make a survey with"),
        ({"image": "of_image"}, "not a dict of Embeddings"),
        (None, "the embedding image is missing, and this model was trained with .* AION-1"),
    ],
)
def test_other_embeddings_are_refused_in_a_sentence(model, table, tmp_path, given, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        infer_catalogue(model, table, tmp_path / "out", embeddings=given, **TOLD, **FEW)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_survey_of_another_model_is_refused(model, survey, tmp_path):
    other = Declaration(embeddings=[Embedding("image", "Zoobot", 3), DECLARED.embeddings[1]])
    parameters = {"declaration": other.content}
    Survey(survey.catalogue, None, parameters, "s", embeddings=survey.embeddings).save(
        tmp_path / "survey"
    )
    with pytest.raises(CatalogueError, match=r"image is of Zoobot, and .* the one of AION-1"):
        infer(model, tmp_path / "survey", tmp_path, None)


def test_a_file_that_lacks_the_column_is_named(model, table, tmp_path):
    (tmp_path / "many").mkdir()
    content = parquet.read_table(table)
    parquet.write_table(content, tmp_path / "many" / "a.parquet")
    parquet.write_table(content.drop_columns(["of_spec"]), tmp_path / "many" / "b.parquet")
    made = infer(model, tmp_path / "many", tmp_path, COLUMNS)
    assert made.used == N
    assert {
        "no column of_spec, which the first file has" in said for said in made.failed.values()
    } == {True}


def test_the_command_takes_embeddings(model, table, expected, tmp_path, capsys):
    model.save(tmp_path / "model")
    words = ["infer", table, "--model", tmp_path / "model", "--out", tmp_path / "out"]
    words += ["--unit", "AB", "--total", "--dereddened", "--samples", 6, "--steps", 2, "--quiet"]
    words = [*map(str, words), "--embedding", "image=of_image", "--embedding", "spec=of_spec"]
    assert command.main(words) == 2
    assert "--embedding-model, both for image, spec" in capsys.readouterr().err
    words += ["--embedding-model", "image=AION-1", "--embedding-model"]
    assert command.main([*words, "spec=Dino"]) == 1
    assert (
        "spec is of Dino, and this model was trained with the one of DINO"
        in capsys.readouterr().err
    )
    assert command.main([*words, "spec=DINO"]) == 0
    rows = pd.read_parquet(tmp_path / "out" / "dataset")
    found = dict(zip(rows["object_id"], rows["log_sfr_mean"], strict=True))
    assert found == pytest.approx(expected, abs=1e-5)


# Every door reads the same ------------------------------------------------------------------------

CELLS = [None, [], [1.0], [1.0, np.nan, 2.0], [1.0, 2.0, 3.0, 4.0]]


@st.composite
def drawn_cells(draw):
    """Vectors by galaxy, most of them usable, and a column or file that holds them."""
    n = draw(st.integers(1, 9))
    bad = draw(st.dictionaries(st.integers(0, n - 1), st.sampled_from(CELLS), max_size=2))
    cells = [bad.get(k, [float(k), 0.5, -1.0]) for k in range(n)]
    known = draw(st.permutations(range(n)))[: draw(st.integers(1, n))]
    return cells, known, draw(st.sampled_from(["column", "file", "hdf5"])), draw(st.integers(1, 9))


@settings(max_examples=60)
@drawing(drawn=drawn_cells())
def test_tables_and_catalogues_agree(tmp_path_factory, model, drawn):
    cells, known, kind, rows = drawn
    folder, n = tmp_path_factory.mktemp("drawn"), len(cells)
    lists = pa.array(cells, pa.list_(pa.float32()))
    table = pa.table(
        {"object_id": [f"g{k}" for k in range(n)]} | {m: [17.0] * n for m in MAGNITUDES}
    )
    table = table.append_column("of_spec", pa.array([[0.0, 1.0]] * n))
    image = Embeddings("of_image", "AION-1")
    if kind == "column":
        table = table.append_column("of_image", lists)
    else:
        known_cells = [cells[k] or [] for k in known]
        image = Embeddings(folder / f"of.{'h5' if kind == 'hdf5' else 'parquet'}", "AION-1")
        if kind == "file":
            content = pa.table({"object_id": [f"g{k}" for k in known], "image": lists.take(known)})
            parquet.write_table(content, image.source, row_group_size=2)
        else:
            with h5py.File(image.source, "w") as file:
                file["object_id"] = [f"g{k}" for k in known]
                ragged = file.create_dataset("image", len(known), h5py.vlen_dtype(np.float32))
                for at, cell in enumerate(known_cells):
                    ragged[at] = cell
    parquet.write_table(table, folder / "a.parquet", row_group_size=4)
    given = {"image": image, "spec": COLUMNS["spec"]}
    usable = {k for k in range(n) if np.size(cells[k]) == 3 and np.all(np.isfinite(cells[k]))}
    usable &= set(known) if kind != "column" else usable
    source = find_source(folder / "a.parquet", folder / "out", rows)
    described = {"n_samples": 6, "steps": 2, "seed": 0, "n_draws": 0}
    declared = TOLD | {"embeddings": given}
    try:
        plan = make_plan(model, source, folder / "out", {}, declared, None, None, described)
    except CatalogueError:
        sizes = [np.size(cells[k] or []) for k in (range(n) if kind == "column" else known)]
        assert max(map(sizes.count, (1, 4))) >= sizes.count(3)
        return
    found, wrong = [], {}
    for partition in source.partitions:
        read, _ = read_partition(partition, plan.columns_read, None)
        values, said = _check(plan, read)
        ids = values["object_id"]
        vectors = read_some(plan.embeddings["image"], "image", read, ids, said, partition.start, 3)
        found += [row for row, reason in zip(vectors, said, strict=True) if not reason]
        wrong |= {name: r[0] for name, r in zip(ids, said, strict=True) if r}
    assert set(wrong) == {f"g{k}" for k in range(n)} - {f"g{k}" for k in usable}
    try:
        survey = Survey.from_table(folder / "a.parquet", **TOLD, embeddings=given)
    except SurveyError:
        assert not usable
        return
    np.testing.assert_array_equal(survey.embeddings["image"], found)
    assert dict(survey.rejected[["object_id", "reason"]].to_numpy()) == wrong


def test_a_data_set_of_the_hub_is_a_catalogue(model, survey, expected, tmp_path):
    pytest.importorskip("datasets")
    survey.to_datasets(tmp_path / "toys")
    names = {e.name: f"embedding_{e.name}" for e in DECLARED.embeddings}
    given = {name: Embeddings(column, COLUMNS[name].model) for name, column in names.items()}
    assert means(infer(model, tmp_path / "toys" / "data", tmp_path, given)) == pytest.approx(
        expected, abs=1e-5
    )
