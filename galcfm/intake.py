"""Anyone's galaxies: a table and cutouts become a survey, and each row refused says why.

`Survey.from_table` is the way in. A row is never repaired: it is used as it stands, converted to
the units of `galcfm.properties`, or listed with the reason.
"""

import contextlib
import difflib
import gzip
import os
import re
import warnings
from collections.abc import Mapping
from io import BytesIO, StringIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from galcfm.images import IMAGE_SHAPE, PIXEL_SCALE, lupton_rgb
from galcfm.properties import (
    BANDS,
    EXTINCTION,
    MAGNITUDE_ERRORS,
    MAGNITUDES,
    PROPERTIES,
    PROPERTY_NAMES,
)
from galcfm.survey import SPLITS, SurveyError, assign_split

__all__ = ["FORMATS", "UNITS", "read_cutout", "read_table", "take_in"]

FORMATS = {
    ".fits": "fits",
    ".fit": "fits",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
}
# Magnitude of one unit of flux (Oke & Gunn 1983, ApJ 266, 713: 0 mag AB is 3631 Jy).
UNITS = {"AB": None, "nanomaggy": 22.5, "Jy": 2.5 * np.log10(3631)}
PROPERTY_ERRORS = tuple(f"{name}_err" for name in PROPERTY_NAMES)
NEEDED = ("object_id", *MAGNITUDES)
FILLED = ("ra", "dec", "redshift", "ebv")
# What a column may hold, inclusive; codes for missing values such as -9999, -99 and 99 lie outside.
RANGES = (
    {"ra": (-180.0, 360.0), "dec": (-90.0, 90.0), "redshift": (-0.01, 20.0), "ebv": (0.0, 10.0)}
    | {p.name: p.plausible for p in PROPERTIES}
    | {f"{p.name}_err": (0.0, 20.0) for p in PROPERTIES}
)
MISSING_CODES = {-9999.0, -999.0, -99.0, -9.0, 99.0, 999.0, 9999.0, -99.9, 99.9, -32768.0}
# A picture may be this much too small: its scale is then off by as much.
SHORTFALL = 0.02
SAME_SCALE = 0.005
LARGEST_CUTOUT = 4096
FEWEST_COLOURS = 20  # galaxies whose colours are compared with those of their cutouts
SMALLEST_TURN = 0.02  # rad


