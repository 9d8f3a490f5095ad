"""The rows of the study: what each of them changes."""

from dataclasses import dataclass, field
from pathlib import Path

from galcfm.simulate import TIES
from studies.frame import rows_of


@dataclass(frozen=True)
class Row:
    """One row of the study.

    Arguments:
        label: Label in words.
        without: Names of `galcfm.simulate.TIES` that the survey lacks.
        photometry: Kind of the magnitudes of both models, one of those of `measured_photometry`.
        redshift: Whether both models have the redshift as input.
        leak: Whether images show the true fluxes and not the observed ones.
        balmer: Whether A_V is that of the Balmer decrement.
        training: Fields of `galcfm.training.Recipe` that differ from the plan's.
        kernels: Whether the paper's Δlog p by kernel densities is measured too.
        instrument: Name of the instrument in `galcfm.simulate.INSTRUMENTS`.
    """

    label: str
    without: tuple[str, ...] = ()
    photometry: str = "model"
    redshift: bool = False
    leak: bool = False
    balmer: bool = False
    training: dict = field(default_factory=dict)
    kernels: bool = False
    instrument: str = "SDSS"


ROWS = rows_of(Row, Path(__file__).with_name("rows.yaml"))
OLD = ROWS["old"].without
ROWS |= {
    f"tie_{tie}": Row(f"early survey and {TIES[tie][0]}", tuple(x for x in OLD if x != tie))
    for tie in OLD
    if tie != "fibre"
}
