"""Page of accepted and refused inputs, made by running each of its examples.

`python tests/survey/test_taken_and_refused.py` writes `book/taken_and_refused.md`.
"""

import contextlib
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from galcfm.properties import (
    EXTINCTION,
    MAGNITUDES,
    PROPERTY_NAMES,
    SDSS,
    DeclarationError,
    Property,
)
from galcfm.survey import Survey, SurveyError
from galcfm.survey.conventions import DESI_WISE
from galcfm.survey.cutouts import Cutouts
from galcfm.survey.embeddings import Embeddings
from galcfm.survey.images import encode_jpeg
from galcfm.survey.photometry import SOFTENING, VEGA_OFFSET
from galcfm.survey.tables import ENDINGS

PAGE = Path(__file__).resolve().parents[2] / "book" / "taken_and_refused.md"
COMMAND = "python tests/survey/test_taken_and_refused.py"
AB = np.array([18.5, 17.4, 16.8, 16.4, 16.2])
NANOMAGGIES = 10 ** (0.4 * (22.5 - AB))
DECLARED = {"unit": "AB", "total": True, "dereddened": True}
PIXELS = np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8)

LINEAR_WORDS = """\
A model can also take fluxes without the eight bits of an image, in any bands, size and pixel scale:
`cutouts=Cutouts(source, bands="grz", linear=True)` with `galcfm.survey.cutouts.Cutouts`. The first
row of fluxes is in the south, as in FITS.
"""
INTRODUCTION = """\
# Accepted and refused inputs

`Survey.from_table` makes a survey from a table, and `infer_catalogue` (or the command `galcfm
infer`) infers a catalogue of any size. Both read files in the same way: they use the same rows and
the same values. We ran every line below to make this page, and a test runs them again whenever the
code changes. {doc}`chapters/15_your_own_galaxies` shows the calls.

Each table needs `unit`, `total=True` (total fluxes of galaxies, not aperture fluxes) and
`dereddened` (whether Galactic extinction is removed). Bands are u, g, r, i and z, and properties
are the five of this book, unless `bands` and `properties` declare others. A row is never repaired:
it is used unchanged, or it is listed with the reason in `survey.rejected` (or in the folder
`rejected` of a result).
"""


OF_EMBEDDINGS = """\
An embedding is a vector of features per galaxy that another model computed:
`embeddings={"image": Embeddings(source, model="AION-1 base")}`, with
`galcfm.survey.embeddings.Embeddings`. Survey and trained model keep its length and the name of the
model, and a trained model refuses the embedding of another model."""


def galaxies(names=MAGNITUDES, values=AB, **columns) -> dict:
    """Return a table of two galaxies, a and b."""
    values = np.broadcast_to(np.asarray(values, float)[:, None], (5, 2))
    return {"object_id": ["a", "b"]} | dict(zip(names, values, strict=True)) | columns


def frame(*of, **columns) -> pd.DataFrame:
    return pd.DataFrame(galaxies(*of, **columns))


def take(table, columns=None, **declared) -> Survey:
    return Survey.from_table(table, columns, **DECLARED | declared)


def written(name: str, write: Callable, *of) -> str:
    write(name, *of)
    return name


def hdf5(name, **content) -> str:
    with h5py.File(name, "w") as file:
        for key, value in content.items():
            file[key] = value
    return name


def packed(name: str) -> str:
    frame().to_csv(name, index=False)
    Path(f"{name}.gz").write_bytes(gzip.compress(Path(name).read_bytes()))
    return f"{name}.gz"


def table() -> Table:
    return Table(galaxies())


def endings(form: str) -> str:
    return ", ".join(f"`{ending}`" for ending in ENDINGS[form])


