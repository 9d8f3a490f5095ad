"""The rows of the study: one method each, with its settings and what is simplified of its paper."""

from dataclasses import dataclass, field

__all__ = ["READ_BY_SPLINES", "ROWS", "Row"]

RATES = tuple({"descent": {"learning_rate": rate}} for rate in (5e-4, 1.5e-3, 4e-3))
OUR_RATES = tuple({"recipe": {"learning_rate": rate}} for rate in (5e-4, 1.5e-3, 4e-3))
# An encoder takes fewer epochs, as the image model of this book does.
SEEING = {"descent": {"max_epochs": 16}}
TOLD = {"redshift": True, "errors": True}
OURS_TOLD = {"use_redshift": True, "use_magnitude_errors": True}


@dataclass(frozen=True)
class Row:
    """One method of the table.

    Arguments:
        label: The method in words.
        source: The paper that it is from.
        method: Name of a class in `studies.methods`.
        options: Options of that class; `descent` and `recipe` hold changes of the plan's training.
        tries: Further options, of which those with the best density on validation are taken.
        beside: Name of the row of this paper that sees the same, over which its gain is taken.
        note: What is simplified against the source.
    """

    label: str
    source: str
    method: str
    options: dict = field(default_factory=dict)
    tries: tuple[dict, ...] = RATES
    beside: str = "image"
    note: str = ""


ROWS = {
    "photometry": Row(
        "this paper, photometry",
        "Yunus et al. 2025",
        "FlowMatching",
        {"model": "photometry"},
        tries=OUR_RATES,
        beside="photometry",
        note="The recipe was chosen before, on other surveys.",
    ),
    "image": Row(
        "this paper, photometry and picture",
        "Yunus et al. 2025",
        "FlowMatching",
        {"model": "image"},
        tries=OUR_RATES,
        note="The recipe was chosen before, on other surveys; pixels of 1.2″ of the central 38″.",
    ),
    "photometry_told": Row(
        "this paper, photometry, its errors and redshift",
        "Yunus et al. 2025",
        "FlowMatching",
        {"model": "photometry", "recipe": OURS_TOLD},
        tries=OUR_RATES,
        beside="photometry_told",
    ),
    "npe": Row(
        "neural posterior estimation, splines",
        "Hahn & Melchior 2022",
        "SplineFlow",
        beside="photometry",
        note="The inputs of this paper: what the inference alone changes.",
    ),
    "sedflow": Row(
        "neural posterior estimation, inputs of SEDflow",
        "Hahn & Melchior 2022",
        "SplineFlow",
        {"kind": "affine", "transforms": 5, **TOLD},
        beside="photometry_told",
        note="Masked autoregressive flow on magnitudes, errors and redshift, as SEDflow; trained "
        "on this survey's population, not on SEDflow's prior, and a third as deep.",
    ),
    "cold": Row(
        "flow matching trained as the rows below",
        "control",
        "FlowVariant",
        {"encoder": "paper", **SEEING},
        note="The image model by the training of the other methods: it does not start from a "
        "photometry model, has half the features of the picture, and turns a batch at a time.",
    ),
    "npe_image": Row(
        "neural posterior estimation behind the paper's encoder",
        "Hahn & Melchior 2022",
        "SplineFlow",
        {"encoder": "paper", **SEEING},
        note="Flow matching of the row above is all that is exchanged.",
    ),
    "regression": Row(
        "residual network, picture alone",
        "Wu & Boada 2019; Alfonzo et al. 2024",
        "PictureRegression",
        {"encoder": "resnet", **SEEING},
        note="Eighteen layers, not 34, trained from nothing on 9,000 galaxies in pixels of 1.2″, "
        "not on 95,000 in pixels of 0.4″. As a posterior: one normal distribution for all.",
    ),
    "regression_told": Row(
        "residual network, picture and photometry",
        "Wu & Boada 2019",
        "PictureRegression",
        {"encoder": "resnet", "magnitudes": True, **SEEING},
        note="As before, with the inputs of the image model.",
    ),
    "boosting": Row(
        "gradient boosting on magnitudes and colours",
        "scikit-learn",
        "Boosting",
        tries=tuple({"learning_rate": rate} for rate in (0.03, 0.1, 0.2)),
        beside="photometry",
        note="Coverage is that of split-conformal intervals.",
    ),
    "annuli": Row(
        "resolved fluxes of the cutout in rings",
        "Iglesias-Navarro et al. 2025",
        "AnnulusFlow",
        note="Rings condition one posterior of the whole galaxy; no posterior a pixel is added up, "
        "as labels are of whole galaxies and of one fibre. Three bands, from an 8-bit JPEG.",
    ),
    "annuli_stamps": Row(
        "resolved fluxes of the simulator's pixels in rings",
        "Iglesias-Navarro et al. 2025",
        "AnnulusFlow",
        {"source": "stamps"},
        note="As before, from the pixels before colours are compressed.",
    ),
    "morphology": Row(
        "measured morphology",
        "Alfonzo et al. 2024",
        "MorphologyFlow",
        note="Nine statistics of statmorph beside photometry; that paper's own network is the "
        "residual network, and its target, the star formation history, is not among ours.",
    ),
    "aligned": Row(
        "picture aligned with spectrum, frozen",
        "Parker et al. 2024",
        "AlignedFlow",
        note="A small vision transformer trained from nothing on 9,000 pairs; theirs began with "
        "self-supervision on millions of galaxies. Spectra are noiseless and of whole galaxies.",
    ),
    "aligned_random": Row(
        "the same network as chance made it, frozen",
        "control",
        "AlignedFlow",
        {"alignment": None},
        note="What the alignment adds is the row above less this one.",
    ),
    "latents": Row(
        "latents of an autoencoder of pictures",
        "arXiv 2511.12737",
        "LatentFlow",
        note="Thirty-two latents of pictures in pixels of 1.2″; a small autoencoder of its own.",
    ),
    "spectra": Row(
        "picture to spectrum to properties",
        "Doorenbos et al. 2024",
        "SpectralDiffusion",
        {"encoder": "paper", **SEEING},
        note="Diffusion of 40 principal components, not of the spectrum itself; rest-frame spectra "
        "of whole galaxies with 0.02 dex of noise, not those of a fibre; no second network "
        "chooses among the generated spectra. The density is a mean over 1,024 of them, and so "
        "too low, by 0.02 nat where each tells 2.5 nat more than the picture and all is normal.",
    ),
    "sed": Row(
        "SED fitting, redshift known",
        "Conroy 2013",
        "SedFitting",
        tries=({},),
        beside="photometry_told",
        note="bagpipes and nautilus with their usual priors; nothing is learned from the survey, "
        "so nothing is tried. Four properties; label noise is added to draws. The ionisation "
        "parameter is fixed at log U = −3, and birth clouds have twice the dust. The labels of "
        "Dn(4000), A_V and star formation rate are those of fibre and emission lines.",
    ),
    "sed_free": Row(
        "SED fitting, redshift free",
        "Conroy 2013",
        "SedFitting",
        {"redshift": False},
        tries=({},),
        beside="photometry",
        note="As before, under the survey's distribution of redshifts.",
    ),
}
# Rows of which the same spline flow reads the picture, each time put into other numbers.
READ_BY_SPLINES = (
    "npe_image",
    "morphology",
    "aligned",
    "annuli",
    "annuli_stamps",
    "latents",
    "aligned_random",
)
