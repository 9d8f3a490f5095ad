"""The same table by every door: one survey, the same reasons, or one sentence that helps."""

import gzip
import re

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from conftest import write_votable
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey import Survey, SurveyError
from galcfm.survey.intake import read_columns
from galcfm.survey.tables import SourceTable

pytest.importorskip("dask")

from galcfm.catalogue.sources import find_source, read_partition

DECLARED = {"unit": "AB", "total": True, "dereddened": True}
BIG = 1237648704043942146
HEADER = ",".join(["object_id", *MAGNITUDES])
ROW = "a,18.5,17.2,16,15,14"
MAGS = [18.5, 17.2, 16, 15, 14]


def take(table, unit="AB", columns=None):
    return Survey.from_table(table, columns, **DECLARED | {"unit": unit})


def refused(table, message, unit="AB"):
    with pytest.raises(SurveyError, match=message):
        take(table, unit)


def reasons(survey):
    return dict(zip(survey.rejected["row"], survey.rejected["reason"], strict=True))


# Any table, every door

TEXTS = ["007", "NGC 1", "a,b", "a;b", 'a"b', "#5", "x"]
LOST = [None, "null", "NaN", "--", "-9999", "1.23765e+18"]
CELLS = [None, None, -9999.0, -99.0, 99.0, 0.0, -1.5, np.inf]


@st.composite
def tables(draw):
    """Columns as lists, `None` where there is no value, and the unit that they are in."""
    n = draw(st.integers(1, 6))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    unit = draw(st.sampled_from(["AB", "nanomaggy", "Jy", "uJy"]))
    names = list(MAGNITUDES)
    names += draw(st.sampled_from([[], [*MAGNITUDE_ERRORS], ["redshift"], ["redshift", "ebv"]]))
    zero = {"AB": None, "nanomaggy": 22.5, "Jy": 8.9, "uJy": 23.9}[unit]
    columns = {}
    for name in names:
        values = rng.uniform(13, 24, n) if name in MAGNITUDES else rng.uniform(0.01, 0.1, n)
        if name in MAGNITUDES and zero:
            values = 10 ** (0.4 * (zero - values))
        columns[name] = values.tolist()
    is_text = draw(st.booleans())
    columns["object_id"] = (TEXTS if is_text else [BIG + k for k in range(n)])[:n]
    row = st.integers(0, n - 1)
    for name, k, value in draw(
        st.lists(st.tuples(st.sampled_from(names), row, st.sampled_from(CELLS)), max_size=4)
    ):
        columns[name][k] = value
    columns["object_id"] = list(columns["object_id"])
    bad = st.sampled_from(LOST if is_text else [None, -9999]) | row
    for k, value in draw(st.lists(st.tuples(row, bad), max_size=2)):
        is_row = isinstance(value, int) and value >= 0
        columns["object_id"][k] = columns["object_id"][value] if is_row else value
    return columns, unit


def doors(columns, unit, folder):
    """Name of each door and what goes through it; doors without units get Jy for µJy."""
    flux_names = {*MAGNITUDES, *MAGNITUDE_ERRORS}
    plain, table = {}, Table()
    for name, values in columns.items():
        gaps = [value is None for value in values]
        if name == "object_id":
            filler = "" if isinstance(next(filter(None, values), ""), str) else 0
            plain[name] = pd.Series(values, dtype=object if filler == "" else "Int64")
            filled = [filler if value is None else value for value in values]
            table[name] = MaskedColumn(filled, mask=gaps)
            continue
        array = np.array([np.nan if value is None else value for value in values])
        factor = 1e-6 if unit == "uJy" and name in flux_names else 1
        plain[name] = np.where(array == -9999, array, factor * array)
        table[name] = MaskedColumn(array, mask=gaps)
        if name in flux_names:
            declared = {"AB": u.mag, "Jy": u.Jy, "uJy": u.uJy}
            table[name].unit = declared.get(unit, u.Unit(unit, parse_strict="silent"))
    frame = pd.DataFrame(plain)
    yield "DataFrame", frame
    yield "named index", frame.set_index("object_id")
    yield "Arrow", pa.Table.from_pandas(frame)
    yield "Table", table
    yield "QTable", QTable(table)
    arrays = {name: table[name].filled(np.nan) for name in columns if name != "object_id"}
    yield "dict", {"object_id": table["object_id"]} | {n: a.quantity for n, a in arrays.items()}
    yield (
        "dict of masked arrays",
        {name: table[name].data for name in columns} if (unit != "uJy") else plain,
    )
    yield "records", Table.from_pandas(frame).as_array()
    (folder / "a.csv").write_text(frame.to_csv(index=False), encoding="utf-8")
    frame.to_parquet(folder / "a.parquet")
    for ending, form in (("fits", "fits"), ("ecsv", "ascii.ecsv")):
        table.write(folder / f"a.{ending}", format=form, overwrite=True)
    write_votable(table, folder / "a.vot")
    table.write(folder / "b.parquet", format="parquet", overwrite=True)
    table.write(folder / "a.h5", path="t", serialize_meta=True, overwrite=True)
    for ending in ("csv", "fits", "ecsv", "vot"):
        packed = gzip.compress((folder / f"a.{ending}").read_bytes(), 1)
        (folder / f"a.{ending}.gz").write_bytes(packed)
    for path in sorted(folder.iterdir()):
        yield path.name, path
    with fits.open(folder / "a.fits", memmap=False) as hdus:
        yield "HDUList", hdus
        yield "HDU", hdus[1]
        yield "FITS_rec", hdus[1].data