# Input, result, and a call that shows it.
TABLES = [
    (f"Parquet ({endings('parquet')}) of pandas, Arrow, Dask or a result of galcfm",
     "columns and a named index; nested columns by element",
     lambda: take(written("a.parquet", frame().to_parquet))),
    ("Parquet of astropy or the VO", "columns with their units and masks",
     lambda: take(written("b.parquet", table().write))),
    (f"FITS ({endings('fits')})", "the only table, in any extension, with TUNIT, TNULL and TSCAL",
     lambda: take(written("a.fits", table().write))),
    (f"VOTable ({endings('votable')})", "columns with their units and masks",
     lambda: take(written("a.vot", lambda name: table().write(name, format="votable")))),
    (f"ECSV ({endings('ascii.ecsv')})", "columns with their units and masks",
     lambda: take(written("a.ecsv", table().write))),
    (f"HDF5 ({endings('hdf5')})", "one compound dataset, or one dataset per column",
     lambda: take(hdf5("a.h5", **galaxies()))),
    (f"CSV ({endings('csv')})", "commas, decimal points, one header line",
     lambda: take(written("a.csv", lambda name: frame().to_csv(name, index=False)))),
    ("text, VOTable or FITS compressed by gzip (`.csv.gz`, …)", "the uncompressed file",
     lambda: take(packed("c.csv"))),
    ("`pandas.DataFrame`", "a named index is a column",
     lambda: take(frame().set_index("object_id"))),
    ("`astropy.table.Table` or `QTable`", "columns with their units and masks",
     lambda: take(table())),
    ("FITS extension, or its records", "columns as in a FITS file",
     lambda: take(fits.BinTableHDU(table()))),
    ("Arrow table", "integers keep all digits",
     lambda: take(pa.table(galaxies()))),
    ("dict of arrays, or a structured array", "arrays with their units and masks",
     lambda: take(galaxies())),
]  # fmt: skip

MICROJANSKY = {"object_id": ["a", "b"]}
MICROJANSKY |= {m: [x, x] * u.uJy for m, x in zip(MAGNITUDES, 3.631 * NANOMAGGIES, strict=True)}
FLUXES = [f"flux_{band}" for band in "ugriz"]
COLUMNS = [
    ('`mag_u` … `mag_z`, `unit="AB"`', "AB magnitudes", lambda: take(frame())),
    ('`flux_u` … `flux_z`, `unit="nanomaggy"` (or `"nanomaggies"`, `"nmgy"`)',
     "fluxes, zero point 22.5 mag", lambda: take(frame(FLUXES, NANOMAGGIES), unit="nmgy")),
    ('`mag_u` … `mag_z` in Jy, `unit="Jy"`', "fluxes, 0 mag is 3631 Jy",
     lambda: take(frame(MAGNITUDES, 3.631e-6 * NANOMAGGIES), unit="Jy")),
    ('columns with the unit µJy, `unit="Jy"`', "fluxes, converted to Jy",
     lambda: take(MICROJANSKY, unit="Jy")),
    ('`unit="Vega"`', "m_AB − m_Vega of Blanton & Roweis (2007) is added",
     lambda: take(frame(MAGNITUDES, AB - [*VEGA_OFFSET.values()]), unit="Vega")),
    ('`unit="asinh"`', "asinh magnitudes of SDSS",
     lambda: take(frame(MAGNITUDES, luptitudes()), unit="asinh")),
    ('other names, `columns={"mag_u": "M_u", …}`', "these columns",
     lambda: take(frame([f"M_{b}" for b in "ugriz"]), {f"mag_{b}": f"M_{b}" for b in "ugriz"})),
    ('vectors in one column, `columns={"mag_u": "flux[0]", …}`', "one element per band",
     lambda: take(pd.DataFrame({"object_id": ["a", "b"], "flux": [[*AB], [*AB]]}),
                  {m: f"flux[{k}]" for k, m in enumerate(MAGNITUDES)})),
    ("`ebv`, `dereddened=False`", "extinction of Schlafly & Finkbeiner (2011) is removed",
     lambda: take(frame(MAGNITUDES, AB + 0.1 * np.array([*EXTINCTION.values()]), ebv=0.1),
                  dereddened=False)),
    ("`magerr_u` … `magerr_z`, or `ivar_u` … of fluxes", "errors in magnitudes",
     lambda: take(frame(FLUXES, NANOMAGGIES, **dict.fromkeys(SDSS.inverse_variances, 1.0)),
                  unit="nmgy")),
    ("integers or text as `object_id`", "text, with all digits and leading zeros",
     lambda: take(frame())),
    ("NaN, −9999, −99, … in `ra`, `dec`, `redshift` or a property", "missing in that row",
     lambda: take(frame(redshift=[np.nan, -9999.0], ra=[-99.0, 5]))),
    ("NaN, −9999, −99, 99, … in one band, with `missing_bands=True`", "missing in that row",
     lambda: one_band_missing()),
    ("all other columns", "nothing; they may have any content",
     lambda: take(frame(note=["x", None], vectors=[[1], [2, 3]]))),
]  # fmt: skip


