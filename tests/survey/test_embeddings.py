"""Embeddings of another model: from any source, matched by identifier, with reasons per row."""

import re

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from galcfm.properties import MAGNITUDES, DeclarationError, Embedding
from galcfm.survey import Survey, SurveyError
from galcfm.survey import embeddings as reading
from galcfm.survey.embeddings import Embeddings

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
MODEL = "AION-1 base"


def frame(n: int, **columns) -> pd.DataFrame:
    ids = {"object_id": [f"g{k}" for k in range(n)]}
    return pd.DataFrame(ids | dict.fromkeys(MAGNITUDES, 17.0) | columns)


def vectors(n: int, length: int = 3) -> np.ndarray:
    return np.arange(n * length, dtype=np.float32).reshape(n, length) / 8


def take(table, source, model=MODEL, **options) -> Survey:
    return Survey.from_table(
        table, **DECLARED, embeddings={"image": Embeddings(source, model, **options)}
    )


def reasons(survey: Survey) -> dict[int, str]:
    return dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True))


def refused(message: str, table, source, error=SurveyError, **options) -> None:
    with pytest.raises(error, match=message) as caught:
        take(table, source, **options)
    assert "\n" not in str(caught.value)


# Sources ------------------------------------------------------------------------------------------


def columns_of_tables(folder, x):
    """Yield tables, as files and in memory, with a column of vectors."""
    lists = pa.table(frame(len(x))).append_column("emb", pa.array([*x], pa.list_(pa.float32())))
    sized = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
    fixed = pa.table(frame(len(x))).append_column("emb", sized)
    for name, table in (("list", lists), ("fixed", fixed)):
        parquet.write_table(table, folder / f"{name}.parquet", row_group_size=2)
        yield folder / f"{name}.parquet"
    yield lists
    yield fixed
    yield frame(len(x), emb=[*x])
    yield frame(len(x), emb=x.tolist())
    table = Table.from_pandas(frame(len(x)))
    table["emb"] = x
    table.write(folder / "vectors.fits")
    table.write(folder / "table.h5", path="t", serialize_meta=True)
    yield table
    yield folder / "vectors.fits"
    yield folder / "table.h5"
    with h5py.File(folder / "columns.h5", "w") as file:
        file["emb"] = x
        for name in frame(1):
            file[name] = frame(len(x))[name].tolist()
    yield folder / "columns.h5"


def test_a_column_of_vectors_of_any_table(tmp_path):
    x = vectors(5)
    for table in columns_of_tables(tmp_path, x):
        survey = take(table, "emb")
        np.testing.assert_array_equal(survey.embeddings["image"], x, err_msg=str(table))
        assert survey.embeddings["image"].dtype == np.float32
        assert survey.declaration.embeddings == (Embedding("image", MODEL, 3),)
        assert len(survey.rejected) == 0


def files(folder, x, ids):
    """Yield sources with identifiers, as paths and open or in memory."""
    sized = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), x.shape[1])
    content = pa.table({"object_id": ids, "emb": sized, "healpix": np.zeros(len(ids))})
    parquet.write_table(content, folder / "a.parquet", row_group_size=3)
    yield folder / "a.parquet", {"column": "emb"}
    with h5py.File(folder / "a.h5", "w") as file:
        file["object_id"], file["emb"] = ids, x
    yield str(folder / "a.h5"), {"column": "emb"}
    np.save(folder / "a.npy", x.astype(np.float64))
    yield folder / "a.npy", {"object_id": ids}
    yield x, {"object_id": np.array(ids)}
    yield x.tolist(), {"object_id": pd.Series(ids, index=range(5, 5 + len(ids)))}
    yield np.ma.MaskedArray(x), {"object_id": ids}
    yield {"object_id": ids, "image": x, "other": x}, {}
    yield pd.DataFrame({"object_id": ids, "emb": [*x]}), {"column": "emb"}
    yield Table({"object_id": ids, "image": x, "other": x}), {}
    with h5py.File(folder / "a.h5", "r") as file:
        yield file, {"column": "emb"}
        yield file["emb"], {"object_id": file["object_id"]}


def test_vectors_are_matched_by_object_id_and_extra_ones_are_left_out(tmp_path):
    x, order = vectors(9), np.random.default_rng(0).permutation(9)
    for source, options in files(tmp_path, x[order], [f"g{k}" for k in order]):
        survey = take(frame(6), source, **options)
        np.testing.assert_array_equal(survey.embeddings["image"], x[:6], err_msg=str(source))


def test_zarr_is_read_where_it_is_installed(tmp_path):
    zarr = pytest.importorskip("zarr")
    x, ids = vectors(7), [f"g{k}" for k in range(7)][::-1]
    zarr.save_array(tmp_path / "one.zarr", x)
    np.testing.assert_array_equal(take(frame(7), tmp_path / "one.zarr").embeddings["image"], x)
    group = zarr.open_group(tmp_path / "two.zarr", mode="w")
    group.create_array("image", data=x[::-1], chunks=(2, 3))
    group.create_array("object_id", data=np.array(ids, np.dtypes.StringDType()))
    for source in (tmp_path / "two.zarr", zarr.open(tmp_path / "two.zarr", mode="r")):
        np.testing.assert_array_equal(take(frame(4), source).embeddings["image"], x[:4])