def outcome(table, unit, name):
    """Catalogue and rejected rows, or why there is none."""
    try:
        survey = take(table, "Jy" if unit == "uJy" else unit)
    except SurveyError as error:
        return str(error).replace(str(table) if "." in name else "table", "table")
    return survey.catalogue, survey.rejected


@settings(max_examples=100)
@given(drawn=tables())
def test_every_door_gives_the_same_survey(tmp_path_factory, drawn):
    columns, unit = drawn
    zero = {"AB": None, "nanomaggy": 22.5, "Jy": 2.5 * np.log10(3631)}
    zero["uJy"] = zero["Jy"] + 15
    wanted = None
    folder = tmp_path_factory.getbasetemp() / "doors"
    folder.mkdir(exist_ok=True)
    for name, table in doors(columns, unit, folder):
        found = outcome(table, unit, name)
        if wanted is None:
            wanted = found
            if not isinstance(found, str):
                kept = np.setdiff1d(np.arange(len(columns["mag_u"])), found[1]["row"])
                right = np.array([columns[m] for m in MAGNITUDES], dtype=float).T[kept]
                right = zero[unit] - 2.5 * np.log10(right) if zero[unit] else right
                np.testing.assert_allclose(found[0][list(MAGNITUDES)], right, rtol=1e-9)
        elif isinstance(wanted, str):
            assert found == wanted, name
        else:
            assert not isinstance(found, str), (name, found)
            pd.testing.assert_frame_equal(found[0], wanted[0], rtol=1e-9, obj=name)
            pd.testing.assert_frame_equal(found[1], wanted[1], obj=name)


# Vectors


VECTOR = [18.0, 17.5, 17.0, 16.5, 16.0]
VECTORS = st.one_of(
    st.none(), st.lists(st.sampled_from([18.0, 17.5, None]), max_size=6), *2 * [st.just(VECTOR)]
)


def arrow_file(kind):
    def write(rows, path):
        five = pa.types.is_fixed_size_list(kind)
        if five:
            rows = [None if row is None else (row + 5 * [None])[:5] for row in rows]
        table = pa.table({"object_id": ids_of(rows), "flux": pa.array(rows, kind)})
        parquet.write_table(table, path)

    return write


def astropy_file(is_ragged, **options):
    def write(rows, path):
        plain = [np.array([np.nan if x is None else x for x in row or []]) for row in rows]
        vectors = np.empty(len(rows), object)
        vectors[:] = plain
        if not is_ragged:
            vectors = np.array([np.append(row, 5 * [np.nan])[:5] for row in plain])
        table = Table({"object_id": ids_of(rows), "flux": vectors})
        if path.suffix == ".vot":
            write_votable(table, path)
        else:
            table.write(path, overwrite=True, **options)

    return write


def ragged_hdf5(rows, path):
    with h5py.File(path, "w") as file:
        file["object_id"] = ids_of(rows)
        vectors = file.create_dataset("flux", len(rows), h5py.vlen_dtype(float))
        for k, row in enumerate(rows):
            vectors[k] = [np.nan if x is None else x for x in row or []]


