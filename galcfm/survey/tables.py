"""Tables of any kind, column by column."""

import contextlib
import gzip
import os
import re
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey.rules import SurveyError

__all__ = ["FORMATS", "SourceTable", "read_table"]

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


class SourceTable:
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