def take_in(
    table,
    columns: Mapping[str, str | None] | None = None,
    *,
    unit: str,
    total: bool,
    dereddened: bool,
    cutouts=None,
    pixel_scale: float | None = None,
    strict: bool = False,
) -> tuple[pd.DataFrame, np.ndarray | None, pd.DataFrame, dict, str]:
    """Catalogue, images, rejected rows, parameters and name of a table: see `Survey.from_table`.

    Raises:
        SurveyError: as `Survey.from_table`.
    """
    if str(unit) not in UNITS:
        raise SurveyError(f"unit is {unit!r}: choose from {', '.join(UNITS)}")
    if not total:
        raise SurveyError(
            "the models are trained on total fluxes and would take the light outside an aperture "
            "for a fainter galaxy: map model, Petrosian or Sérsic fluxes and pass total=True"
        )
    try:
        pixel_scale = None if cutouts is None else float(pixel_scale)
    except (TypeError, ValueError):
        pixel_scale = np.nan
    if cutouts is not None and not 0 < pixel_scale < 60:
        raise SurveyError("pixel_scale must be the arcsec per pixel of the cutouts, e.g. 0.396")
    if not isinstance(columns, Mapping | None):
        raise SurveyError("columns must map names of a survey to names of the table")
    source = _Source(table)
    chosen = _choose_columns(source, columns or {})
    if not dereddened and "ebv" not in chosen:
        raise SurveyError(
            f"{source.name}: with dereddened=False the Galactic extinction is removed here, which "
            "needs E(B-V): map a column to ebv"
        )
    n = len(source)
    if n == 0:
        raise SurveyError(f"{source.name} holds no rows: nothing to make a survey of")

    reasons: list[list[str]] = [[] for _ in range(n)]
    object_id = source.texts(chosen["object_id"])
    for row, name in enumerate(object_id):
        if not name:
            reasons[row].append(f"no object_id (column {chosen['object_id']!r})")
        elif not _is_unicode(name):
            reasons[row].append("object_id is not valid text")
        elif re.fullmatch(r"\d(\.\d+)?[eE]\+\d+", name):
            reasons[row].append(f"object_id is {name}: a spreadsheet has lost its digits")
    values = {"object_id": object_id}
    for name, column in chosen.items():
        if name not in ("object_id", "split"):
            values[name] = _judged(source, name, column, unit, reasons)
    _to_magnitudes(values, unit, dereddened, reasons)
    for name in FILLED:
        values.setdefault(name, np.full(n, np.nan))
    if "split" in chosen:
        values["split"] = source.texts(chosen["split"])
        for row, split in enumerate(values["split"]):
            if split not in SPLITS:
                reasons[row].append(f"split is {split!r}, not one of {', '.join(SPLITS)}")

    first_row: dict[str, int] = {}
    for row, name in enumerate(object_id):
        if not reasons[row] and first_row.setdefault(name, row) != row:
            reasons[row].append(f"object_id {name!r} occurs twice: row {first_row[name]} is used")

    images = None
    if cutouts is not None:
        images = _collect_cutouts(cutouts, pixel_scale, object_id, reasons, source.name)
    good = np.array([not reason for reason in reasons])
    rejected = pd.DataFrame(
        {
            "row": np.flatnonzero(~good),
            "object_id": pd.Series([object_id[k] for k in np.flatnonzero(~good)], dtype=object),
            "reason": pd.Series(["; ".join(r) for r in reasons if r], dtype=object),
        }
    )
    if len(rejected) and (strict or not good.any()):
        first = rejected.iloc[0]
        raise SurveyError(
            f"{source.name}: {len(rejected)} of {n} rows cannot be used, the first of them row "
            f"{first['row']} (object_id {first['object_id']!r}): {first['reason']}; correct or "
            "remove them" + (", or pass strict=False to leave them out" if good.any() else "")
        )

    order = (*NEEDED[:1], *FILLED, *MAGNITUDES, *MAGNITUDE_ERRORS)
    order += (*PROPERTY_NAMES, *PROPERTY_ERRORS, "a_v_balmer", "split")
    kept = np.flatnonzero(good)
    values["ra"] = values["ra"] % 360
    for name in ("object_id", "split"):
        if name in values:
            values[name] = np.array(values[name], dtype=object)
    catalogue = pd.DataFrame({name: values[name][kept] for name in order if name in values})
    if images is not None:
        _warn_of_reversed_channels(catalogue, images, source.name)
    if "split" not in catalogue:
        catalogue["split"] = assign_split(catalogue["object_id"], validation=0.1, test=0.1)
    parameters = {
        "kind": "table",
        "source": source.name,
        "columns": {name: str(column) for name, column in chosen.items()},
        "unit": unit,
        "dereddened": bool(dereddened),
        "pixel_scale": pixel_scale,
        "rows": n,
        "rejected": len(rejected),
    }
    return catalogue, images, rejected, parameters, source.name


# The table