def ragged_fits(rows, path):
    vectors = [[np.nan if x is None else x for x in row or []] for row in rows]
    ragged = np.array([*map(np.array, vectors), None], object)[:-1]
    ids = fits.Column("object_id", "A9", array=ids_of(rows))
    hdu = fits.BinTableHDU.from_columns([ids, fits.Column("flux", "PD()", array=ragged)])
    hdu.writeto(path, overwrite=True)


def ids_of(rows):
    return [f"g{k}" for k in range(len(rows))]


# All formats that hold vectors, of any length or of five elements.
VECTOR_FILES = {
    "list.parquet": arrow_file(pa.list_(pa.float64())),
    "large.parquet": arrow_file(pa.large_list(pa.float32())),
    "fixed.parquet": arrow_file(pa.list_(pa.float64(), 5)),
    "ragged.ecsv": astropy_file(True, format="ascii.ecsv"),
    "five.ecsv": astropy_file(False, format="ascii.ecsv"),
    "ragged.vot": astropy_file(True),
    "five.vot": astropy_file(False),
    "ragged.fits": ragged_fits,
    "five.fits": astropy_file(False),
    "ragged.h5": ragged_hdf5,
    "five.h5": astropy_file(False, path="t"),
}


@settings(max_examples=220)
@given(rows=st.lists(VECTORS, min_size=1, max_size=5), name=st.sampled_from(list(VECTOR_FILES)))
def test_a_row_without_its_vector_is_refused_alone(tmp_path_factory, rows, name):
    path = tmp_path_factory.getbasetemp() / name
    VECTOR_FILES[name](rows, path)
    columns = {m: f"flux[{k}]" for k, m in enumerate(MAGNITUDES)}
    wanted = {}
    for k, row in enumerate(rows):
        padded = ([] if row is None else row) + 5 * [None]
        gaps = [m for m, x in zip(columns, padded, strict=False) if x is None]
        if gaps:
            wanted[k] = "; ".join(f"{m} (column {columns[m]!r}) has no value" for m in gaps)
    (part,) = find_source(path, path.parent / "out", 100).partitions
    for table in (SourceTable(path), read_partition(part, ["object_id", "flux"], None)[0]):
        _, found = read_columns(table, {"object_id": "object_id"} | columns, "AB")
        assert {k: "; ".join(said) for k, said in enumerate(found) if said} == wanted
    if len(wanted) < len(rows):
        survey = take(path, columns=columns)
        right = [row[:5] for k, row in enumerate(rows) if k not in wanted]
        np.testing.assert_allclose(survey.magnitudes, right)


# FITS


def extension(unit="uJy", name=None):
    """Identifiers with a gap, and fluxes as integers, in hundredths of the unit, with a gap."""
    stored = np.array([200000, 300000, -999], ">i4")
    ids = fits.Column("object_id", "K", array=np.array([BIG, 999999, 3]), null=999999)
    columns = [fits.Column(m, "J", array=stored, unit=unit, null=-999) for m in MAGNITUDES]
    hdu = fits.BinTableHDU.from_columns([ids, *columns], name=name)
    for k in range(2, 7):
        hdu.header[f"TSCAL{k}"], hdu.header[f"TZERO{k}"] = 0.01, 1.0
    return hdu


@pytest.fixture
def written(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), extension()]).writeto(tmp_path / "a.fits")
    return tmp_path / "a.fits"


def fits_doors(path):
    yield "path", path
    yield "records", fits.getdata(path)
    yield "part of the records", fits.getdata(path)[:]
    yield "extension", fits.open(path)[1]
    yield "file", fits.open(path)


def test_units_gaps_and_scales_of_fits_count_by_every_door(written):
    for name, table in fits_doors(written):
        survey = take(table, "Jy")
        assert survey.object_id.tolist() == [str(BIG)], name
        right = 23.9 - 2.5 * np.log10(2001)
        np.testing.assert_allclose(survey.magnitudes, right, atol=1e-4, err_msg=name)
        found = reasons(survey)
        assert found[1] == "no object_id (column 'object_id')", name
        assert "mag_u has no value" in found[2], name
    assert take(fits.getdata(written)[::2], "Jy").object_id.tolist() == [str(BIG)]


