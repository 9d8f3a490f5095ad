"""Tables of any kind, column by column.

Whatever comes in becomes one of two things: what is FITS, VOTable, ECSV or HDF5, and arrays, an
astropy Table with its units and gaps; what is Arrow or CSV, a DataFrame. From there one path leads
on.
"""

import contextlib
import csv
import gzip
import os
import re
from collections.abc import Mapping
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.survey.rules import SurveyError

__all__ = ["FORMATS", "INVERSE_VARIANCES", "SourceTable", "read_table"]

# Under these names a table may give 1/error² of fluxes in place of errors.
INVERSE_VARIANCES = tuple(f"ivar_{band}" for band in BANDS)

FORMATS = {
    ".fits": "fits",
    ".fit": "fits",
    ".fz": "fits",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".hdf": "hdf5",
}
# How tables spell magnitudes of each kind, beside "mag".
MAGNITUDE_SPELLINGS = {
    "AB": ("abmag", "magab"),
    "asinh": ("asinhmag", "magasinh", "luptitude", "luptitudes"),
    "Vega": ("vegamag", "magvega"),
}
# Python's own `float` takes 1_9 for 19, and digits of any script.
NUMBER = re.compile(
    r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)", re.ASCII | re.IGNORECASE
)


def read_table(path: Path | str):
    """Table in a file: an astropy `Table`, or a DataFrame of Parquet and CSV.

    The ending says the format, see `FORMATS`; all but Parquet and HDF5 may be packed by gzip (.gz).
    Parquet that astropy wrote becomes a `Table`, as it holds units. CSV is kept as text, see
    `_read_csv`. Of HDF5, a compound dataset or a group of columns is a table, see `_read_hdf5`.

    Raises:
        SurveyError: the file is missing, of another format, holds several tables, or cannot be
            read.
    """
    path = Path(path)
    name = path.name.lower()
    packed = name.endswith(".gz")
    form = FORMATS.get(Path(name.removesuffix(".gz")).suffix)
    if form is None or (packed and form in ("parquet", "hdf5")):
        raise SurveyError(f"{path}: this ending is unknown; use one of {', '.join(FORMATS)}")
    if not path.is_file():
        raise SurveyError(f"{path} is missing or not a file: check the path")
    with _readable(path, form, "check that the file is whole and its ending right"):
        if form == "parquet":
            return _read_parquet(path)
        if form == "fits":
            from astropy.io import fits

            with fits.open(path, memmap=False, character_as_bytes=True) as hdus:
                return _read_fits(hdus, path)
        if form == "hdf5":
            import h5py

            with h5py.File(path, "r") as file:
                return _read_hdf5(file, path)
        content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        if form == "csv":
            return _read_csv(_decoded(content, path), path)
        from astropy.table import Table

        if form == "ascii.ecsv":
            return Table.read(_decoded(content, path), format=form)
        # astropy would open whatever address stands there.
        if re.search(rb"(?i)<(\w+:)?STREAM\b[^>]*\bhref\b", content):
            raise ValueError("its data are in another file; write them into this one")
        return Table.read(BytesIO(content), format=form)


@contextlib.contextmanager
def _readable(name, form: str, remedy: str):
    """Readers raise dozens of kinds of errors, none of which names the file."""
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


def _read_fits(table, name):
    """Astropy `Table` of an HDU, of a list of HDUs with one table, or of the records of an HDU.

    Units (TUNIT), gaps (TNULL) and scales (TSCAL, TZERO) count alike for all of them.
    """
    from astropy.io import fits
    from astropy.table import MaskedColumn, Table

    if isinstance(table, fits.HDUList):
        table = _only_table(table, name)
    if isinstance(table, fits.FITS_rec):
        is_text = any(column.ascii for column in table.columns)
        table = fits.TableHDU(table) if is_text else fits.BinTableHDU(table)
    if not isinstance(table, fits.BinTableHDU | fits.TableHDU):
        raise SurveyError(f"{name}: a {type(table).__name__} is no table: give its table extension")
    if table.header.get("ZTABLE"):
        raise SurveyError(f"{name}: its table is compressed by fpack: unpack it with funpack")
    result = Table.read(table, unit_parse_strict="silent")
    stored = table.data.view(np.ndarray)
    for column in table.columns:
        if column.name not in result.colnames or not (column.ascii or column.null is not None):
            continue
        raw, values = stored[column.name], result[column.name]
        if raw.shape != values.shape:
            continue
        # TNULL is a value as it is stored; astropy compares it with values that are scaled.
        gaps = raw == column.null
        if column.ascii:
            raw = np.char.strip(raw)
            gaps = (raw == b"") | (raw == str(column.null).strip().encode())
        elif values.dtype.kind == "u":
            # Unless astropy wrote it: for unsigned integers it stores the value that is meant.
            gaps |= np.ma.getdata(values) == column.null
        result[column.name] = MaskedColumn(values, mask=gaps)
    return result