def read_table(path: Path | str):
    """Table in a file, as an astropy `Table` (FITS, ECSV, VOTable) or a DataFrame (Parquet, CSV).

    The ending says the format, see `FORMATS`; all but Parquet may be packed by gzip (.gz). CSV is
    kept as text, so that long identifiers keep their digits; lines that start with # above the
    header are skipped, as in answers of SkyServer.

    Raises:
        SurveyError: the file is missing, of another format, or cannot be read.
    """
    path = Path(path)
    name = path.name.lower()
    packed = name.endswith(".gz")
    form = FORMATS.get(Path(name.removesuffix(".gz")).suffix)
    if form is None or (packed and form == "parquet"):
        raise SurveyError(f"{path}: this ending is unknown; use one of {', '.join(FORMATS)}")
    if not path.is_file():
        raise SurveyError(f"{path} is missing or not a file: check the path")
    try:
        if form == "parquet":
            # Integers with gaps stay integers: as floats, identifiers would lose digits.
            return pd.read_parquet(path, dtype_backend="numpy_nullable")
        from astropy.table import Table

        if form == "fits":
            return Table.read(path, format=form)
        content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        if form == "csv":
            text = content.decode("utf-8-sig")
            while text.startswith("#"):
                text = text.partition("\n")[2]
            return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False, index_col=False)
        # astropy would open whatever address stands there.
        if form == "votable" and re.search(rb"(?i)<(\w+:)?STREAM\b[^>]*\bhref\b", content):
            raise ValueError("its data are in another file; write them into this one")
        return Table.read(BytesIO(content) if form == "votable" else content.decode(), format=form)
    except ImportError:
        raise
    # Readers raise dozens of kinds, none of which names the file.
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise SurveyError(
            f"{path} cannot be read as {form.removeprefix('ascii.')} ({type(error).__name__}: "
            f"{what}): check that the file is whole and its ending right"
        ) from error