def test_gaps_of_unsigned_integers(tmp_path):
    ids = MaskedColumn(np.array([40000, 2, 3], np.uint16), mask=[False, True, False])
    table = Table({"object_id": ids} | {m: [18.0, 18, 18] for m in MAGNITUDES})
    table.write(tmp_path / "a.fits")
    for _, door in fits_doors(tmp_path / "a.fits"):
        assert take(door).object_id.tolist() == ["40000", "3"]
    with fits.open(tmp_path / "a.fits") as hdus:
        # As the standard has it: 7232 is stored for 40000.
        hdus[1].header["TNULL1"] = 40000 - 2**15
        hdus.writeto(tmp_path / "b.fits")
    for name, door in fits_doors(tmp_path / "b.fits"):
        assert "40000" not in take(door).object_id, name


def test_gaps_of_text_tables(tmp_path):
    ids = fits.Column("object_id", "I10", ascii=True, array=np.array([1, 222, 3]))
    mags = [fits.Column(m, "F10.3", ascii=True, array=[18.0, 18, 18]) for m in MAGNITUDES]
    fits.TableHDU.from_columns([ids, *mags]).writeto(tmp_path / "a.fits")
    content = (tmp_path / "a.fits").read_bytes().replace(b"       222", b" " * 10)
    (tmp_path / "a.fits").write_bytes(content)
    for name, door in fits_doors(tmp_path / "a.fits"):
        survey = take(door)
        assert reasons(survey) == {1: "no object_id (column 'object_id')"}, name
        np.testing.assert_allclose(survey.magnitudes, 18)


@pytest.mark.parametrize("ending", ["fits", "fits.gz", "fit.gz", "fits.fz", "fz"])
def test_the_one_table_is_read_wherever_it_lies(tmp_path, ending):
    hdus = fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2))), fits.CompImageHDU(np.zeros((9, 9)))]
    )
    hdus.append(extension())
    hdus.writeto(tmp_path / "a.fits")
    content = (tmp_path / "a.fits").read_bytes()
    path = tmp_path / f"b.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    right = 23.9 - 2.5 * np.log10(2001)
    np.testing.assert_allclose(take(path, "Jy").magnitudes, right, atol=1e-4)


def test_several_tables_are_named(tmp_path):
    two = [fits.PrimaryHDU(), extension("mag", "GALAXIES"), extension("mag")]
    fits.HDUList(two).writeto(tmp_path / "a.fits")
    sentence = (
        r"has several tables, extensions 1 \(GALAXIES\), 2 \(no name\): write the table you need "
        r"into its own file, or give Survey\.from_table astropy\.io\.fits\.open\(path\)\[1\]"
    )
    refused(tmp_path / "a.fits", r"a\.fits " + sentence)
    refused(fits.open(tmp_path / "a.fits"), "table " + sentence)
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(tmp_path / "b.fits")
    refused(tmp_path / "b.fits", r"b\.fits has no table: write the table you need")
    refused(fits.ImageHDU(), "an? ImageHDU is not a table: give the extension")
    packed = extension("mag")
    packed.header["ZTABLE"] = True
    refused(packed, "table")
    with fits.open(tmp_path / "a.fits") as hdus:
        closed = hdus[1]
    refused(closed, "cannot be read as a BinTableHDU .*keep it open")


# Units


@pytest.mark.parametrize("unit", ["mag", "mag(AB)", "mag (AB)", "AB mag", "ABmag", "Mag", "ABMAG"])
def test_ab_magnitudes_as_tables_spell_them(tmp_path, unit):
    columns = [fits.Column("object_id", "1A", array=["a"])]
    columns += [
        fits.Column(m, "D", array=[v], unit=unit) for m, v in zip(MAGNITUDES, MAGS, strict=True)
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "a.fits")
    for name, table in fits_doors(tmp_path / "a.fits"):
        np.testing.assert_allclose(take(table).magnitudes[0], MAGS, err_msg=name)
        refused(table, "not in Jy: convert it", "Jy")


@pytest.mark.parametrize(
    "unit", ["mag(Vega)", "mag(ST)", "Vega mag", "1/mag", "mag/arcsec2", "dex"]
)
def test_other_magnitudes_are_refused(tmp_path, unit):
    columns = [fits.Column("object_id", "1A", array=["a"])]
    columns += [fits.Column(m, "D", array=[18], unit=unit) for m in MAGNITUDES]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "a.fits")
    for _, table in fits_doors(tmp_path / "a.fits"):
        refused(table, f"mag_u is in '{re.escape(unit[:3])}.*, not in AB: convert it, or correct")


