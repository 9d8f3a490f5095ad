"""Galaxy properties, bands and embeddings: what a survey declares, and the default set of SDSS.

Every column, figure label, file and error message takes its names, symbols, units and
plausible ranges from here. The paper's chapters know the five properties and five bands of SDSS
alone; other surveys have a `Declaration` of their own.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import msgspec
import yaml

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
BAND = re.compile(r"[A-Za-z0-9_]+")
# Columns of a survey that are no properties; the redshift may be one.
TAKEN = {"object_id", "ra", "dec", "ebv", "split", "healpix", "chain", "draw"}
# Beginnings and endings of columns that belong to bands, properties, flags and embeddings.
TAKEN_PARTS = re.compile(
    r"(mag|magerr|ivar|flux|embedding)_.*|.*_(err|true|p|outside)|outside_range"
)


class DeclarationError(ValueError):
    """A survey declares something impossible; the message names it and gives the remedy."""


def _require(good: bool, sentence: str) -> None:
    if not good:
        raise DeclarationError(sentence)


@dataclass(frozen=True)
class Property:
    """One inferred galaxy property.

    Arguments:
        name: Column name, as in catalogues and posteriors: letters, digits and underscores.
        unit: Unit, e.g. `"mag"`, `"dex(Msun)"` for a logarithm, or `"1"` for a pure number.
        plausible: Lowest and highest value that a catalogue may hold.
        symbol: LaTeX symbol, without dollar signs; by default the name.
        description: Meaning of the number, and its scale.
        label: Axis label, by default the symbol with its unit.
        plain_symbol: Symbol in plain characters for tables, by default the name.
        label_error: Typical measurement error of a label, in the unit of the property.

    Raises:
        DeclarationError: The name cannot be a column, the unit is empty, or the range is not two
            finite numbers in ascending order.
    """

    name: str
    unit: str
    plausible: tuple[float, float]
    symbol: str = ""
    description: str = ""
    label: str = ""
    plain_symbol: str = ""
    label_error: float | None = None

    def __post_init__(self):
        name, unit = str(self.name), str(self.unit).strip()
        free = NAME.fullmatch(name) and name not in TAKEN and not TAKEN_PARTS.fullmatch(name)
        what = "give letters, digits and underscores that name no other column of a survey"
        _require(free, f"a property is called {name!r}: {what}")
        _require(unit, f"{name} has no unit: give one, or '1' for a pure number")
        low, high = self.plausible if len(self.plausible) == 2 else (math.nan, math.nan)
        _require(
            math.isfinite(low) and math.isfinite(high) and low < high,
            f"the plausible range of {name} is {self.plausible}: give two finite numbers in "
            "ascending order",
        )
        symbol = self.symbol or rf"\mathrm{{{name}}}".replace("_", r"\_")
        scale = "" if unit == "1" else f" [{unit}]"
        filled = {
            "plausible": (float(low), float(high)),
            "symbol": symbol,
            "description": self.description or name,
            "label": self.label or f"${symbol}${scale}",
            "plain_symbol": self.plain_symbol or name,
        }
        for field, value in filled.items():
            object.__setattr__(self, field, value)

    @property
    def symbol_with_unit(self) -> str:
        """Symbol with its unit for tables, e.g. `A_V [mag]`; logarithms are in dex."""
        scale = self.unit.split("(")[0]
        return self.plain_symbol if scale == "1" else f"{self.plain_symbol} [{scale}]"


PROPERTIES = tuple(
    Property(**given)
    for given in yaml.safe_load(
        Path(__file__).with_name("properties.yaml").read_text(encoding="utf-8")
    )
)
PROPERTY_NAMES = tuple(p.name for p in PROPERTIES)

BANDS = ("u", "g", "r", "i", "z")
MAGNITUDES = tuple(f"mag_{band}" for band in BANDS)
MAGNITUDE_ERRORS = tuple(f"magerr_{band}" for band in BANDS)

# Galactic extinction in magnitudes for E(B-V) = 1 on the scale of Schlegel et al. (1998):
# Schlafly & Finkbeiner (2011, ApJ 737, 103), table 6, SDSS filters, R_V = 3.1.
EXTINCTION = {"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263}

# m_AB - m_SDSS: https://www.sdss.org/dr17/algorithms/fluxcal, "Conversion from SDSS ugriz
# magnitudes to AB ugriz magnitudes".
AB_OFFSET = {"u": -0.04, "g": 0.0, "r": 0.0, "i": 0.0, "z": 0.02}


@dataclass(frozen=True)
class Embedding:
    """Features of each galaxy that another model computed, such as AION-1 or Zoobot.

    Arguments:
        name: Name in the survey, e.g. `"image"`.
        model: Name of the model that made it, with its version; another model's is refused.
        length: Number of features per galaxy.
    """

    name: str
    model: str
    length: int

    def __post_init__(self):
        name, length = str(self.name), self.length
        what = "give letters, digits and underscores"
        _require(NAME.fullmatch(name), f"an embedding is called {name!r}: {what}")
        what = "does not name the model that made it: give one"
        _require(str(self.model or "").strip(), f"the embedding {name} {what}")
        what = "give a whole number, at least 1"
        whole = isinstance(length, int) and length >= 1
        _require(whole, f"the embedding {name} has the length {length!r}: {what}")


@dataclass(frozen=True)
class LinearCutouts:
    """Cutouts as fluxes per pixel, float32 `(n, size, size, bands)`, in nanomaggies.

    Arguments:
        bands: Bands of the last axis, in order.
        size: Number of pixels per side.
        pixel_scale: Size of a pixel [arcsec].
    """

    bands: tuple[str, ...]
    size: int
    pixel_scale: float

    def __post_init__(self):
        object.__setattr__(self, "bands", checked_bands(self.bands, "cutouts"))
        _require(
            1 <= self.size <= 4096 and 0 < self.pixel_scale < 60,
            f"cutouts have {self.size} pixels of {self.pixel_scale} arcsec per side: give 1 to "
            "4096 pixels and a scale in arcsec",
        )

    def __str__(self) -> str:
        """Return the content in words."""
        return (
            f"linear cutouts in {', '.join(self.bands)} of {self.size}×{self.size} pixels of "
            f"{self.pixel_scale:g} arcsec, in nanomaggies per pixel"
        )


def checked_bands(bands, what: str = "the survey") -> tuple[str, ...]:
    """Return the names of bands after a check that they can name columns, each once.

    Raises:
        DeclarationError: There is no band, a name occurs twice or has other characters.
    """
    names = (bands,) if isinstance(bands, str) and len(bands) == 1 else tuple(map(str, bands))
    _require(names, f"{what} has no band: give at least one")
    for name, count in Counter(names).items():
        remedy = "give letters, digits and underscores"
        _require(BAND.fullmatch(name), f"a band of {what} is called {name!r}: {remedy}")
        _require(count == 1, f"{what} has the band {name!r} {count} times: give it once")
    return names


@dataclass(frozen=True)
class Declaration:
    """What a survey has, or what a model uses: properties, bands, embeddings and linear cutouts.

    Arguments:
        properties: Properties, in the order of their columns in arrays.
        bands: Names of the bands, in the order of their columns in arrays.
        embeddings: Embeddings of each galaxy.
        cutouts: Linear cutouts; `None` for colour images, uint8 `(n, 128, 128, 3)`, or none.

    Raises:
        DeclarationError: A name occurs twice, or there is no property or band.
    """

    properties: tuple[Property, ...] = PROPERTIES
    bands: tuple[str, ...] = BANDS
    embeddings: tuple[Embedding, ...] = ()
    cutouts: LinearCutouts | None = None

    def __post_init__(self):
        object.__setattr__(self, "bands", checked_bands(self.bands))
        for field in ("properties", "embeddings"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
            for name, count in Counter(each.name for each in getattr(self, field)).items():
                _require(count == 1, f"{field} has {name!r} {count} times: give it once")
        _require(self.properties, "the survey declares no property: give at least one")

    @classmethod
    def of(cls, content: dict) -> "Declaration":
        """Return the declaration with a content that `content` returned; parts may be absent.

        Raises:
            DeclarationError: The content is not a declaration.
        """
        try:
            return msgspec.convert(content, cls)
        except msgspec.ValidationError as error:
            raise DeclarationError(f"the declaration of the survey is damaged: {error}") from error

    @classmethod
    def of_posteriors(cls, posteriors) -> "Declaration":
        """Return the declaration in the attributes of a Dataset of posteriors.

        Raises:
            DeclarationError: It is damaged, or the posteriors lack a property.
        """
        try:
            content = msgspec.json.decode(posteriors.attrs.get("declaration", "{}"))
        except msgspec.DecodeError as error:
            raise DeclarationError(
                f"the attribute declaration of the posteriors is damaged: {error}"
            ) from error
        declaration = cls.of(content)
        if missing := [name for name in declaration.property_names if name not in posteriors]:
            raise DeclarationError(
                f"the posteriors have no {', '.join(missing)}, only {', '.join(posteriors)}: give "
                "those of Posterior.infer with their attributes"
            )
        return declaration

    @property
    def content(self) -> dict:
        """The parts that differ from those of SDSS, as JSON content."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: msgspec.json.decode(msgspec.json.encode(part))
            for name, part in parts.items()
            if part != getattr(SDSS, name)
        }

    @cached_property
    def property_names(self) -> tuple[str, ...]:
        """Names of the properties."""
        return tuple(p.name for p in self.properties)

    @cached_property
    def magnitudes(self) -> tuple[str, ...]:
        """Columns of the magnitudes, in the order of the bands."""
        return tuple(f"mag_{band}" for band in self.bands)

    @cached_property
    def magnitude_errors(self) -> tuple[str, ...]:
        """Columns of the errors of the magnitudes, in the order of the bands."""
        return tuple(f"magerr_{band}" for band in self.bands)

    @cached_property
    def inverse_variances(self) -> tuple[str, ...]:
        """Columns of the inverse variances of fluxes, in the order of the bands."""
        return tuple(f"ivar_{band}" for band in self.bands)

    @property
    def reference(self) -> int:
        """Number of the band that stands for the brightness: r, or else the middle band."""
        return self.bands.index("r") if "r" in self.bands else len(self.bands) // 2

    def embedding(self, name: str) -> Embedding:
        """Return the embedding with this name.

        Raises:
            DeclarationError: There is none.
        """
        found = {each.name: each for each in self.embeddings}
        known = f"give one of {', '.join(found)}" if found else "the survey has none"
        _require(name in found, f"there is no embedding {name!r}: {known}")
        return found[name]


SDSS = Declaration()


def label_blocks(known) -> list[list[int]]:
    """Return the columns of properties that are known together, most galaxies first.

    Arguments:
        known: Boolean array, whether a galaxy has the label of a property, `(n, d)`.

    >>> import numpy as np
    >>> label_blocks(np.array([[True, False, False], [True, True, True]]))
    [[0], [1, 2]]
    """
    blocks: dict[bytes, list[int]] = {}
    for column, of_property in enumerate(known.T):
        blocks.setdefault(of_property.tobytes(), []).append(column)
    return sorted(blocks.values(), key=lambda block: -known[:, block[0]].sum())