AGE = Property("age", "Gyr", (0, 14))
REDSHIFT = Property("redshift", "1", (0, 2))
GRZ = ["mag_g", "mag_r", "mag_z"]


def of_desi() -> dict:
    columns = {"TARGETID": [1, 2], "TARGET_RA": 5.0, "TARGET_DEC": 5.0, "Z": 0.1, "EBV": 0.01}
    for band in ("G", "R", "Z", "W1", "W2"):
        columns |= {f"FLUX_{band}": 50.0, f"FLUX_IVAR_{band}": 1.0}
    return pd.DataFrame(columns)


# Input, result, a call, and the columns that it reads.
OTHERS = [
    ('`bands=("g", "r", "z")`', "`mag_g`, `mag_r`, `mag_z` or fluxes; no other band",
     lambda: take(frame(), bands=("g", "r", "z")), GRZ),
    ('`bands=("FUV", "W1", "F200W")`', "`mag_FUV`, `flux_W1`, …; bands may have any name",
     lambda: take(frame(mag_FUV=18.0, mag_W1=17.0, mag_F200W=17.0), bands=["FUV", "W1", "F200W"]),
     ["mag_FUV", "mag_W1", "mag_F200W"]),
    ('`properties=[Property("age", "Gyr", (0, 14))]`', "`age` and, if it is there, `age_err`",
     lambda: take(frame(age=[3.0, np.nan], age_err=0.1), properties=[AGE]), ["age", "age_err"]),
    ('`Property("redshift", "1", (0, 2))`', "the column `redshift`, as a property",
     lambda: take(frame(redshift=0.1, age=3.0), properties=[AGE, REDSHIFT]), ["age", "redshift"]),
    ("redshift catalogues of DESI, `**galcfm.survey.conventions.DESI_WISE` (or `DESI`, without W1 "
     "and W2)", "total fluxes of the Legacy Surveys in g, r, z, W1, W2",
     lambda: Survey.from_table(of_desi(), **DESI_WISE), [*GRZ, "mag_W1", "magerr_W2"]),
]  # fmt: skip


def luptitudes():
    b = np.array([*SOFTENING.values()])
    return -2.5 / np.log(10) * (np.arcsinh(10 ** (-0.4 * AB) / (2 * b)) + np.log(b))


def one_band_missing() -> Survey:
    values = frame(mag_u=[18.5, -9999.0])
    survey = take(values, missing_bands=True)
    assert np.isnan(survey.magnitudes[1, 0])
    survey.catalogue.loc[1, "mag_u"] = 18.5
    return survey


def pictured(cutouts, pixel_scale=0.396) -> np.ndarray:
    return take(frame(), cutouts=cutouts, pixel_scale=pixel_scale).images[0]


def folder(save: Callable, *endings: str) -> str:
    name = f"cutouts{len(list(Path().iterdir()))}"
    Path(name).mkdir()
    for ending in endings:
        for galaxy in "ab":
            save(f"{name}/{galaxy}{ending}")
    return name