def _only_table(hdus, name):
    from astropy.io import fits

    kinds = (fits.BinTableHDU, fits.TableHDU)
    tables = [number for number, hdu in enumerate(hdus) if isinstance(hdu, kinds)]
    if not tables:
        raise SurveyError(f"{name} holds no table, only images: check that it is the catalogue")
    if len(tables) > 1:
        found = ", ".join(f"{number} ({hdus[number].name or 'no name'})" for number in tables)
        raise SurveyError(
            f"{name} holds several tables, extensions {found}: pass the one you mean, e.g. "
            f"astropy.io.fits.open(path)[{tables[0]}]"
        )
    return hdus[tables[0]]


def _read_hdf5(node, name):
    """Astropy `Table` of an HDF5 file, group or dataset.

    A table is a compound dataset, as astropy and PyTables write them, or a group of datasets of one
    length, a column each; datasets of three and more dimensions, such as pictures, are left out.
    Attributes `unit` or `units` and `_FillValue` of columns count.
    """
    import h5py
    from astropy import units as u
    from astropy.table import MaskedColumn, Table

    if not (isinstance(node, h5py.Dataset) and node.dtype.names):
        node = _only_hdf5_table(node, name)
    if isinstance(node, h5py.Dataset):
        return Table.read(node.file, path=node.name, format="hdf5")
    table = Table()
    for column, data in _hdf5_columns(node).items():
        if data.ndim > 2:
            continue
        values = data[()]
        gap = data.attrs.get("_FillValue")
        table[column] = values if gap is None else MaskedColumn(values, mask=values == gap)
        for attribute in ("unit", "units"):
            if (text := _attribute(data, attribute)).strip():
                table[column].unit = u.Unit(text.strip(), parse_strict="silent")
    return table


def _only_hdf5_table(node, name):
    """The one table below a group: a compound dataset, or a group of columns."""
    import h5py

    if isinstance(node, h5py.Dataset):
        raise SurveyError(
            f"{name}: {node.name} is an array of {node.dtype}, no table: give the group that holds "
            "the columns, or a dict of arrays"
        )
    found = []

    def look(group):
        if _attribute(group, "pandas_type"):
            raise SurveyError(
                f"{name}: {group.name} was written by pandas in a form of its own: give the "
                "DataFrame that pandas.read_hdf makes of it"
            )
        if len(_hdf5_columns(group)) > 1:
            found.append(group)
        for key in group:
            if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
                raise SurveyError(
                    f"{name}: {key!r} is in another file: write the columns into this one"
                )
            below = group.get(key)
            if isinstance(below, h5py.Group):
                look(below)
            elif isinstance(below, h5py.Dataset) and below.dtype.names:
                found.append(below)

    look(node)
    if not found:
        raise SurveyError(
            f"{name} holds no table: give a compound dataset, or a group with a dataset a column"
        )
    if len(found) > 1:
        places = ", ".join(below.name for below in found)
        raise SurveyError(
            f"{name} holds several tables, {places}: pass the one you mean, e.g. "
            f"h5py.File(path)[{found[0].name!r}]"
        )
    if isinstance(found[0], h5py.Group):
        columns = _hdf5_columns(found[0])
        lengths = {len(data) for data in columns.values()}
        if len(lengths) > 1:
            which = "; ".join(
                f"{n}: {', '.join(key for key, data in columns.items() if len(data) == n)}"
                for n in sorted(lengths)
            )
            raise SurveyError(
                f"{name}: the columns in {found[0].name} have several lengths ({which[:200]}): "
                "give a dict of those that belong together"
            )
    return found[0]


def _hdf5_columns(group) -> dict:
    """Datasets right in a group that may be columns, by name."""
    import h5py

    columns = {}
    for key in group:
        data = group.get(key) if isinstance(group.get(key, getlink=True), h5py.HardLink) else None
        if not isinstance(data, h5py.Dataset) or not data.ndim or data.dtype.names:
            continue
        if data.external or data.is_virtual:
            raise SurveyError(f"{data.name} has its data in another file: write them into this one")
        # What astropy writes beside a table.
        if not key.endswith("__table_column_meta__"):
            columns[key] = data
    return columns