def test_zarr_that_is_not_installed_is_said(tmp_path, monkeypatch):
    (tmp_path / "a.zarr").mkdir()
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    refused(r"a\.zarr needs zarr: pip install zarr", frame(2), tmp_path / "a.zarr")


def test_numbers_as_identifiers_keep_their_digits(tmp_path):
    big = [2**60 + k for k in range(3)]
    table = frame(3).assign(object_id=big)
    parquet.write_table(
        pa.table({"object_id": big[::-1], "image": [[3.0], [2], [1]]}), tmp_path / "a.pq"
    )
    assert take(table, tmp_path / "a.pq").embeddings["image"].ravel().tolist() == [1, 2, 3]
    refused(
        "are floats, which lose digits", table, {"object_id": np.float64(big), "image": vectors(3)}
    )


# Rows ---------------------------------------------------------------------------------------------


def test_rows_without_a_usable_vector_get_a_reason():
    cells = [[1.0, 2.0], [3.0], None, [4.0, np.nan], ["a", "b"], [5.0, 6.0], [1e300, 0.0], []]
    survey = take(
        frame(9, emb=[*cells, [[1.0, 2.0]]]).assign(mag_u=[17.0] * 5 + [-9999.0] + [17] * 3), "emb"
    )
    assert survey.object_id.tolist() == ["g0"]
    assert survey.embeddings["image"].tolist() == [[1, 2]]
    assert reasons(survey) == {
        1: "embedding image: it has 1 numbers, not 2",
        2: "embedding image: it has 0 numbers, not 2",
        3: "embedding image: it has numbers that are not finite",
        4: "embedding image: it has 0 numbers, not 2",
        5: "mag_u is -9999, a code for a missing value",
        6: "embedding image: it has numbers that are not finite",
        7: "embedding image: it has 0 numbers, not 2",
        8: "embedding image: it has 0 numbers, not 2",
    }


def test_masked_numbers_and_missing_identifiers_are_reasons():
    x = np.ma.MaskedArray(vectors(4), mask=False)
    x[1, 2] = np.ma.masked
    table = Table.from_pandas(frame(4))
    table["emb"] = MaskedColumn(x)
    assert reasons(take(table, "emb")) == {1: "embedding image: it has numbers that are not finite"}
    found = take(frame(4), vectors(2), object_id=["g3", "g0"])
    assert found.embeddings["image"].tolist() == vectors(2)[::-1].tolist()
    assert reasons(found)[1] == "embedding image: there is none for g1"


def test_a_row_is_left_out_of_images_and_all_embeddings_alike():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (4, 128, 128, 3), dtype=np.uint8)
    x, y = vectors(4), vectors(4, 2)
    y[2] = np.nan
    given = {"image": Embeddings(x, MODEL), "spectrum": Embeddings(y, "another")}
    options = {"cutouts": images, "pixel_scale": 0.396}
    survey = Survey.from_table(frame(4), **DECLARED, **options, embeddings=given)
    kept = [0, 1, 3]
    np.testing.assert_array_equal(survey.images, images[kept])
    np.testing.assert_array_equal(survey.embeddings["image"], x[kept])
    np.testing.assert_array_equal(survey.embeddings["spectrum"], y[kept])
    assert survey.declaration.embedding("spectrum") == Embedding("spectrum", "another", 2)


@st.composite
def sources(draw):
    """Length, number of rows, identifiers of the vectors in their order, and faults by row."""
    n, length = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    known = draw(st.sets(st.integers(0, n + 2)))
    order = draw(st.permutations(sorted(known)))
    faults = draw(st.dictionaries(st.integers(0, n - 1), st.sampled_from(["nan", "long"])))
    return n, length, order, faults