def test_units_in_parquet_count(tmp_path):
    gap = MaskedColumn([2.0, 3.0], mask=[False, True], unit="uJy")
    table = Table({"object_id": ["a", "b"]} | dict.fromkeys(MAGNITUDES, gap))
    table.write(tmp_path / "a.parquet")
    metadata = {name: {"unit": "uJy" if name in MAGNITUDES else ""} for name in table.colnames}
    filled = Table({name: table[name][:1] for name in table.colnames})
    filled.write(tmp_path / "b.parquet", format="parquet.votable", metadata=metadata)
    for path in tmp_path.iterdir():
        for door in (path, parquet.read_table(path)):
            survey = take(door, "Jy")
            assert survey.object_id.tolist() == ["a"]
            np.testing.assert_allclose(survey.magnitudes, 23.147, atol=1e-3)


# CSV


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n",
        f"{HEADER}\n{ROW}\n".replace(",", "  , "),
        f"{HEADER},\n{ROW},\n",
        f'"{HEADER}"\n"{ROW}"\n'.replace(",", '", "'),
        f'{HEADER},"a;b"\n{ROW},1\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv_as_pandas_reads_it(tmp_path, text, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode(encoding))
    survey = take(path)
    assert survey.object_id.tolist() == ["a"]
    np.testing.assert_allclose(survey.magnitudes[0], MAGS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER},mag_u\n{ROW},3\n", "two columns are called 'mag_u'; rename one of them"),
        (
            f"{HEADER}\n{ROW}\n".replace(",", ";"),
            "has no object_id, .*the table has object_id;mag_u",
        ),
        (f"# {HEADER}\n{ROW}\n", "has no object_id"),
        (f"#Table1\n{HEADER}\n{ROW}\n", "read it with pandas.read_csv"),
        (f"{HEADER}\n{ROW},1\n", "read it with pandas.read_csv and its options, and write it"),
        (f"{HEADER}\na,18,5,17,2,16,15,14\n", "read it with pandas.read_csv"),
        (f"{HEADER}\n{ROW}\n".upper(), "columns=.*'mag_u': 'MAG_U'"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), "read it with pandas.read_csv"),
        (f"{HEADER}\né{ROW}\n".encode("latin-1"), "read it with pandas.read_csv"),
        ("# nothing\n", "has no object_id"),
        ("", "cannot be read as csv"),
        (f'{HEADER}\na,"18,5",17,16,15,14\n', "mag_u is '18,5', not a number"),
    ],
)
def test_other_csv_is_refused_and_pandas_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(tmp_path / "a.csv", r"a\.csv.* " + message)


def test_other_dialects_come_through_pandas(tmp_path):
    text = f"# made by me\n{HEADER}\n{ROW}\n".replace(",", ";").replace(".", ",")
    (tmp_path / "a.csv").write_text(text, encoding="utf-16")
    options = {"sep": ";", "decimal": ",", "encoding": "utf-16", "comment": "#"}
    survey = take(pd.read_csv(tmp_path / "a.csv", **options))
    np.testing.assert_allclose(survey.magnitudes[0], MAGS)


# Names of columns and indices


def test_names_in_other_case_are_proposed():
    frame = pd.DataFrame({"object_id": ["a"]} | dict.fromkeys(MAGNITUDES, 18.0))
    shouted = frame.assign(ebv=0.1, mag_z=17.0).rename(columns=str.upper)
    with pytest.raises(SurveyError, match=r"has 'OBJECT_ID', 'EBV', 'MAG_U', .*spelt") as refusal:
        take(shouted)
    columns = eval(re.search(r"columns=(\{.*?\})", str(refusal.value))[1])
    survey = take(shouted, columns=columns)
    assert survey.catalogue["mag_z"].tolist() == [17.0]
    assert survey.catalogue["ebv"].tolist() == [0.1]
    refused(frame.rename(columns={"mag_u": "MAG_U"}), r"'MAG_U', .*columns=\{'mag_u': 'MAG_U'\}")


