"""The five galaxy properties and the five bands: the one place that names them.

Every column, figure label, file and error message takes its names, symbols, units and
plausible ranges from here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Property:
    """One inferred galaxy property.

    Arguments:
        name: column name, as in catalogues and posteriors.
        symbol: LaTeX symbol, without dollar signs.
        unit: unit, as in the attributes of a posterior.
        label: axis label, with the unit.
        description: what the number means, and on which scale.
        plausible: lowest and highest value that a catalogue may hold.
        plain_symbol: symbol in plain characters, for tables.
    """

    name: str
    symbol: str
    unit: str
    label: str
    description: str
    plausible: tuple[float, float]
    plain_symbol: str

    @property
    def symbol_with_unit(self) -> str:
        """Symbol with its unit for tables, e.g. `A_V [mag]`; logarithms are in dex."""
        scale = self.unit.split("(")[0]
        return self.plain_symbol if scale == "1" else f"{self.plain_symbol} [{scale}]"


PROPERTIES = (
    Property(
        "log_stellar_mass",
        r"\log M_\star",
        "dex(Msun)",
        r"$\log M_\star$ [M$_\odot$]",
        "stellar mass: living stars and remnants, Kroupa initial mass function",
        (5.0, 13.5),
        "log M⋆",
    ),
    Property(
        "log_sfr",
        r"\log \mathrm{SFR}",
        "dex(Msun/yr)",
        r"$\log\,$SFR [M$_\odot\,$yr$^{-1}$]",
        "star formation rate of the whole galaxy",
        (-6.0, 4.0),
        "log SFR",
    ),
    Property(
        "oxygen_abundance",
        r"12+\log(\mathrm{O/H})",
        "dex",
        r"$12+\log\,$(O/H)",
        "gas-phase oxygen abundance, scale of Tremonti et al. (2004)",
        (6.5, 10.0),
        "12+log(O/H)",
    ),
    Property(
        "dn4000",
        r"D_n(4000)",
        "1",
        r"$D_n(4000)$",
        "narrow 4000 Å break: mean F_ν over 4000-4100 Å divided by that over 3850-3950 Å, "
        "attenuated stellar spectrum",
        (0.5, 3.0),
        "Dₙ(4000)",
    ),
    Property(
        "a_v",
        r"A_V",
        "mag",
        r"$A_V$ [mag]",
        "attenuation of the stellar continuum at 5500 Å; fits to real spectra may be negative",
        (-3.0, 8.0),
        "A_V",
    ),
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