class _Source:
    """A table of any kind, column by column."""

    def __init__(self, table):
        self.name = "table"
        if isinstance(table, str | os.PathLike):
            self.name = str(table)
            table = read_table(table)
        if isinstance(table, np.ndarray) and table.dtype.names:
            # What `astropy.io.fits` gives of a table.
            from astropy.table import Table

            table = Table(table)
        if isinstance(table, pd.DataFrame):
            self.names = list(table.columns)
        elif hasattr(table, "colnames"):
            self.names = list(table.colnames)
        else:
            raise SurveyError(
                f"a {type(table).__name__} is no table: give a path, a pandas DataFrame or an "
                "astropy Table"
            )
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def has(self, column: str) -> bool:
        return column in self.names or self._part(column) is not None

    def _part(self, column: str) -> tuple[str, int] | None:
        """`("flux", 2)` for `"flux[2]"`, an element of a column of vectors."""
        match = re.fullmatch(r"(.+)\[(\d+)\]", column)
        return (match[1], int(match[2])) if match and match[1] in self.names else None

    def _column(self, column: str):
        """Values (an array, masked where the table has gaps, or of objects) and unit."""
        name, index = column, None
        if name not in self.names:
            name, index = self._part(column)
        if self.names.count(name) > 1:
            raise SurveyError(f"{self.name}: two columns are called {name!r}; rename one of them")
        data, unit = self.table[name], getattr(self.table[name], "unit", None)
        if isinstance(data, pd.Series):
            data, unit = _series_values(data), None
        elif isinstance(data, np.ma.MaskedArray):
            data = np.ma.MaskedArray(data.data, data.mask)
        else:
            mask = getattr(data, "mask", None)
            data = np.asarray(getattr(data, "unmasked", data))
            data = data if mask is None else np.ma.MaskedArray(data, mask)
        if index is not None and data.ndim == 1 and data.dtype == object:
            # Vectors as Parquet, and FITS of variable length, have them.
            with contextlib.suppress(TypeError, ValueError):
                data = np.array([np.asarray(vector, np.float64) for vector in data])
        if data.dtype.names or data.ndim != (1 if index is None else 2):
            example = f"; one element of it is {name}[0]" if data.ndim == 2 else ""
            raise SurveyError(
                f"{self.name}: column {name!r} has shape {data.shape}, one value a row is "
                f"needed{example}"
            )
        if index is not None:
            if index >= data.shape[1]:
                raise SurveyError(f"{self.name}: {column!r} is past the {data.shape[1]} elements")
            data = data[:, index]
        return data, unit

    def numbers(self, name: str, column: str, flux_unit: str) -> tuple[np.ndarray, dict[int, str]]:
        """Values as float64, NaN where there is none, and the text of those that are no numbers."""
        data, unit = self._column(column)
        mask = np.ma.getmaskarray(data)
        data = np.ma.getdata(data)
        no_numbers: dict[int, str] = {}
        if data.dtype.kind in "iuf":
            numbers = data.astype(np.float64)
        elif data.dtype.kind in "OSU":
            numbers = np.full(len(data), np.nan)
            for row, value in enumerate(data.tolist()):
                value = value.decode(errors="replace") if isinstance(value, bytes) else value
                if mask[row] or value is None or value is pd.NA or value is pd.NaT:
                    continue
                try:
                    if isinstance(value, bool):
                        raise TypeError
                    numbers[row] = float(value)
                except (TypeError, ValueError, OverflowError):
                    if str(value).strip():
                        no_numbers[row] = str(value)[:40]
        else:
            raise SurveyError(
                f"{self.name}: column {column!r} holds {data.dtype}, numbers are needed for {name}"
            )
        numbers[mask] = np.nan
        if unit is not None:
            numbers = numbers * self._factor(name, column, unit, flux_unit)
        return numbers, no_numbers

    def _factor(self, name: str, column: str, unit, flux_unit: str) -> float:
        """What the table's own unit is in ours; only where the unit of a column is not free."""
        from astropy import units as u
        from astropy.units import photometric

        if name in ("ra", "dec"):
            wanted = u.deg
        elif name not in (*MAGNITUDES, *MAGNITUDE_ERRORS):
            return 1.0
        elif flux_unit == "AB":
            wanted = u.mag
        else:
            wanted = u.Jy if flux_unit == "Jy" else 1e-9 * photometric.maggy
        if str(unit).lower() in ("nmgy", "nanomaggy", "nanomaggies"):
            unit = 1e-9 * photometric.maggy
        if unit == u.dimensionless_unscaled or (wanted == u.mag and unit == u.ABmag):
            return 1.0
        try:
            factor = float(u.Unit(unit).to(wanted))
            # astropy takes magnitudes for fluxes of their own, and dex for magnitudes.
            if factor <= 0 or isinstance(unit, u.function.FunctionUnitBase):
                raise u.UnitConversionError
            return factor
        except (u.UnitsError, TypeError, ValueError) as error:
            raise SurveyError(
                f"{self.name}: column {column!r} for {name} is in {str(unit)!r}, not in "
                f"{'degrees' if wanted == u.deg else flux_unit}: convert it, or correct the unit "
                "that is declared"
            ) from error

    def texts(self, column: str) -> list[str]:
        """Values as text; empty where there is none."""
        data, _ = self._column(column)
        mask = np.ma.getmaskarray(data)
        data = np.ma.getdata(data)
        if data.dtype.kind not in "iufOSU":
            raise SurveyError(
                f"{self.name}: column {column!r} holds {data.dtype}, text or integers are needed"
            )
        texts = []
        for value, gone in zip(data.tolist(), mask, strict=True):
            no_value = gone or value is None or value is pd.NA or value is pd.NaT
            if no_value or (isinstance(value, float) and value != value):
                texts.append("")
            elif isinstance(value, bytes):
                # A byte that is no UTF-8 becomes a surrogate, which makes the row unusable.
                texts.append(value.decode("utf-8", "surrogateescape").strip())
            elif isinstance(value, float):
                if not value.is_integer() or abs(value) >= 2**53:
                    raise SurveyError(
                        f"{self.name}: column {column!r} holds floats, in which long identifiers "
                        "lose digits: give them as integers or text"
                    )
                texts.append(str(int(value)))
            elif isinstance(value, str | int | np.integer) and not isinstance(value, bool):
                texts.append(str(value).strip())
            else:
                raise SurveyError(
                    f"{self.name}: column {column!r} holds a {type(value).__name__}, text or "
                    "integers are needed"
                )
        return texts