def test_what_is_optional_is_not_passed_over_for_its_case():
    frame = pd.DataFrame({"object_id": ["a"]} | dict.fromkeys(MAGNITUDES, 18.0))
    frame = frame.assign(RA=150.0, Redshift=0.1)
    refused(frame, r"has 'RA', 'Redshift', .*columns=\{'ra': 'RA', 'redshift': 'Redshift'\}")
    catalogue = take(frame, columns={"ra": None, "redshift": "Redshift"}).catalogue
    assert catalogue["redshift"][0] == 0.1
    assert np.isnan(catalogue["ra"][0])


def test_identifiers_in_the_index(tmp_path):
    frame = pd.DataFrame({m: [18.0, 19.0, 20.0] for m in MAGNITUDES})
    ids = pd.Index(list("xyz"), name="object_id")
    named = frame.set_index(ids)
    named.to_parquet(tmp_path / "a.parquet")
    both = frame.assign(object_id=list("xyz")).set_index("object_id", drop=False)
    two = frame.assign(k=1, object_id=list("xyz")).set_index(["k", "object_id"])
    arrow = pa.Table.from_pandas(named)
    for table in (named, tmp_path / "a.parquet", arrow, both, two, named.sort_values("mag_u")):
        assert take(table).object_id.tolist() == ["x", "y", "z"]
    assert take(named.rename_axis("ID"), columns={"object_id": "ID"}).object_id[2] == "z"
    unnamed = frame.set_index(ids.rename(None))
    refused(unnamed, "has no object_id: map columns, or a named index, to these names")
    # If an index and a column have the same name, the column counts.
    column = frame.assign(object_id=list("abc")).set_index(ids)
    assert take(column).object_id.tolist() == ["a", "b", "c"]
    twice = pd.concat([both, both[["object_id"]]], axis=1)
    refused(twice, "two columns are called 'object_id'")


# What is text


@pytest.mark.parametrize("as_bytes", [False, True])
def test_identifiers_that_are_none(tmp_path, as_bytes):
    codes = ["null", "NULL", "nan", "NaN", "--", "None", "-9999", "-9999.0", str(-(2**63))]
    lost = ["1.23765e18", "1,23765E+18", "1.23765E18", "1e+18", "1237648704043942144.0"]
    good = ["999999", "1e5", "99", "12.5", "007", "nano"]
    ids = [*good, "", " ", *codes, *lost]
    frame = pd.DataFrame({"object_id": ids} | dict.fromkeys(MAGNITUDES, 18.0))
    path = tmp_path / "a.csv"
    frame.to_csv(path, index=False)
    if as_bytes:
        frame["object_id"] = pd.Series([name.encode() for name in ids], dtype=object)
    for table in (frame, path, Table.from_pandas(frame), {k: list(frame[k]) for k in frame}):
        survey = take(table)
        assert survey.object_id.tolist() == good
        found = list(reasons(survey).values())
        assert found[:2] == ["no object_id (column 'object_id')"] * 2
        assert found[2:11] == [f"object_id is {c!r}, a code for a missing value" for c in codes]
        assert found[11:] == [f"object_id is {c}: a spreadsheet has lost its digits" for c in lost]


@pytest.mark.parametrize("as_bytes", [False, True])
def test_numbers_as_text(tmp_path, as_bytes):
    good = {"17": 17, " 17.2 ": 17.2, "+17.5": 17.5, "1.7e1": 17, "1E1": 10, ".5": 0.5, "18.": 18}
    bad = ["1_9", "0x10", "17,2", "17.2 mag", "１７", "1e", "True", "17..2"]
    cells = [*good, *bad, "nan", "inf"]
    frame = pd.DataFrame({"object_id": list(map(str, range(len(cells))))})
    frame = frame.assign(**dict.fromkeys(MAGNITUDES, 18.0) | {"mag_u": cells})
    path = tmp_path / "a.csv"
    frame.to_csv(path, index=False)
    if as_bytes:
        frame["mag_u"] = pd.Series([cell.encode() for cell in cells], dtype=object)
    for table in (frame, path, Table.from_pandas(frame), {k: list(frame[k]) for k in frame}):
        survey = take(table)
        assert survey.catalogue["mag_u"].tolist() == list(good.values())
        found = list(reasons(survey).values())
        assert found[: len(bad)] == [f"mag_u is {cell!r}, not a number" for cell in bad]
        assert found[len(bad) :] == ["mag_u has no value", "mag_u is inf, outside (0, 40]"]


