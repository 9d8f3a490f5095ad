"""Star formation histories: how much formed when, for a stellar mass and a rate of today."""

import numpy as np

RECENT = 0.999e8  # yr: bins that start before this make up the last 100 Myr


def star_formation_history(
    age_edges: np.ndarray,
    living: np.ndarray,
    mass: np.ndarray,
    sfr: np.ndarray,
    *,
    smooth_sfr: np.ndarray,
    start: np.ndarray,
    recent_time: np.ndarray,
    flicker: np.ndarray,
) -> np.ndarray:
    r"""Mass formed in each age bin, such that stellar mass and star formation rate are as drawn.

    A delayed exponential :math:`t\,e^{-t/\tau}` whose τ (of either sign) suits `smooth_sfr`,
    multiplied by a burst or lull over the last `recent_time` years, and a change of the last
    10 Myr against the last 100 Myr. The last 100 Myr are scaled to `sfr`, the older stars to
    what remains of `mass`.

    Arguments:
        age_edges: edges of the age bins, yr, `(a + 1,)`; the first bin ends at 10 Myr, another at
            100 Myr.
        living: mass in stars and remnants per M☉ formed, `(n, a)`.
        mass: mass in stars and remnants, M☉, `(n,)`.
        sfr: mean star formation rate of the last 100 Myr, M☉/yr, `(n,)`.
        smooth_sfr: star formation rate of the smooth history today, M☉/yr, `(n,)`.
        start: age of the oldest stars, yr, `(n,)`.
        recent_time: how long the burst or lull lasts, yr, `(n,)`.
        flicker: change of the last 10 Myr against the 90 Myr before, `(n,)`.

    Returns:
        M☉ formed, `(n, a)`.
    """
    x = _delayed_exponent(smooth_sfr * start / (mass / 0.6))
    time = (1 - age_edges / start[:, None]).clip(0, 1)
    y = x[:, None] * time
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = (1 - (1 + y) * np.exp(-y)) / x[:, None] ** 2
    cumulative = np.where(np.abs(x)[:, None] > 0.02, exact, time**2 / 2 - x[:, None] * time**3 / 3)
    formed = -np.diff(cumulative, axis=1)

    widths = np.diff(age_edges)
    inside = ((recent_time[:, None] - age_edges[:-1]) / widths).clip(0, 1)
    formed *= 1 + (sfr / smooth_sfr - 1)[:, None] * inside

    recent = age_edges[:-1] < RECENT
    formed[:, 0] *= flicker
    formed[:, recent] *= (sfr * 1e8 / formed[:, recent].sum(1))[:, None]
    older = mass - (formed * living)[:, recent].sum(1)
    formed[:, ~recent] *= (older / (formed * living)[:, ~recent].sum(1))[:, None]
    return formed


def _delayed_exponent(rate: np.ndarray) -> np.ndarray:
    """Time over τ at which a delayed exponential forms stars at `rate` times its mean rate."""
    x = np.linspace(-25, 25, 2000)  # 0, where the expression is 0/0, is not among them
    return np.interp(-rate, -(x**2) * np.exp(-x) / (1 - (1 + x) * np.exp(-x)), x)