def _attribute(node, name: str) -> str:
    value = node.attrs.get(name, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _read_parquet(source):
    """Table of a Parquet file: a DataFrame, or an astropy `Table` if it declares units."""
    from pyarrow import parquet

    metadata = parquet.read_schema(source).metadata or {}
    # What pandas would leave out: units, and which values are gaps.
    for key, form in {
        b"table_meta_yaml": "parquet",
        b"IVOA.VOTable-Parquet.content": "parquet.votable",
    }.items():
        if key in metadata:
            from astropy.table import Table

            return Table.read(source, format=form)
    # Integers with gaps stay integers: as floats, identifiers would lose digits.
    return pd.read_parquet(source, dtype_backend="numpy_nullable")


def _decoded(content: bytes, path) -> str:
    """Text in UTF-8, or in what a byte order mark says."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SurveyError(
            f"{path} cannot be read as text in {encoding.removesuffix('-sig').upper()}: save it "
            "as UTF-8"
        ) from error


def _read_csv(text: str, path) -> pd.DataFrame:
    """Cells of a CSV file as text, so that long identifiers keep their digits.

    Columns are separated by commas, semicolons or tabs, whichever the header holds. Lines that
    start with # above the header are skipped, as in answers of SkyServer, unless the last of them
    is the header. `attrs["decimal"]` is a comma if the numbers of the file have decimal commas.
    """
    head = re.match(r"(?:[ \t]*(?:#[^\r\n]*)?[\r\n]+)*", text)[0]
    text = text[len(head) :]
    line = re.match(r"[^\r\n]*", text)[0]
    comment = head.strip().splitlines()[-1].lstrip("#").strip() if head.strip() else ""
    if _is_header(comment, line):
        line, text = comment, f"{comment}\n{text}"
    if "\0" in line:
        raise SurveyError(f"{path} cannot be read as text in UTF-8: save it as UTF-8")
    separators = _separators(line)
    if len(separators) != 1:
        what = " and ".join(map(repr, separators)) if separators else "no comma, semicolon or tab"
        raise SurveyError(
            f"{path} cannot be read as csv: its header {line[:60]!r} holds {what}; separate the "
            "columns by commas and quote names that hold one"
        )
    separator = separators[0]
    remedy = f"give each row one value a column, and quote those that hold {separator!r}"
    with _readable(path, "csv", remedy):
        options = {"skipinitialspace": True}
        names = next(csv.reader(StringIO(text), delimiter=separator, **options))
        # One more, as some programs end each row with a separator; the header comes as a row, for
        # pandas would rename the second of two columns of one name.
        options |= {"names": range(len(names) + 1), "dtype": str, "keep_default_na": False}
        cells = pd.read_csv(StringIO(text), sep=separator, header=None, **options)
    frame = cells[1:].reset_index(drop=True)
    more = frame.pop(len(names)).fillna("").str.strip().ne("")
    if more.any():
        raise SurveyError(f"{path}: row {more.idxmax()} has more values than columns: {remedy}")
    frame.columns = [name.strip() for name in names]
    # In a file that has both, a comma may part thousands.
    marks = "" if separator == "," else ",."
    patterns = {mark: rf"\s*[+-]?\d*\{mark}\d+([eE][+-]?\d+)?\s*" for mark in marks}
    found = [m for m in marks if any(cells[k].str.fullmatch(patterns[m]).any() for k in cells)]
    frame.attrs["decimal"] = "," if found == [","] else "."
    return frame


def _separators(line: str) -> list[str]:
    unquoted = re.sub(r'"[^"]*"', "", line)
    return [separator for separator in ",;\t" if separator in unquoted]


def _is_header(comment: str, line: str) -> bool:
    """Whether a comment is the header of a line: of as many cells, while that one holds numbers."""
    separators = _separators(comment)
    if len(separators) != 1:
        return False
    names, cells = (
        next(csv.reader([text], delimiter=separators[0], skipinitialspace=True))
        for text in (comment, line)
    )
    if separators != [","]:
        cells = [cell.replace(",", ".") for cell in cells]
    are_data = any(not cell.strip() or NUMBER.fullmatch(cell.strip()) for cell in cells)
    return len(names) == len(cells) and are_data


def _as_table(table):
    """An astropy `Table` or a DataFrame, whose named index is made columns, of any kind of table.

    Raises:
        SurveyError: it is no table, or cannot be read.
    """
    if isinstance(table, str | os.PathLike):
        table = read_table(table)
    elif any(kind.__module__.startswith("astropy.io.fits") for kind in type(table).__mro__):
        with _readable("table", "fits", "its file must be whole and still open"):
            table = _read_fits(table, "table")
    elif any(kind.__module__.startswith("h5py.") for kind in type(table).__mro__):
        with _readable("table", "hdf5", "its file must be whole and still open"):
            table = _read_hdf5(table, "table")
    elif isinstance(table, Mapping) or (isinstance(table, np.ndarray) and table.dtype.names):
        from astropy.table import QTable

        with _readable("table", "columns", "give an array a column, all of one length"):
            if isinstance(table, Mapping):
                # Of a series with gaps astropy would make floats.
                is_series = (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)
                table = {
                    name: _series_values(pd.Series(data)) if isinstance(data, is_series) else data
                    for name, data in table.items()
                }
            table = QTable(table)
    elif hasattr(table, "__arrow_c_stream__") and not isinstance(table, pd.DataFrame):
        import pyarrow
        from pyarrow import parquet

        with _readable("table", "an Arrow table", "give a pandas DataFrame"):
            # By way of Parquet, so that there is one way to read it.
            parquet.write_table(pyarrow.table(table), content := BytesIO())
            table = _read_parquet(content)
    if isinstance(table, pd.DataFrame):
        with _readable("table", "a DataFrame", "call table.reset_index() first"):
            return _with_index(table)
    if not hasattr(table, "colnames"):
        raise SurveyError(
            f"a {type(table).__name__} is no table: give a path, a pandas DataFrame, an astropy "
            "Table, a FITS or HDF5 table, an Arrow table or a dict of arrays"
        )
    return table


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its named index as columns, unless they are columns already."""
    names, columns = list(frame.index.names), list(frame.columns)
    new = [
        level
        for level, name in enumerate(names)
        if name is not None
        and not (
            columns.count(name) == 1
            and frame.index.get_level_values(level).equals(pd.Index(frame[name]))
        )
    ]
    return frame.reset_index(new, allow_duplicates=True) if new else frame


class SourceTable:
    """A table of any kind, column by column."""

    def __init__(self, table):
        self.name = str(table) if isinstance(table, str | os.PathLike) else "table"
        self.table = _as_table(table)
        is_frame = isinstance(self.table, pd.DataFrame)
        self.names = list(self.table.columns if is_frame else self.table.colnames)

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

    def length(self, column: str) -> int | None:
        """Elements of each row in a column of vectors; `None` for a column of one value a row."""
        if self.names.count(column) > 1 or not len(self):
            return None
        data = self.table[column]
        first = data.iloc[0] if isinstance(data, pd.Series) else data[0]
        return len(first) if np.ndim(first) == 1 else None

    def numbers(self, name: str, column: str, flux_unit: str) -> tuple[np.ndarray, dict[int, str]]:
        """Values as float64, NaN where there is none, and the text of those that are no numbers."""
        data, unit = self._column(column)
        mask = np.ma.getmaskarray(data)
        data = np.ma.getdata(data)
        no_numbers: dict[int, str] = {}
        decimal = getattr(self.table, "attrs", {}).get("decimal", ".")
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
                    numbers[row] = (
                        _number(value, decimal) if isinstance(value, str) else float(value)
                    )
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
        elif name not in (*MAGNITUDES, *MAGNITUDE_ERRORS, *INVERSE_VARIANCES):
            return 1.0
        elif flux_unit in MAGNITUDE_SPELLINGS:
            wanted = u.mag
        else:
            wanted = u.Jy if flux_unit == "Jy" else 1e-9 * photometric.maggy
            wanted = wanted**-2 if name in INVERSE_VARIANCES else wanted
        # As tables spell them: "mag(AB)", "AB mag", "ABmag"; "1/nanomaggy^2", "nanomaggies^{-2}".
        spelt = re.sub(r"[ _(){}*^]", "", str(unit)).lower()
        if match := re.fullmatch(r"(1/)?(?:nmgy|nanomaggy|nanomaggies)(-?2)?", spelt):
            unit = (1e-9 * photometric.maggy) ** (int(match[2] or 1) * (-1 if match[1] else 1))
        is_known = wanted == u.mag and spelt in ("mag", *MAGNITUDE_SPELLINGS[flux_unit])
        if unit == u.dimensionless_unscaled or is_known:
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


def _number(text: str, decimal: str) -> float:
    text = text.strip()
    if decimal == ",":
        text = text.replace(",", ".")
    if not NUMBER.fullmatch(text):
        raise ValueError
    return float(text)


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