def _series_values(series: pd.Series) -> np.ndarray:
    if pd.api.types.is_extension_array_dtype(series.dtype):
        missing = series.isna().to_numpy(dtype=bool)
        kind = getattr(series.dtype, "kind", "O")
        if kind in "iuf":
            kinds = {"i": np.int64, "u": np.uint64, "f": np.float64}
            filled = series.fillna(0).to_numpy(dtype=kinds[kind])
            return np.ma.MaskedArray(filled, missing)
        if kind in "bMm":
            return series.astype(object).to_numpy().astype("?" if kind == "b" else f"{kind}8[s]")
        return np.ma.MaskedArray(series.astype(object).to_numpy(), missing)
    return series.to_numpy()


def _choose_columns(source: _Source, columns: Mapping[str, str | None]) -> dict[str, str]:
    """Name in galcfm to column of the table."""
    known = (*NEEDED, *FILLED, *MAGNITUDE_ERRORS, *PROPERTY_NAMES, *PROPERTY_ERRORS)
    known += ("a_v_balmer", "split")
    for name in columns:
        if name not in known:
            hint = difflib.get_close_matches(str(name), known, 1)
            raise SurveyError(
                f"columns maps {name!r}, which is no column of a survey"
                + (f": do you mean {hint[0]!r}?" if hint else f"; those are {', '.join(known)}")
            )
    chosen = {}
    for name in known:
        column = columns.get(name, name if name in source.names else None)
        if column is None:
            continue
        if not isinstance(column, str) or not source.has(column):
            lower = {str(n).lower(): str(n) for n in source.names}
            near = difflib.get_close_matches(str(column).lower(), lower, 3, 0.5)
            near = [lower[n] for n in near]
            raise SurveyError(
                f"{source.name} has no column {column!r}, which columns maps to {name}"
                + (f": do you mean {', '.join(map(repr, near))}?" if near else "")
            )
        chosen[name] = column
    missing = [name for name in NEEDED if name not in chosen]
    if missing:
        raise SurveyError(
            f"{source.name} has no {', '.join(missing)}: map columns of yours to them, e.g. "
            f"columns={{{missing[0]!r}: 'its name in the table'}}; it has "
            + ", ".join(map(str, source.names[:20]))
            + (" …" if len(source.names) > 20 else "")
        )
    properties = [name for name in PROPERTY_NAMES if name in chosen]
    if properties and len(properties) < len(PROPERTY_NAMES):
        absent = [name for name in PROPERTY_NAMES if name not in chosen]
        raise SurveyError(
            f"{source.name} has {', '.join(properties)} but no {', '.join(absent)}: a survey has "
            "all five properties or none; leave one out with columns={'its name': None}"
        )
    errors = [name for name in MAGNITUDE_ERRORS if name in chosen]
    if errors and len(errors) < len(MAGNITUDE_ERRORS):
        absent = [name for name in MAGNITUDE_ERRORS if name not in chosen]
        raise SurveyError(
            f"{source.name} has {', '.join(errors)} but no {', '.join(absent)}: give the errors "
            "of all five bands or of none"
        )
    return chosen


def _judged(source, name: str, column: str, unit: str, reasons) -> np.ndarray:
    """Values of one column; those that cannot be used get a reason."""
    values, no_numbers = source.numbers(name, column, unit)
    low, high = RANGES.get(name, (-np.inf, np.inf))
    if name in (*MAGNITUDES, *MAGNITUDE_ERRORS):
        # A magnitude or flux of exactly 0, or below, is no measurement of a galaxy.
        low = np.nextafter(0, 1)
        high = 40.0 if unit == "AB" else np.inf
    bad = ~(np.isfinite(values) & (values >= low) & (values <= high))
    label = name if name == column else f"{name} (column {column!r})"
    for row in np.flatnonzero(bad):
        value = values[row]
        if row in no_numbers:
            reason = f"is {no_numbers[row]!r}, not a number"
        elif np.isnan(value):
            reason = "has no value"
        elif value in MISSING_CODES:
            reason = f"is {value:g}, a code for a missing value"
        elif name in MAGNITUDES and unit != "AB":
            reason = f"is {value:g} {unit}: a flux must be positive and finite"
        elif not np.isfinite(high):
            reason = f"is {value:g}: it must be positive and finite"
        else:
            reason = f"is {value:g}, outside [{0 if low < 1e-300 and low > 0 else low:g}, {high:g}]"
            if name.startswith("log_") and value > 1e4:
                reason += ": its logarithm is needed"
        reasons[row].append(f"{label} {reason}")
    return np.where(bad, np.nan, values)