@settings(max_examples=150)
@given(drawn=sources(), block=st.integers(1, 4), kind=st.sampled_from(["parquet", "list", "hdf5"]))
def test_each_row_gets_its_vector_or_a_reason(tmp_path_factory, drawn, block, kind):
    n, length, order, faults = drawn
    folder = tmp_path_factory.getbasetemp()
    x = vectors(n + 3, length)
    cells = [x[k] for k in order]
    for at, k in enumerate(order):
        if k in faults:
            bad = (
                np.append(x[k], np.nan)
                if faults[k] == "long"
                else np.where(x[k] == x[k][0], np.nan, x[k])
            )
            cells[at] = np.float32(bad)
    ids = [f"g{k}" for k in order]
    source, options = cells, {"object_id": ids}
    if kind == "parquet":
        source, options = folder / "drawn.parquet", {}
        content = pa.table(
            {
                "object_id": pa.array(ids, pa.string()),
                "image": pa.array(cells, pa.list_(pa.float32())),
            }
        )
        parquet.write_table(content, source, row_group_size=2)
    if kind == "hdf5":
        source, options = folder / "drawn.h5", {}
        with h5py.File(source, "w") as file:
            file["object_id"] = np.array(ids, "S4")
            ragged = file.create_dataset("image", len(ids), h5py.vlen_dtype(np.float32))
            for at, cell in enumerate(cells):
                ragged[at] = cell
    good = [k for k in range(n) if k in order and k not in faults]
    # The length is the most frequent one.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK", 100 if "long" in faults.values() else block)
        if len(good) <= sum(f == "long" for k, f in faults.items() if k in order):
            return
        survey = take(frame(n), source, **options)
    assert survey.object_id.tolist() == [f"g{k}" for k in good]
    np.testing.assert_array_equal(survey.embeddings["image"], x[good])
    assert set(reasons(survey)) == set(range(n)) - set(good)


# Written and read ---------------------------------------------------------------------------------


def test_embeddings_are_written_with_the_survey_and_read(tmp_path):
    survey = take(frame(5), vectors(5))
    survey.save(tmp_path / "survey")
    found = Survey.load(tmp_path / "survey")
    np.testing.assert_array_equal(found.embeddings["image"], vectors(5))
    assert found.declaration == survey.declaration
    np.testing.assert_array_equal(found.select([3, 1]).embeddings["image"], vectors(5)[[3, 1]])


# Refusals -----------------------------------------------------------------------------------------


def test_what_cannot_be_matched_is_refused(tmp_path):
    table = frame(3)
    refused("has 4 vectors for 3 rows or identifiers: give one each", table, vectors(4))
    refused("has 4 vectors for 2 rows", table, vectors(4), object_id=["g0", "g1"])
    refused(
        "embedding image: object_id g0 occurs 2 times: keep one",
        table,
        vectors(3),
        object_id=["g0", "g1", "g0"],
    )
    assert len(take(table, vectors(5), object_id=["g0", "g1", "g2", "x", "y"])) == 3
    refused("3 of 3 rows cannot be used.*there is none for g0", table, vectors(1), object_id=["y"])
    refused(
        "has no column 'image': name the one of the vectors.* it has a, b",
        table,
        {"a": [1], "b": [2]},
    )
    refused("has no column 'b'", table, {"object_id": [1], "a": [2]}, column="b")
    refused("'emb' cannot|emb is neither a column of table nor a file", table, "emb")
    (tmp_path / "a.txt").write_text("1 2", encoding="utf-8")
    refused(r"a\.txt: this ending is unknown; use .npy", table, tmp_path / "a.txt")
    for ending in ("npy", "h5", "parquet"):
        (tmp_path / f"a.{ending}").write_bytes(b"no file of this kind")
        refused(rf"a\.{ending} cannot be read as embeddings", table, tmp_path / f"a.{ending}")
    np.save(tmp_path / "b.npy", vectors(3))
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-8])
    refused(r"b\.npy cannot be read as embeddings.*complete", table, tmp_path / "b.npy")


def test_embeddings_name_their_model():
    table = frame(2)
    refused("does not name the model", table, vectors(2), DeclarationError, model=" ")
    refused("does not name the model", table, vectors(2), DeclarationError, model=None)
    for wrong in ({"image": vectors(2)}, {"image": "emb"}, "emb"):
        with pytest.raises(SurveyError, match=re.escape("Embeddings('name of a column', model=")):
            Survey.from_table(table, **DECLARED, embeddings=wrong)
    with pytest.raises(DeclarationError, match="an embedding is called 'a b'"):
        Survey.from_table(table, **DECLARED, embeddings={"a b": Embeddings(vectors(2), MODEL)})


@pytest.mark.parametrize("content", [5, np.float32(1), vectors(3)[0], vectors(6).reshape(3, 3, 2)])
def test_arrays_of_another_shape_are_refused(content):
    refused("it has 0 numbers|cannot be read as embeddings", frame(3), content)


def test_a_large_file_is_read_in_blocks(tmp_path, monkeypatch):
    """Only blocks with wanted rows are read, each once."""
    monkeypatch.setattr(reading, "BLOCK", 10)
    x = vectors(100)

    class Counted:
        shape, read = x.shape, []

        def __len__(self):
            return len(x)

        def __getitem__(self, rows):
            self.read.append((rows.start, rows.stop))
            return x[rows]

    counted = Counted()
    ids = [f"g{k}" if k in (3, 4, 57) else f"other{k}" for k in range(100)]
    table = frame(100).iloc[[57, 4, 3]]
    survey = take(table, counted, object_id=ids)
    np.testing.assert_array_equal(survey.embeddings["image"], x[[57, 4, 3]])
    assert counted.read == [(0, 10), (50, 60)]