@pytest.mark.parametrize("cell", [True, np.True_, 1j, [17.0], pd.Timestamp("2020-01-01")])
def test_other_objects_are_no_numbers(cell):
    frame = pd.DataFrame({"object_id": ["a", "b"]} | {m: [18.0, 18.0] for m in MAGNITUDES})
    frame["mag_u"] = pd.Series([cell, 18.0], dtype=object)
    assert reasons(take(frame)) == {0: f"mag_u is {str(cell)!r}, not a number"}


# Arrays and Arrow


def test_dicts_of_arrays():
    ids = {"object_id": np.array([BIG, BIG + 1])}
    assert take(ids | {m: [18.0, 19.0] for m in MAGNITUDES}).object_id[1] == str(BIG + 1)
    survey = take(ids | dict.fromkeys(MAGNITUDES, np.ones(2) * u.uJy), "Jy")
    np.testing.assert_allclose(survey.magnitudes, 23.9, atol=1e-3)
    gap = np.ma.MaskedArray([18.0, 19.0], [True, False])
    survey = take(ids | dict.fromkeys(MAGNITUDES, 18 * np.ones(2)) | {"mag_z": gap})
    assert reasons(survey) == {0: "mag_z has no value"}
    survey = take(
        {"object_id": pd.Series([BIG, None], dtype="Int64")}
        | dict.fromkeys(MAGNITUDES, pd.Series([18.0, None], dtype="Float64"))
    )
    assert survey.object_id.tolist() == [str(BIG)]
    refused(ids | dict.fromkeys(MAGNITUDES, np.ones(3)), "give columns of equal length")
    refused({}, "has no object_id")


def test_arrow_tables_keep_digits_and_gaps():
    names = ["object_id", *MAGNITUDES]
    table = pa.table([pa.array([BIG, None])] + [pa.array([18.0, 19.0])] * 5, names=names)
    survey = take(table)
    assert survey.object_id.tolist() == [str(BIG)]
    assert list(reasons(survey)) == [1]
    twice = pa.table([pa.array([BIG])] + [pa.array([18.0])] * 6, names=[*names, "mag_u"])
    refused(twice, "two columns are called .mag_u.; rename one of them")


# Units and names


@pytest.mark.parametrize("unit", ["nanomaggy", "nanomaggies", "nmgy", "nMgy", u.nmgy])
@pytest.mark.parametrize("name", ["mag", "flux"])
def test_nanomaggies_as_people_write_them(unit, name):
    frame = pd.DataFrame({"object_id": ["a"]} | {f"{name}_{b}": [100.0] for b in "ugriz"})
    survey = take(frame.assign(extra=1), unit)
    np.testing.assert_allclose(survey.magnitudes, 17.5)
    assert survey.parameters["unit"] == "nanomaggy"


def test_fluxes_need_their_unit():
    frame = pd.DataFrame({"object_id": ["a"]} | {f"flux_{b}": [100.0] for b in "ugriz"})
    refused(frame, "has no mag_u, mag_g, .*the table has object_id, flux_u")
    refused(frame, "unit is 'nanomagg': choose from AB, nanomaggy, Jy, asinh, Vega", "nanomagg")
    # Magnitudes beside the fluxes are not taken for fluxes.
    refused(frame.assign(**dict.fromkeys(MAGNITUDES, 17.5)), "the numbers look like AB", "nmgy")


# Words


@pytest.mark.parametrize("columns", [{"mag_u": ""}, {"mag_u": " "}, {"mag_u": 5}])
def test_a_column_that_is_not_there_is_named_with_those_that_are(columns):
    frame = pd.DataFrame({"object_id": ["a"]} | dict.fromkeys(MAGNITUDES, 18.0))
    with pytest.raises(
        SurveyError, match=r"has no column .*columns maps to mag_u; the table has object_id"
    ):
        take(frame, columns=columns)
    with pytest.raises(
        SurveyError, match="maps '', which is not a column of a survey; a survey has object"
    ):
        take(frame, columns={"": "mag_u"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (5, "a value of type builtins.int is not a table: give a path, a pandas DataFrame"),
        (pd.Series([1.0]), "a value of type pandas.* is not a table"),
        ("", r"the path of the table '' cannot be used \(it is empty\)"),
        (".", "is a folder: give one file, or open a survey with Survey.load"),
    ],
)
def test_what_is_no_table_is_named(table, message):
    refused(table, message)