def _to_magnitudes(values: dict, unit: str, dereddened: bool, reasons) -> None:
    """Turn fluxes into magnitudes and remove the Galactic extinction, in place."""
    for band in BANDS:
        name, error = f"mag_{band}", f"magerr_{band}"
        if unit != "AB":
            if error in values:
                values[error] = 2.5 / np.log(10) * values[error] / values[name]
            values[name] = UNITS[unit] - 2.5 * np.log10(values[name])
        if not dereddened:
            values[name] = values[name] - EXTINCTION[band] * values["ebv"]
        # Comparisons with NaN are false: those rows have their reason already.
        for row in np.flatnonzero((values[name] <= 0) | (values[name] > 40)):
            reasons[row].append(
                f"{name} becomes {values[name][row]:.1f} mag: the unit {unit} cannot be right"
            )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    # Nor do files take control characters.
    return not re.search(r"[\x00-\x1f\x7f]", text)


# Cutouts


def _collect_cutouts(cutouts, pixel_scale, object_id, reasons, where) -> np.ndarray:
    """Cutouts of the rows without a reason so far; those that fail get one."""
    if isinstance(cutouts, str | os.PathLike):
        folder = _Folder(cutouts)

        def read(row):
            return folder.cutout(object_id[row], pixel_scale)
    else:
        try:
            stack = cutouts if isinstance(cutouts, np.ndarray) else np.asarray(cutouts)
        except (ValueError, TypeError) as error:
            raise SurveyError(
                "the cutouts are no array: give uint8 (n, height, width, 3), or a folder where "
                "their sizes differ"
            ) from error
        if stack.ndim != 4 or stack.shape[3] != 3 or stack.dtype != np.uint8:
            raise SurveyError(
                f"the cutouts are {stack.dtype} {stack.shape}: uint8 (n, height, width, 3) with "
                "channels i, r, g is needed"
            )
        if len(stack) != len(object_id):
            raise SurveyError(
                f"{len(stack)} cutouts for {len(object_id)} rows of {where}: one a row is needed"
            )

        def read(row):
            return _checked(_fitted(np.ascontiguousarray(stack[row]), pixel_scale))

    images = np.empty((sum(not reason for reason in reasons), *IMAGE_SHAPE), np.uint8)
    n = 0
    for row, reason in enumerate(reasons):
        if reason:
            continue
        try:
            images[n] = read(row)
            n += 1
        except ValueError as error:
            reasons[row].append(f"cutout: {error}")
    return images[:n]