def plane(name: str) -> None:
    y, x = np.mgrid[:128, :128] - 63.5
    fits.PrimaryHDU(np.exp(-np.hypot(y, x) / 20) * (2 if "_i" in name else 1)).writeto(name)


def turned(name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(PIXELS[::-1, ::-1]).save(name, exif=exif)


SAME, OTHER = np.array_equal, lambda image, _: image.shape == PIXELS.shape
PICTURES = [
    ("folder with ID.jpg, ID.jpeg or ID.png", "the pixels; EXIF orientation is applied",
     lambda: pictured(folder(turned, ".png")), SAME),
    ("PNG with a palette, or with an opaque alpha channel", "its colours",
     lambda: pictured(folder(Image.fromarray(PIXELS).convert("RGBA").save, ".png")), SAME),
    ("folder with ID_i.fits, ID_r.fits, ID_g.fits (also `.fits.gz`, `.fits.fz`)",
     "fluxes in nanomaggies per pixel, or in BUNIT, rotated to north up by the WCS",
     lambda: pictured(folder(plane, "_i.fits", "_r.fits", "_g.fits")), OTHER),
    ("array uint8 (n, height, width, 3), channels i, r, g", "one cutout per row",
     lambda: pictured(np.stack([PIXELS, PIXELS])), SAME),
    ("dict of arrays or of open Pillow images", "one cutout per `object_id`",
     lambda: pictured({"a": PIXELS, "b": Image.fromarray(PIXELS)}), SAME),
    ("HDF5 with `images`, and `object_id` if their order differs", "cutouts by row or name",
     lambda: pictured(hdf5("images.h5", images=np.stack([PIXELS, PIXELS]))), SAME),
    ("larger cutouts with another scale, `pixel_scale=0.2`", "their central part, resampled",
     lambda: pictured(np.tile(PIXELS, (2, 3, 3, 1)), 0.2), OTHER),
]  # fmt: skip


FLUX = np.random.default_rng(1).normal(0, 1, (3, 24, 24)).astype(np.float32)


def fluxes(source, pixel_scale=0.262, **options) -> np.ndarray:
    """Return the linear cutout of the second galaxy as in FITS, bands and southern row first."""
    cutouts = Cutouts(source, **{"bands": "grz", "linear": True} | options)
    image = take(frame(), cutouts=cutouts, pixel_scale=pixel_scale).images[1]
    return np.moveaxis(image[::-1], -1, 0)


def band(name: str) -> None:
    fits.PrimaryHDU(FLUX["grz".index(Path(name).stem[-1])]).writeto(name)


def record(**parts) -> dict:
    """Return a cutout as the Multimodal Universe stores it."""
    return {"band": ["des-g", "des-r", "des-z"], "flux": FLUX, "scale": [0.262] * 3} | parts


def without(n: int) -> dict:
    """Return a record in which n × n pixels are masked."""
    mask = np.ones(FLUX.shape, bool)
    mask[0, :n, :n] = False
    return record(mask=mask)


LINEAR = [
    ("folder with ID_g.fits, ID_r.fits, …", "rotated to north up by the WCS, unit from BUNIT",
     lambda: fluxes(folder(band, "_g.fits", "_r.fits", "_z.fits")), FLUX),
    ("array (n, bands, height, width), or a list or dict of such cutouts",
     "one cutout per row, or per `object_id`", lambda: fluxes([FLUX, FLUX]), FLUX),
    ("HDF5 with `images`, and `object_id` if their order differs", "cutouts by row or name",
     lambda: fluxes(hdf5("flux.h5", images=[FLUX, FLUX], object_id=["b", "a"])), FLUX),
    ("records of the Multimodal Universe, with `band`, `flux` and, if known, `mask`, `ivar`, "
     "`scale`", "the chosen bands: `g` is also `des-g`",
     lambda: fluxes([record(), record()]), FLUX),
    ("masked pixels, inverse variances of 0, NaN", "interpolated from pixels at most 4 rows and "
     "columns away", lambda: fluxes([without(3), without(3)])[1:], FLUX[1:]),
    ("`size=16`", "the central 16×16 pixels", lambda: fluxes([FLUX, FLUX], size=16),
     FLUX[:, 4:20, 4:20]),
    ('fluxes with another zero point, `unit="0.01585 nanomaggy"`', "nanomaggies per pixel",
     lambda: fluxes([FLUX, FLUX], unit="2 nanomaggy"), 2 * FLUX),
]  # fmt: skip


def second_flux(cutout) -> str:
    cutouts = Cutouts({"a": FLUX, "b": cutout}, bands="grz", linear=True)
    return refusal(frame(), cutouts=cutouts, pixel_scale=0.262)


VECTORS = np.array([[0.5, 1.0, -2.0], [0.25, 3.0, 4.0]], np.float32)
LISTS = pd.DataFrame({"object_id": ["b", "c", "a"], "image": [[*VECTORS[k]] for k in (1, 0, 0)]})


def embedded(source, table=None, model="AION-1 base", **options):
    given = {"image": Embeddings(source, model, **options)}
    return take(frame() if table is None else table, embeddings=given)


EMBEDDINGS = [
    ('a column of vectors (lists of Parquet, vectors of FITS or HDF5), `Embeddings("aion", …)`',
     "one vector per row", lambda: embedded("aion", frame(aion=[*VECTORS]))),
    ("array or list (n, k), also of HDF5, Zarr or PyTorch", "one vector per row",
     lambda: embedded(VECTORS)),
    ("the path of a .npy file", "one vector per row",
     lambda: embedded(written("vectors.npy", np.save, VECTORS))),
    ("a .parquet, .h5 or .zarr file with `object_id`",
     "vectors by `object_id` in any order; others are left out; read in blocks",
     lambda: embedded(written("image.parquet", lambda name: LISTS.to_parquet(name)))),
    ('another column of the file, `column="e"`; identifiers of an array, `object_id=[…]`',
     "vectors by these identifiers",
     lambda: embedded({"e": VECTORS[::-1]}, column="e", object_id=["b", "a"])),
]  # fmt: skip


def refused_vectors(source, *of, **options) -> str:
    try:
        survey = embedded(source, *of, **options)
    except (SurveyError, DeclarationError) as error:
        return str(error)
    return f"row {survey.rejected['row'][0]}: {survey.rejected['reason'][0]}"


def refusal(table, columns=None, properties=None, **declared) -> str:
    try:
        properties = properties and [properties()]
        survey = take(table, columns, properties=properties, **declared)
    except (SurveyError, DeclarationError) as error:
        return str(error)
    (reason,) = survey.rejected["reason"]
    return f"row {survey.rejected['row'][0]}: {reason}"


def second(**values) -> pd.DataFrame:
    """Return a table in which the second galaxy has other values."""
    table = frame(**{name: frame().get(name, pd.Series([1.0, 1.0])) for name in values})
    for name, value in values.items():
        table[name] = table[name].astype(object)
        table.loc[1, name] = value
    return table


def second_picture(picture) -> str:
    return refusal(frame(), cutouts={"a": PIXELS, "b": picture}, pixel_scale=0.396)


def text(name: str, content: str) -> str:
    Path(name).write_text(content, encoding="utf-8")
    return name


CSV = frame().to_csv(index=False)
WHOLE = [
    ("a damaged file, or another format", lambda: refusal(text("a.fits", "no table"))),
    ("a CSV with semicolons", lambda: refusal(text("b.csv", CSV.replace(",", ";")))),
    ("an unknown ending", lambda: refusal("galaxies.xlsx")),
    ("a table without rows", lambda: refusal(frame().head(0))),
    ("a missing column", lambda: refusal(frame().drop(columns="mag_u"))),
    ("a name in capitals", lambda: refusal(frame().rename(columns={"mag_u": "MAG_U"}))),
    ("a mapping to a missing column", lambda: refusal(frame(), {"mag_u": "mag_y"})),
    ("two equal column names", lambda: refusal(pd.concat([frame(), frame()[["mag_u"]]], axis=1))),
    ("fluxes declared as magnitudes", lambda: refusal(frame(MAGNITUDES, NANOMAGGIES))),
    ("a unit in the table that differs from the declared unit",
     lambda: refusal(MICROJANSKY)),
    ("an unknown unit", lambda: refusal(frame(), unit="ST")),
    ("aperture fluxes, `total=False`", lambda: refusal(frame(), total=False)),
    ("`dereddened=False` without `ebv`", lambda: refusal(frame(), dereddened=False)),
    ("identifiers as floats", lambda: refusal(frame().assign(object_id=[1.2376e18, 1.2377e18]))),
    ("some of the five properties", lambda: refusal(frame(a_v=[1.0, 1.0]))),
    ("a band twice", lambda: refusal(frame(), bands="ggr")),
    ("one column for two bands", lambda: refusal(frame(), {"mag_u": "mag_g"})),
    ("extinction in a band without a known coefficient",
     lambda: refusal(frame(ebv=0.1), bands=("g", "F200W"), dereddened=False)),
    ("a property without a unit",
     lambda: refusal(frame(), None, lambda: Property("age", "", (0, 14)))),
    ("a declared property without a column", lambda: refusal(frame(), None, lambda: AGE)),
    ("an embedding without the name of its model", lambda: refused_vectors(VECTORS, model="")),
    ("more vectors than rows, without identifiers", lambda: refused_vectors([*VECTORS] * 2)),
    ("two vectors with one identifier",
     lambda: refused_vectors(VECTORS, object_id=["a", "a"])),
    ("a file of embeddings without the named column",
     lambda: refused_vectors("image.parquet", column="spectrum")),
]  # fmt: skip
ROWS = [
    ("no identifier", lambda: refusal(second(object_id=""))),
    ("an identifier that a spreadsheet rounded", lambda: refusal(second(object_id="1.23E+18"))),
    ("a galaxy that occurs twice", lambda: refusal(second(object_id="a"))),
    ("a band without a value", lambda: refusal(second(mag_u=np.nan))),
    ("a code for a missing band", lambda: refusal(second(mag_u=-9999.0))),
    ("text instead of a number", lambda: refusal(second(mag_u="bright"))),
    ("a flux that is not positive", lambda: refusal(no_flux(), unit="nanomaggy")),
    ("a vector that is too short", lambda: refusal(
        pd.DataFrame({"object_id": ["a", "b"], "flux": [[*AB], [18.5, 17.4, 16.8, 16.4]]}),
        {m: f"flux[{k}]" for k, m in enumerate(MAGNITUDES)})),
    ("a linear stellar mass", lambda: refusal(masses())),
    ("a missing cutout",
     lambda: refusal(frame(), cutouts={"a": PIXELS}, pixel_scale=0.396)),
    ("a grey image", lambda: second_picture(PIXELS[..., :1].repeat(3, 2))),
    ("an image with another mode", lambda: second_picture(Image.fromarray(PIXELS).convert("CMYK"))),
    ("an image with transparent pixels", lambda: second_picture(Image.new("RGBA", (128, 128)))),
    ("an image that is too small", lambda: second_picture(PIXELS[:64, :64])),
    ("an image as floats from 0 to 1", lambda: second_picture(PIXELS / 255)),
    ("no vector for a galaxy", lambda: refused_vectors(VECTORS, object_id=["a", "x"])),
    ("a vector of another length", lambda: refused_vectors([VECTORS[0], VECTORS[0, :2]])),
    ("a vector with NaN", lambda: refused_vectors([VECTORS[0], VECTORS[0] * np.nan])),
    ("a truncated JPEG", lambda: second_file(encode_jpeg(PIXELS)[:900])),
    ("fluxes in other bands", lambda: second_flux(record(band=["des-g", "des-r", "des-i"]))),
    ("fluxes with another pixel scale", lambda: second_flux(record(scale=[0.168] * 3))),
    ("fluxes of fewer pixels", lambda: second_flux(FLUX[:, 4:, 4:])),
    ("a large masked region", lambda: second_flux(without(12))),
]  # fmt: skip


def no_flux() -> pd.DataFrame:
    table = frame(MAGNITUDES, NANOMAGGIES)
    table.loc[1, "mag_z"] = -0.3
    return table


def masses() -> pd.DataFrame:
    table = frame(**dict(zip(PROPERTY_NAMES, [10.0, 0.0, 8.8, 1.4, 0.5], strict=True)))
    table.loc[1, "log_stellar_mass"] = 3e10
    return table


def second_file(content: bytes) -> str:
    name = folder(Image.fromarray(PIXELS).save, ".png")
    Path(name, "b.png").unlink()
    Path(name, "b.jpg").write_bytes(content)
    return refusal(frame(), cutouts=name, pixel_scale=0.396)


def lines(head: str, rows) -> list[str]:
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return [f"| {head} |", "|---|---|", *(f"| {' | '.join(row)} |" for row in cells), ""]


def page() -> str:
    """Return the page, after running each of its examples."""
    for given, _, call in [*TABLES, *COLUMNS]:
        survey = call()
        assert survey.object_id.tolist() == ["a", "b"], given
        np.testing.assert_allclose(survey.magnitudes, [AB, AB], atol=1e-5, err_msg=given)
    for given, _, call, names in OTHERS:
        survey = call()
        assert len(survey) == 2, given
        assert set(names) <= set(survey.catalogue), given
        declared = (*survey.declaration.magnitudes, *survey.declaration.property_names)
        assert set(survey.catalogue) & {*MAGNITUDES, *PROPERTY_NAMES} <= set(declared), given
    for given, _, call, is_right in PICTURES:
        assert is_right(call(), PIXELS), given
    for given, _, call, expected in LINEAR:
        np.testing.assert_allclose(call(), expected, rtol=1e-6, err_msg=given)
    for given, _, call in EMBEDDINGS:
        np.testing.assert_array_equal(call().embeddings["image"], VECTORS, err_msg=given)
    taken = "input | what is read"
    refused = "problem | message"
    return (
        "\n".join(
            [
                f"{INTRODUCTION}\n## Tables\n",
                *lines(taken, [case[:2] for case in TABLES]),
                "## Columns and units\n",
                *lines(taken, [case[:2] for case in COLUMNS]),
                "## Other bands and properties\n",
                *lines(taken, [case[:2] for case in OTHERS]),
                "## Cutouts\n",
                *lines(taken, [case[:2] for case in PICTURES]),
                LINEAR_WORDS,
                *lines(taken, [case[:2] for case in LINEAR]),
                "## Embeddings\n",
                f"{OF_EMBEDDINGS}\n",
                *lines(taken, [case[:2] for case in EMBEDDINGS]),
                "## Refusals\n",
                "With these problems the whole table is refused, with a `SurveyError`, or with a "
                "`DeclarationError` if the declaration itself is impossible.\n",
                *lines(refused, [(what, f"`{said()}`") for what, said in WHOLE]),
                "With these problems only the row is refused; the other rows are used.\n",
                *lines(refused, [(what, f"`{said()}`") for what, said in ROWS]),
            ]
        ).rstrip()
        + "\n"
    )


def made_page() -> str:
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        return page()


def test_the_page_says_what_the_code_does():
    assert PAGE.read_text(encoding="utf-8") == made_page(), f"rewrite it: {COMMAND}"


def test_the_page_is_readable():
    text = PAGE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert all(ending in text for known in ENDINGS.values() for ending in known)


if __name__ == "__main__":
    PAGE.write_text(made_page(), encoding="utf-8")
