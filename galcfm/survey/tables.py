"""Readers of tables in several formats, column by column.

FITS, VOTable, ECSV, HDF5 and arrays become an astropy Table with its units and masks; Parquet
becomes an Arrow table and CSV a DataFrame. `SourceTable` reads the columns one by one, so that
unused columns may have any content.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from io import BytesIO
from numbers import Real
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from galcfm.paths import user_path
from galcfm.survey.photometry import unit_factor
from galcfm.survey.rules import SurveyError

ENDINGS = {
    "fits": (".fits", ".fit", ".fz"),
    "parquet": (".parquet", ".pq"),
    "csv": (".csv",),
    "ascii.ecsv": (".ecsv",),
    "votable": (".vot", ".votable", ".xml"),
    "hdf5": (".h5", ".hdf5", ".hdf"),
}
# Codes for missing values, which are not multiplied by the factor of a unit.
CODES_IN_ANY_UNIT = (-999.0, -9999.0, -32768.0)
NUMBERS = (str, bytes, Real, Decimal)
# Metadata with which astropy marks its own Parquet files, and its names of these formats.
ASTROPY_METADATA = {
    b"table_meta_yaml": "parquet",
    b"IVOA.VOTable-Parquet.content": "parquet.votable",
}
FORMATS = {ending: form for form, endings in ENDINGS.items() for ending in endings}


def read_table(path: Path | str):
    """Return the table in a file: an Arrow table for Parquet, a DataFrame for CSV, else of astropy.

    The ending of the file name gives the format, see `FORMATS`; all formats except Parquet and HDF5
    may be compressed by gzip (.gz).

    Arguments:
        path: Path of the file.

    Raises:
        SurveyError: The file is missing, has another format, contains several tables or cannot be
            read.
    """
    path = user_path(path, "the path of the table", SurveyError)
    name = path.name.lower()
    form = FORMATS.get(Path(name.removesuffix(".gz")).suffix)
    if path.is_dir():
        raise SurveyError(f"{path} is a folder: give one file, or open a survey with Survey.load")
    if form is None or (name.endswith(".gz") and form in ("parquet", "hdf5")):
        raise SurveyError(f"{path}: this ending is unknown; use one of {', '.join(FORMATS)}")
    if not path.is_file():
        raise SurveyError(f"{path} is missing or not a file: check the path")
    remedy = "check that the file is complete and its ending correct"
    if form == "csv":
        remedy = "read it with pandas.read_csv and its options, and write it as Parquet"
    with readable(path, form, remedy):
        if form == "parquet":
            with parquet.ParquetFile(path) as file:
                return _of_arrow(file.read())
        if form == "csv":
            return _read_csv(path)
        if form == "fits":
            from astropy.io import fits

            with fits.open(path, memmap=False, character_as_bytes=True) as hdus:
                return _of_fits(hdus, path)
        if form == "hdf5":
            import h5py

            with h5py.File(path, "r") as file:
                return _of_hdf5(file, path)
        from astropy.table import Table
        from astropy.utils.data import get_readable_fileobj

        with get_readable_fileobj(path, encoding="binary") as file:
            content = file.read()
        # astropy would open any address in such an element.
        if re.search(rb"(?i)<(\w+:)?STREAM\b[^>]*\bhref\b", content):
            raise ValueError("its data are in another file; write them into this one")
        return Table.read(BytesIO(content), format=form)


@contextlib.contextmanager
def readable(name, form: str, remedy: str):
    """Convert any error of a reader into a `SurveyError` that names the file.

    Arguments:
        name: Name of the file in messages.
        form: Format of the file.
        remedy: Advice to the user.
    """
    try:
        yield
    except (ImportError, SurveyError):
        raise
    except Exception as error:
        what = " ".join(str(error).split())[:200]
        raise SurveyError(
            f"{name} cannot be read as {form.removeprefix('ascii.')} ({type(error).__name__}: "
            f"{what}): {remedy}"
        ) from error


def _read_csv(path) -> pd.DataFrame:
    """Return the cells of a CSV file as text, so that long identifiers keep their digits."""
    # The header is read as a row, as pandas would rename the second of two columns with one name,
    # and would use the first column as index if rows are longer than the header.
    options = {"dtype": str, "keep_default_na": False, "skipinitialspace": True}
    cells = pd.read_csv(path, header=None, **options)
    frame = cells[1:].reset_index(drop=True)
    frame.columns = [str(name).strip() for name in cells.iloc[0]]
    return frame


def _of_arrow(table):
    """Return an Arrow table, or an astropy `Table` if it has the metadata of astropy."""
    for key, form in ASTROPY_METADATA.items():
        if key in (table.schema.metadata or {}):
            from astropy.table import Table

            parquet.write_table(table, content := BytesIO())
            return Table.read(content, format=form)
    return with_range_index(table)


def with_range_index(table, first: int = 0, rows: int | None = None):
    """Return an Arrow table with a column for each named index that pandas stores as a range.

    Arguments:
        table: Arrow table.
        first: Number of its first row in the whole table.
        rows: Number of rows of the whole table, by default the length of `table`.
    """
    for index in (table.schema.pandas_metadata or {}).get("index_columns", ()):
        if isinstance(index, dict) and index.get("name") not in (None, *table.column_names):
            values = np.arange(index["start"], index["stop"], index["step"])
            # A table that was cut elsewhere does not state which rows are left.
            if len(values) == (len(table) if rows is None else rows):
                table = table.append_column(index["name"], [values[first : first + len(table)]])
    return table


def _of_fits(table, name):
    """Return the astropy `Table` in an HDU, in a list of HDUs, or in the records of an HDU."""
    from astropy.io import fits
    from astropy.table import MaskedColumn, Table

    kinds = (fits.BinTableHDU, fits.TableHDU)
    if isinstance(table, fits.HDUList):
        tables = {k: hdu for k, hdu in enumerate(table) if isinstance(hdu, kinds)}
        if len(tables) != 1:
            found = ", ".join(f"{k} ({hdu.name or 'no name'})" for k, hdu in tables.items())
            raise SurveyError(
                f"{name} has {f'several tables, extensions {found}' if tables else 'no table'}: "
                "write the table you need into its own file, or give Survey.from_table "
                "astropy.io.fits.open(path)[1]"
            )
        (table,) = tables.values()
    if isinstance(table, fits.FITS_rec):
        is_text = any(column.ascii for column in table.columns)
        table = fits.TableHDU(table) if is_text else fits.BinTableHDU(table)
    if not isinstance(table, kinds):
        raise SurveyError(f"{name}: a {type(table).__name__} is not a table: give the extension")
    result = Table.read(table, unit_parse_strict="silent")
    stored = table.data.view(np.ndarray)
    # TNULL is a stored value; astropy compares it with scaled values, and reads the empty cells of
    # a text table as 0.
    for column in table.columns:
        raw, values = stored[column.name], result[column.name]
        gaps = np.ma.getmaskarray(values)
        if column.ascii:
            raw = np.char.strip(raw)
            gaps = gaps | (raw == b"") | (raw == str(column.null).strip().encode())
        elif column.null is not None and raw.shape == values.shape:
            gaps = gaps | (raw == column.null)
        if gaps.any():
            result[column.name] = MaskedColumn(values, mask=gaps)
    return result


def _of_hdf5(node, name):
    """Return the astropy `Table` in an HDF5 file, group or dataset.

    A table is a compound dataset, as astropy and PyTables write it, or a group of datasets with the
    same length, one per column. Their attributes `unit` or `units` and `_FillValue` are used;
    datasets with three or more dimensions are left out.
    """
    import h5py
    from astropy import units as u
    from astropy.table import MaskedColumn, Table

    found = {node.name: node}
    if isinstance(node, h5py.Group):
        # Links are not followed, neither within the file nor to other files.
        node.visititems(found.__setitem__)
    columns = {key: data for key, data in found.items() if isinstance(data, h5py.Dataset)}
    tables = [data for data in columns.values() if data.dtype.names]
    if len(tables) > 1:
        names = ", ".join(data.name for data in tables)
        raise SurveyError(
            f"{name} has several tables, {names}: write the table you need into its own file, or "
            "give Survey.from_table h5py.File(path)[…]"
        )
    if tables:
        return Table.read(tables[0].file, path=tables[0].name, format="hdf5")
    table = Table()
    for key, data in columns.items():
        if "/" not in key and 1 <= data.ndim <= 2:
            values, gap = data[()], data.attrs.get("_FillValue")
            table[key] = MaskedColumn(values, mask=False if gap is None else values == gap)
            if unit := data.attrs.get("unit", data.attrs.get("units")):
                table[key].unit = u.Unit(unit, parse_strict="silent")
    return table


def _as_table(table, name: str):
    """Return any table as a table of astropy, Arrow or pandas; a named index becomes columns.

    Raises:
        SurveyError: The value is not a table, or cannot be read.
    """
    if isinstance(table, str | os.PathLike):
        table = read_table(table)
    kinds = [kind.__module__ for kind in type(table).__mro__]
    with readable(name, f"a {type(table).__name__}", "keep it open, give columns of equal length"):
        if any(kind.startswith("astropy.io.fits") for kind in kinds):
            table = _of_fits(table, name)
        elif any(kind.startswith("h5py.") for kind in kinds):
            table = _of_hdf5(table, name)
        elif isinstance(table, Mapping) or (isinstance(table, np.ndarray) and table.dtype.names):
            from astropy.table import QTable

            if isinstance(table, Mapping):
                table = {name: _without_pandas(data) for name, data in table.items()}
            table = QTable(table)
        elif hasattr(table, "__arrow_c_stream__") and not isinstance(
            table, pd.DataFrame | pd.Series
        ):
            table = _of_arrow(pyarrow.table(table))
        if isinstance(table, pd.DataFrame):
            index = [n for n in table.index.names if n is not None and n not in table.columns]
            return table.reset_index(index) if index else table
    if not hasattr(table, "colnames") and not hasattr(table, "column_names"):
        raise SurveyError(
            f"a value of type {type(table).__module__}.{type(table).__name__} is not a table: give "
            "a path, a pandas DataFrame, an astropy Table, a FITS or HDF5 table, an Arrow table or "
            "a dict of arrays"
        )
    return table


def _without_pandas(data):
    """Return pandas data as an array, masked where values are missing; other data unchanged."""
    if not isinstance(data, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return data
    data = pd.Series(data)
    if pd.api.types.is_extension_array_dtype(data.dtype):
        gaps = data.isna().to_numpy(dtype=bool)
        return np.ma.MaskedArray(data.astype(object).to_numpy(), gaps)
    return data.to_numpy()


class SourceTable:
    """Table of any supported format, read column by column.

    Arguments:
        table: Path, DataFrame, astropy Table, FITS or HDF5 table, Arrow table, structured array or
            dict of arrays.
        name: Name in messages, by default the path.
    """

    def __init__(self, table, name: str | None = None):
        self.name = name or (str(table) if isinstance(table, str | os.PathLike) else "table")
        self.table = _as_table(table, self.name)
        kinds = ("colnames", "column_names", "columns")  # attributes of astropy, Arrow and pandas
        names = next(getattr(self.table, kind) for kind in kinds if hasattr(self.table, kind))
        self.names = list(names)

    def __len__(self) -> int:
        return len(self.table)

    def has(self, column: str) -> bool:
        """Return whether the table has this column, or the column of vectors that it indexes."""
        return self._place(column)[0] in self.names

    def _place(self, column: str) -> tuple[str, int | None]:
        """Return the name of a column and, for `"flux[2]"`, the index of the element."""
        match = None if column in self.names else re.fullmatch(r"(.+)\[(\d+)\]", column)
        return (match[1], int(match[2])) if match else (column, None)

    def _column(self, column: str):
        """Return the values of a column, masked where they are missing, and the stated unit."""
        name, index = self._place(column)
        if self.names.count(name) > 1:
            raise SurveyError(f"{self.name}: two columns are called {name!r}; rename one of them")
        data = self.table[name]
        unit = None if isinstance(data, pd.Series) else getattr(data, "unit", None)
        if hasattr(data, "to_pandas"):
            # Integers with missing values would lose digits as floats.
            data = data.to_pandas(integer_object_nulls=True)
        data = _without_pandas(data)
        mask = getattr(data, "mask", None)
        data = np.asarray(getattr(data, "unmasked", data))
        if index is not None and data.ndim == 1 and data.dtype == object:
            # Parquet, and FITS with variable length, store vectors as objects.
            data = np.array([_element(vector, index) for vector in data], object)
        elif index is not None and data.ndim == 2 and index < data.shape[1]:
            data, mask = data[:, index], None if mask is None else mask[:, index]
        if data.dtype.kind not in "iufOSU":
            raise SurveyError(
                f"{self.name}: column {column!r} has type {data.dtype}: give numbers or text"
            )
        if data.ndim != 1:
            raise SurveyError(
                f"{self.name}: column {column!r} has shape {data.shape}, but one value per row is "
                f"needed: name one element of the vector, e.g. {name}[0]"
            )
        return np.ma.MaskedArray(data, np.ma.nomask if mask is None else mask), unit

    def numbers(self, name: str, column: str, flux_unit: str) -> tuple[np.ndarray, dict[int, str]]:
        """Return the values of a column as numbers in the unit of a survey.

        Arguments:
            name: Name of the column in a survey.
            column: Name of the column in the table.
            flux_unit: Declared unit of magnitudes or fluxes.

        Returns:
            Values, float64 `(n,)`, NaN where there is no number; and the text of the cells that are
            not numbers, by row.
        """
        data, unit = self._column(column)
        no_numbers = {}
        if data.dtype.kind in "iuf":
            numbers = data.astype(np.float64).filled(np.nan)
        else:
            cells = pd.Series(_cells(data), dtype=object)
            # Booleans, which pandas reads as 0 and 1, and other objects are not numbers.
            kinds = cells.map(type)
            usable = kinds.map(lambda kind: issubclass(kind, NUMBERS) and kind is not bool)
            numbers = pd.to_numeric(cells.where(usable), errors="coerce").to_numpy(np.float64)
            for row in np.flatnonzero(np.isnan(numbers)):
                if (text := _text(cells[row])).lower() not in ("", "nan"):
                    no_numbers[int(row)] = text[:40]
        if unit is not None:
            factor = unit_factor(unit, name, flux_unit, f"{self.name}: column {column!r}")
            numbers = np.where(np.isin(numbers, CODES_IN_ANY_UNIT), numbers, factor * numbers)
        return numbers, no_numbers

    def texts(self, column: str) -> list[str]:
        """Return the values of a column as text, empty where they are missing."""
        data, _ = self._column(column)
        texts = []
        for cell in _cells(data).tolist():
            text = _text(cell)
            if isinstance(cell, float) and text:
                if not cell.is_integer() or abs(cell) >= 2**53:
                    raise SurveyError(
                        f"{self.name}: column {column!r} has floats, in which long identifiers "
                        "lose digits: give integers or text"
                    )
                text = str(int(cell))
            elif text and not isinstance(cell, str | bytes | int | np.integer):
                raise SurveyError(
                    f"{self.name}: column {column!r} contains a {type(cell).__name__}: give text "
                    "or integers"
                )
            texts.append(text)
        return texts


def _element(vector, index: int):
    """Return an element of a vector, or `None` if it is masked or missing."""
    cell = vector[index] if np.ndim(vector) == 1 and len(vector) > index else None
    return None if cell is np.ma.masked else cell


def _cells(data: np.ma.MaskedArray) -> np.ndarray:
    """Return the values of a column as objects, with `None` for masked values."""
    cells = data.data.astype(object)
    cells[np.ma.getmaskarray(data)] = None
    return cells


def _text(cell) -> str:
    """Return a cell as text, empty if it has no value."""
    if isinstance(cell, bytes):
        # A byte that is not UTF-8 becomes a surrogate, which makes the row unusable.
        return cell.decode("utf-8", "surrogateescape").strip()
    return "" if pd.api.types.is_scalar(cell) and pd.isna(cell) else str(cell).strip()