def _warn_of_reversed_channels(catalogue: pd.DataFrame, images: np.ndarray, where: str) -> None:
    """Warn where the cutouts get bluer as the magnitudes get redder; a few galaxies cannot say."""
    if len(images) < FEWEST_COLOURS:
        return
    middle = np.s_[:, *(slice(side // 2 - 8, side // 2 + 8) for side in IMAGE_SHAPE[:2])]
    light = 1 + images[middle].mean(axis=(1, 2))
    pictured = pd.Series(np.log(light[:, 0] / light[:, 2]))
    if pictured.corr(catalogue["mag_g"] - catalogue["mag_i"], method="spearman") < -0.5:
        warnings.warn(
            f"{where}: galaxies that are red by g − i are blue in their cutouts: are the channels "
            "in the order g, r, i? They must be i, r, g",
            stacklevel=4,
        )


def read_cutout(path: Path | str, pixel_scale: float) -> np.ndarray:
    """Cutout in a JPEG or PNG file, uint8 `(128, 128, 3)` at 0.396 arcsec a pixel.

    Raises:
        ValueError: not a colour picture, blank, or covers less than 50.7 arcsec.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["JPEG", "PNG"]) as picture:
            if max(picture.size) > LARGEST_CUTOUT:
                raise ValueError(
                    f"{picture.size[0]}×{picture.size[1]} pixels are too many: "
                    f"{LARGEST_CUTOUT} a side at most"
                )
            # P: of a palette, which may hold colours.
            if picture.mode not in ("RGB", "RGBA", "P"):
                raise ValueError(f"has mode {picture.mode}, a colour (RGB) picture is needed")
            pixels = np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("not a readable JPEG or PNG") from error
    return _checked(_fitted(pixels, pixel_scale))


def _checked(pixels: np.ndarray) -> np.ndarray:
    if np.ptp(pixels) < 8:
        raise ValueError("blank")
    if (pixels == pixels[:, :, :1]).all():
        raise ValueError("grey: its three channels are the same, a colour picture is needed")
    return pixels


def _fitted(pixels: np.ndarray, pixel_scale: float) -> np.ndarray:
    """The middle of a picture `(h, w, 3)` or a band `(h, w)`, on 128×128 pixels of 0.396 arcsec."""
    from PIL import Image

    height, width = pixels.shape[:2]
    side = IMAGE_SHAPE[0]
    if abs(pixel_scale / PIXEL_SCALE - 1) < SAME_SCALE and min(height, width) >= side:
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
    needed = side * PIXEL_SCALE / pixel_scale
    if min(height, width) < (1 - SHORTFALL) * needed:
        raise ValueError(
            f"{width}×{height} pixels of {pixel_scale:g} arcsec cover "
            f"{min(height, width) * pixel_scale:.1f} arcsec, {side * PIXEL_SCALE:.1f} are needed"
        )
    box_w, box_h = min(needed, width), min(needed, height)
    left, top = (width - box_w) / 2, (height - box_h) / 2
    resized = Image.fromarray(pixels).resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + box_w, top + box_h)
    )
    return np.array(resized)


class _Folder:
    """Cutouts by id: ID.jpg, ID.jpeg, ID.png, or ID_i.fits, ID_r.fits and ID_g.fits.

    Names are looked up in the list of the folder's own files, so that an id can never lead out of
    it. Where a file cannot have the name of an id, as with a/b, its percent-encoded form does.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise SurveyError(f"{self.folder} is no folder: give the one that holds the cutouts")
        inside = self.folder.resolve()
        self.files = {}
        for entry in os.scandir(self.folder):
            # A link out of the folder is not followed.
            if entry.is_file() and Path(entry.path).resolve().is_relative_to(inside):
                name = Path(entry.name)
                self.files[name.stem + name.suffix.lower()] = Path(entry.path)

    def find(self, object_id: str, ending: str) -> Path | None:
        return self.files.get(object_id + ending) or self.files.get(
            quote(object_id, safe="") + ending
        )

    def cutout(self, object_id: str, pixel_scale: float) -> np.ndarray:
        for ending in (".jpg", ".jpeg", ".png"):
            path = self.find(object_id, ending)
            if path is not None:
                try:
                    return read_cutout(path, pixel_scale)
                except ValueError as error:
                    raise ValueError(f"{path.name}: {error}") from error
        bands = {band: self.find(object_id, f"_{band}.fits") for band in "irg"}
        absent = [band for band, path in bands.items() if path is None]
        if len(absent) == 3:
            cube = self.find(object_id, ".fits")
            raise ValueError(
                f"{self.folder} has no {object_id}.jpg, .png or {object_id}_i.fits, _r and _g"
                + (f"; split {cube.name} into these" if cube else "")
            )
        if absent:
            raise ValueError(f"{self.folder} has no {object_id}_{absent[0]}.fits")
        # Interpolation keeps the surface brightness; the recipe wants the flux of an SDSS pixel.
        area = (PIXEL_SCALE / pixel_scale) ** 2
        planes = [
            area * _fitted(_fits_band(path, pixel_scale), pixel_scale) for path in bands.values()
        ]
        if not np.isfinite(planes).all():
            raise ValueError(f"{bands['i'].name} or its other bands have pixels without a value")
        return _checked(lupton_rgb(*planes))


def _fits_band(path: Path, pixel_scale: float) -> np.ndarray:
    """Image in the first extension that has one, nanomaggies a pixel, north up and east left.

    Without a celestial WCS the first row is taken to be in the south, the first column in the east.
    """
    from astropy import units as u
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as file:
            plane = next((h for h in file if h.is_image and h.header.get("NAXIS") == 2), None)
            if plane is None:
                raise ValueError(f"{path.name} holds no image of two dimensions")
            if max(plane.shape) > LARGEST_CUTOUT:
                raise ValueError(f"{path.name} is larger than {LARGEST_CUTOUT} pixels a side")
            data, header = np.asarray(plane.data, np.float32), plane.header
    except (OSError, TypeError, KeyError, fits.VerifyError) as error:
        raise ValueError(f"{path.name} is not readable FITS") from error
    unit = re.sub(r"\s*(/\s*pix(el)?|pix(el)?\^?-1)$", "", str(header.get("BUNIT", "")).strip())
    if unit.lower() not in ("", "nanomaggy", "nanomaggies", "nmgy"):
        try:
            data = data * np.float32(u.Unit(unit).to(u.Jy) / 3631e-9)
        except (u.UnitsError, ValueError, TypeError) as error:
            raise ValueError(
                f"{path.name} is in {unit!r}: nanomaggies or Jy a pixel are needed"
            ) from error
    try:
        data = _north_up(data, header, pixel_scale)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    # FITS counts rows from the bottom, pictures from the top.
    return np.ascontiguousarray(data[::-1])


def _north_up(data: np.ndarray, header, pixel_scale: float) -> np.ndarray:
    """The image turned, or mirrored, until rows run north and columns west; NaN outside it."""
    from astropy.wcs import WCS
    from scipy.ndimage import affine_transform

    with warnings.catch_warnings():
        # astropy about headers of older conventions, which it corrects.
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header)
        # Any header may come, and its parser raises what it likes.
        except Exception as error:
            raise ValueError("its world coordinates cannot be read") from error
    if not wcs.has_celestial:
        return data
    # Steps to the east and north for a step along columns and rows, in pixels of `pixel_scale`.
    steps = wcs.celestial.pixel_scale_matrix * 3600 / pixel_scale
    own_scales = np.linalg.svd(steps, compute_uv=False)
    if not (np.abs(own_scales - 1) < 0.02).all():
        raise ValueError(
            f"its header says {own_scales[0] * pixel_scale:.3f} × "
            f"{own_scales[1] * pixel_scale:.3f} arcsec a pixel, not {pixel_scale:g}"
        )
    # Rows and columns of the image for a step north and a step west.
    turn = np.linalg.inv(steps)[::-1] @ [[0, -1], [1, 0]]
    nearest = np.round(turn)
    centre = (np.array(data.shape) - 1) / 2
    if np.abs(turn - nearest).max() < SMALLEST_TURN:
        # By quarters of a turn no pixel is touched.
        if nearest[0, 0] == 0:
            data, nearest = data.T, nearest[::-1]
        return data[:: int(nearest[0, 0]), :: int(nearest[1, 1])]
    if not np.isfinite(data).all():
        raise ValueError("it has pixels without a value, and cannot be turned north up")
    return affine_transform(
        data, turn, centre - turn @ centre, order=3, mode="constant", cval=np.nan
    )
