"""A trained model: from magnitudes and images to posteriors in physical units.

This is the only place that knows features and standardisation; both are fitted on the training
split alone.
"""

import json
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save as arrays_bytes
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn
from tqdm import tqdm

from galcfm.flow import ConditionalFlow, block_rows
from galcfm.networks import ImageEncoder, VelocityNetwork
from galcfm.paths import MODEL_FILES, replacing, require_own_files, write_json
from galcfm.posterior.bands import band_covariance, error_excess, fill_bands, is_seen, usual_errors
from galcfm.posterior.inputs import (
    ModelError,
    galaxy_seeds,
    plain_images,
    plain_numbers,
    whole_number,
)
from galcfm.posterior.training_range import LEVEL, RangeOfBands, TrainingRange, reference_rows
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTIES, PROPERTY_NAMES
from galcfm.provenance import array_digest, provenance
from galcfm.survey import Survey, require_booleans

SCHEMA_VERSION = 1
FEATURES = ("magnitudes", "r_and_colours", "none")
N_CHAINS = 4
# Images encoded at once: 256 cutouts of 128 pixels need about 1 GB in the first block.
ENCODER_BATCH = 256


def default_device() -> torch.device:
    """The GPU where PyTorch finds a CUDA one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def require_own_model(folder: Path) -> None:
    """Refuse a folder that holds anything but a model and its training, before any work.

    Raises:
        ModelError: by the name of what is there.
    """
    require_own_files(folder, MODEL_FILES, "a model", ModelError)
    present = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present & set(MODEL_FILES) and not present & {"model.json", "checkpoint.pt"}:
        raise ModelError(
            f"{folder} holds {', '.join(sorted(present))} but neither model.json nor checkpoint.pt:"
            " it is no model of galcfm; move it away, or name another folder"
        )
    for name, read, part in (
        ("model.json", lambda path: json.loads(path.read_text()), "architecture"),
        ("checkpoint.pt", _checkpoint, "identity"),
    ):
        try:
            own = name not in present or part in read(folder / name)
        # A stranger's file may break its reader in any way.
        except Exception:
            own = False
        if not own:
            raise ModelError(
                f"{folder / name} is damaged, or not one that galcfm wrote: move it away, or name "
                "another folder"
            )


def _checkpoint(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _usable_device(device: str | torch.device | None) -> torch.device:
    """`device` if PyTorch can compute there, by default `default_device`."""
    try:
        found = default_device() if device is None else torch.device(device)
        torch.empty(0, device=found)
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"device {device!r} cannot be used ({reason}): give 'cpu'") from error
    return found


class Posterior(nn.Module):
    r"""The posterior of the five properties given photometry and, if so made, an image.

    Arguments:
        features: photometric features: `"magnitudes"` (u, g, r, i, z), `"r_and_colours"` (r, u−g,
            g−r, r−i, i−z) or `"none"` (the prior: an unconditional flow).
        use_redshift: the spectroscopic redshift is a further feature.
        use_magnitude_errors: the logarithms of the five magnitude errors are further features.
        missing_bands: bands may be missing, their magnitude NaN, or be upper limits of the flux,
            their error infinite: `galcfm.posterior.bands`. Which are is a further feature; training
            with `hide_bands` teaches what it means. Limits need `use_magnitude_errors`.
        encoder: keyword arguments of `ImageEncoder`; `None` for a model without images.
        network: keyword arguments of `VelocityNetwork` (`width`, `depth`).
        sigma: width of the flow's path, in standardised units.
        jumps: as `ConditionalFlow` takes it.

    Raises:
        ModelError: unknown features, or missing bands without magnitudes.
    """

    def __init__(
        self,
        features: str = "magnitudes",
        use_redshift: bool = False,
        encoder: dict | None = None,
        network: dict | None = None,
        sigma: float = 0.05,
        *,
        use_magnitude_errors: bool = False,
        missing_bands: bool = False,
        jumps: int = 0,
    ):
        super().__init__()
        require_booleans(
            ModelError,
            use_redshift=use_redshift,
            use_magnitude_errors=use_magnitude_errors,
            missing_bands=missing_bands,
        )
        if features not in FEATURES:
            raise ModelError(f"no features called {features!r}: choose from {', '.join(FEATURES)}")
        if missing_bands and features == "none":
            raise ModelError("missing_bands needs magnitudes among the features")
        self.architecture = {
            "features": features,
            "use_redshift": use_redshift,
            "use_magnitude_errors": use_magnitude_errors,
            "encoder": encoder,
            "network": network or {},
            "sigma": sigma,
        }
        # Models of earlier versions stay as they are.
        self.architecture |= {"missing_bands": True} if missing_bands else {}
        self.architecture |= {"jumps": jumps} if jumps else {}
        self.features = features
        self.use_redshift = use_redshift
        self.use_magnitude_errors = use_magnitude_errors
        self.missing_bands = missing_bands
        self.metadata: dict = {}
        # Where the training galaxies lie, by part of the condition: `fit_range`.
        self.ranges: dict[str, TrainingRange | RangeOfBands] = {}
        n_photometric = 0 if features == "none" else len(BANDS)
        n_photometric += use_redshift + len(BANDS) * (use_magnitude_errors + 2 * missing_bands)
        n_properties = len(PROPERTIES)
        self.encoder = None if encoder is None else ImageEncoder(**encoder)
        n_image = 0 if self.encoder is None else self.encoder.n_features
        self.flow = ConditionalFlow(
            VelocityNetwork(n_properties, n_image + n_photometric, **(network or {})), sigma, jumps
        )
        self.register_buffer("feature_mean", torch.zeros(n_photometric, dtype=torch.float64))
        self.register_buffer("feature_std", torch.ones(n_photometric, dtype=torch.float64))
        if missing_bands:
            n_bands = len(BANDS)
            self.register_buffer("magnitude_mean", torch.zeros(n_bands, dtype=torch.float64))
            self.register_buffer("magnitude_covariance", torch.eye(n_bands, dtype=torch.float64))
            self.register_buffer("usual_errors", torch.zeros(n_bands, 3, dtype=torch.float64))
        self.register_buffer("property_mean", torch.zeros(n_properties, dtype=torch.float64))
        self.register_buffer("property_std", torch.ones(n_properties, dtype=torch.float64))

    @property
    def uses_images(self) -> bool:
        """Whether the model needs cutouts."""
        return self.encoder is not None

    @property
    def weights_digest(self) -> str:
        """Twelve hexadecimal digits of the weights and of the standardisation."""
        return array_digest(*(values.cpu() for values in self.state_dict().values()))

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.flow.parameters()).device

    def _apply(self, fn, recurse=True):
        # The standardisation stays float64 on the CPU: not every device has such numbers.
        for child in self.children():
            child._apply(fn, recurse)
        return self

    # Standardisation

    def raw_features(self, magnitudes, redshift=None, magnitude_errors=None) -> np.ndarray:
        """Photometric features before standardisation, `(n, f)`, float64.

        Raises:
            ModelError: the input has a wrong shape or is not finite, or the model was trained with
                redshifts or magnitude errors and they are missing.
        """
        of_bands = {"gaps": self.missing_bands}
        magnitudes = plain_numbers(
            "magnitudes", magnitudes, (None, len(BANDS)), MAGNITUDES, **of_bands
        )
        n, blocks = len(magnitudes), {}
        for name, values, used, shape, columns in (
            ("redshift", redshift, self.use_redshift, (n,), ()),
            (
                "magnitude_errors",
                magnitude_errors,
                self.use_magnitude_errors,
                magnitudes.shape,
                MAGNITUDE_ERRORS,
            ),
        ):
            kind = name.replace("_", " ")
            if used and values is None:
                raise ModelError(f"this model was trained with {kind}s: give {name} {shape}")
            if not used and values is not None:
                raise ModelError(f"this model was trained without {kind}s: leave {name} out")
            if used:
                given = plain_numbers(name, values, shape, columns, **(of_bands if columns else {}))
                blocks[name] = given.reshape(n, -1)
        errors = blocks.get("magnitude_errors")
        if errors is not None:
            blocks["magnitude_errors"] = np.log10(np.where(errors > 0, errors, np.nan))
        if self.missing_bands:
            seen = is_seen(magnitudes, errors)
            if not seen.any(1).all():
                raise ModelError(
                    f"row {int(np.argmin(seen.any(1)))}: no band is measured "
                    f"({(~seen.any(1)).sum()} such rows): remove these galaxies"
                )
            if errors is not None:
                usual = self.usual_errors.numpy()
                blocks["magnitude_errors"] = error_excess(magnitudes, errors, usual)
            magnitudes, limits = fill_bands(
                magnitudes, errors, self.magnitude_mean.numpy(), self.magnitude_covariance.numpy()
            )
            blocks |= {"seen": seen, "limits": limits}
        photometric = {
            "magnitudes": [magnitudes],
            "r_and_colours": [magnitudes[:, [BANDS.index("r")]], -np.diff(magnitudes)],
            "none": [magnitudes[:, :0]],
        }
        raw = np.concatenate([*photometric[self.features], *blocks.values()], 1)
        bad = ~np.isfinite(raw).all(1)
        if bad.any():
            raise ModelError(
                f"row {int(np.flatnonzero(bad)[0])}: a magnitude or redshift is not finite, or a "
                f"magnitude error not positive ({bad.sum()} such rows): remove these galaxies"
                + (
                    ""
                    if self.missing_bands
                    else ", or use a model with missing_bands if a band is missing"
                )
            )
        return raw

    def survey_magnitudes(self, survey: Survey) -> np.ndarray:
        """Magnitudes `(n, 5)` as `encode` takes them: without errors, a limit is a missing band."""
        return survey.magnitudes if self.use_magnitude_errors else survey.measured_magnitudes

    def survey_conditions(self, survey: Survey) -> dict[str, np.ndarray | None]:
        """What the model uses of a survey beside magnitudes and images, as `encode` takes it.

        Raises:
            ModelError: the model was trained with magnitude errors, which the survey lacks.
        """
        errors = None
        if self.use_magnitude_errors:
            missing = [name for name in MAGNITUDE_ERRORS if name not in survey.catalogue]
            if missing:
                raise ModelError(
                    f"this model was trained with magnitude errors, but the catalogue of "
                    f"{survey.name} lacks {', '.join(missing)}: add them, or use a model without"
                )
            errors = survey.catalogue[list(MAGNITUDE_ERRORS)].to_numpy(dtype=np.float64)
        return {
            "redshift": survey.redshift if self.use_redshift else None,
            "magnitude_errors": errors,
        }

    def standardise_features(self, magnitudes, redshift=None, magnitude_errors=None) -> Tensor:
        """Photometric features f_phot, standardised, float32 `(n, f)` on the CPU."""
        raw = torch.from_numpy(self.raw_features(magnitudes, redshift, magnitude_errors))
        return ((raw - self.feature_mean) / self.feature_std).float()

    def standardise_properties(self, theta) -> Tensor:
        """Properties `(..., 5)` in units of the training split's spread, float32 on the CPU."""
        if not isinstance(theta, Tensor):
            theta = torch.from_numpy(np.array(theta, dtype=np.float64))
        return ((theta - self.property_mean) / self.property_std).float()

    def fit_standardisation(self, survey: Survey) -> None:
        """Fit all standardisation on `survey`, which must be the training split alone."""
        outside = set(survey.catalogue["split"]) - {"train"}
        if outside:
            raise ModelError(f"standardisation is fitted on the training split, not on {outside}")
        conditions = self.survey_conditions(survey)
        if self.missing_bands:
            errors = conditions["magnitude_errors"]
            mean, covariance = band_covariance(survey.measured_magnitudes)
            self.magnitude_mean.copy_(torch.from_numpy(mean))
            self.magnitude_covariance.copy_(torch.from_numpy(covariance))
            if errors is not None:
                self.usual_errors.copy_(torch.from_numpy(usual_errors(survey.magnitudes, errors)))
        raw = self.raw_features(self.survey_magnitudes(survey), **conditions)
        for name, values in (("feature", raw), ("property", survey.properties)):
            std = values.std(0)
            getattr(self, f"{name}_mean").copy_(torch.from_numpy(values.mean(0)))
            getattr(self, f"{name}_std").copy_(torch.from_numpy(np.where(std > 0, std, 1.0)))
        if self.missing_bands:  # which bands are missing is 0 or 1 as it is
            self.feature_mean[-2 * len(BANDS) :] = 0
            self.feature_std[-2 * len(BANDS) :] = 1
        if self.uses_images:
            rows = np.linspace(0, len(survey) - 1, min(len(survey), 512)).astype(int)
            self.encoder.standardise(torch.from_numpy(survey.images[rows]))

    # Inference

    @torch.no_grad()
    def encode(
        self,
        magnitudes,
        images=None,
        *,
        redshift=None,
        magnitude_errors=None,
        progress: bool = False,
    ) -> Tensor:
        """Condition [f_img, f_phot] of each galaxy, float32 `(n, c)` on the CPU.

        Arguments:
            magnitudes: AB, extinction removed, `(n, 5)` in u, g, r, i, z.
            images: uint8 `(n, 128, 128, 3)`, channels i, r, g; needed by an image model and
                refused by a photometry model.
            redshift: `(n,)`, for a model trained with redshifts; or `(n, k)`, and there are k
                conditions a galaxy, `(n, k, c)`.
            magnitude_errors: standard deviations `(n, 5)`, for a model trained with them.
            progress: show a progress bar over the images.

        Raises:
            ModelError: the input does not fit the model.
        """
        if np.ndim(redshift) == 2:
            return self._encode_each(magnitudes, images, redshift, magnitude_errors, progress)
        condition = self.standardise_features(magnitudes, redshift, magnitude_errors)
        if not self.uses_images:
            if images is not None:
                raise ModelError("this is a photometry model: it takes no images")
            return condition
        images = plain_images(images, len(condition))
        self.eval()
        blocks = []
        starts = range(0, len(images), ENCODER_BATCH)
        for start in tqdm(starts, desc="encoding images", disable=not progress):
            block = torch.from_numpy(np.array(images[start : start + ENCODER_BATCH], order="C"))
            blocks.append(self.encoder(block.to(self.device)).cpu())
        f_img = torch.cat(blocks) if blocks else torch.empty(0, self.encoder.n_features)
        return torch.cat([f_img, condition], 1)

    def _encode_each(self, magnitudes, images, redshift, magnitude_errors, progress) -> Tensor:
        """`encode` at several redshifts a galaxy, of which each image is encoded once."""
        redshift = plain_numbers("redshift", redshift, (None, None))
        n, k = redshift.shape
        first = self.encode(
            magnitudes,
            images,
            redshift=redshift[:, 0],
            magnitude_errors=magnitude_errors,
            progress=progress,
        )
        f_img = first[:, None, : first.shape[1] - len(self.feature_mean)].expand(n, k, -1)
        f_phot = [
            self.standardise_features(magnitudes, redshift[:, j], magnitude_errors)
            for j in range(k)
        ]
        return torch.cat([f_img, torch.stack(f_phot, 1)], 2)

    def encode_survey(self, survey: Survey, progress: bool = False) -> Tensor:
        """Condition `(n, c)` of each galaxy of a survey, from what the model uses of it."""
        return self.encode(
            self.survey_magnitudes(survey),
            survey.images if self.uses_images else None,
            **self.survey_conditions(survey),
            progress=progress,
        )

    def sample(
        self,
        magnitudes,
        images=None,
        *,
        redshift=None,
        magnitude_errors=None,
        object_id=None,
        n_samples: int = 1000,
        steps: int = 100,
        seed: int = 0,
    ) -> Tensor:
        """Posterior samples in physical units, float32 `(n, n_samples, 5)` on the CPU.

        A galaxy's noise depends on `(seed, object_id)` alone, so blocks, order and other galaxies
        do not matter; without `object_id` its row number stands in.

        A redshift that is known only as p(z) is marginalised over: give `(n, n_samples)` equally
        likely redshifts, one for each sample, as `redshift_quantiles` makes them.

        Arguments:
            magnitudes, images, redshift, magnitude_errors: as `encode` takes them.
            object_id: identifiers, `(n,)`.
            n_samples: samples a galaxy.
            steps: Runge-Kutta steps.
            seed: seed of the noise.
        """
        n_samples, steps = whole_number("n_samples", n_samples), whole_number("steps", steps)
        condition = self.encode(
            magnitudes, images, redshift=redshift, magnitude_errors=magnitude_errors
        )
        return self.sample_from(condition, object_id, n_samples, steps, seed)

    def sample_from(self, condition, object_id, n_samples, steps, seed) -> Tensor:
        """`sample` for conditions `(n, c)`, or `(n, n_samples, c)`, that `encode` gave."""
        names = range(len(condition)) if object_id is None else object_id
        if len(names) != len(condition):
            raise ModelError(f"{len(names)} object_id for {len(condition)} galaxies: one each")
        if condition.ndim == 3:
            n, k, _ = condition.shape
            if k != n_samples:
                raise ModelError(
                    f"there are {k} redshifts a galaxy and {n_samples} samples: give one for each"
                )
            of_each = [f"{name}/{j}" for name in names for j in range(k)]
            each = self.sample_from(condition.flatten(0, 1), of_each, 1, steps, seed)
            return each.view(n, k, -1)
        seeds = galaxy_seeds(names, seed)
        samples = self.flow.sample(condition.to(self.device), n_samples, steps, seeds=seeds)
        for block in samples.split(1024):  # in place, because a large survey's samples are large
            block.copy_(self.to_physical(block))
        return samples

    def sample_with_log_prob(
        self, condition, object_id, n_samples: int, steps: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Samples as `sample_from`, and their exact log-density `(n, n_samples)` in nat."""
        seeds = galaxy_seeds(object_id, seed)
        x_1, log_prob = self.flow.sample_with_log_prob(
            condition.to(self.device), n_samples, steps, seeds=seeds
        )
        return self.to_physical(x_1), log_prob - self._log_volume

    def log_prob(
        self,
        theta,
        magnitudes,
        images=None,
        *,
        redshift=None,
        magnitude_errors=None,
        steps: int = 100,
    ) -> Tensor:
        """Exact log-density of the posterior at `theta`, per physical unit, in nat.

        Arguments:
            theta: properties, `(n, 5)` or `(n, S, 5)`.
            magnitudes, images, redshift, magnitude_errors: as `encode` takes them; of redshifts
                `(n, k)`, equally likely ones, the density is the mean.
            steps: Runge-Kutta steps.

        Returns:
            `(n,)` or `(n, S)`, float32 on the CPU.
        """
        steps = whole_number("steps", steps)
        condition = self.encode(
            magnitudes, images, redshift=redshift, magnitude_errors=magnitude_errors
        )
        several = np.ndim(theta) == 3
        shape = (len(condition), *[None] * several, len(PROPERTIES))
        theta = plain_numbers("theta", theta, shape, PROPERTY_NAMES)
        bad = ~np.isfinite(theta)
        if bad.any():
            raise ModelError(
                f"theta is {theta[bad][0]} in row {np.argwhere(bad)[0][0]}: remove these galaxies"
            )
        return self.log_prob_from(theta, condition, steps)

    def log_prob_from(self, theta, condition: Tensor, steps: int) -> Tensor:
        """`log_prob` for conditions `(n, c)`, or `(n, k, c)`, that `encode` gave."""
        x_1 = self.standardise_properties(theta)
        if condition.ndim == 3:
            k = condition.shape[1]
            each = self.log_prob_from(
                np.repeat(np.asarray(theta), k, 0), condition.flatten(0, 1), steps
            )
            return each.unflatten(0, (-1, k)).logsumexp(1) - np.log(k)
        return self.flow.log_prob(x_1, condition.to(self.device), steps) - self._log_volume

    def infer(
        self,
        survey: Survey,
        *,
        n_samples: int = 1000,
        steps: int = 100,
        seed: int = 0,
        progress: bool = True,
    ):
        """Posteriors of all galaxies of a survey.

        Samples are independent; they are arranged as 4 chains because ArviZ expects chains.

        Returns:
            `xarray.Dataset` with a variable a property, dimensions (chain, draw, object_id), and
            what `out_of_range` says as coordinates along object_id. Its `to_netcdf` writes what
            `arviz.from_netcdf` reads.
        """
        from galcfm.posterior.draws import Draws

        if whole_number("n_samples", n_samples) % N_CHAINS:
            raise ModelError(f"n_samples is {n_samples}: a multiple of {N_CHAINS} is needed")
        whole_number("steps", steps), whole_number("seed", seed, 0)
        condition = self.encode_survey(survey, progress)
        # A processor gets few galaxies at a time, for the sake of the progress bar.
        at_once = max(16, block_rows(self.device) // n_samples)
        samples = torch.empty(len(survey), n_samples, len(PROPERTIES))
        with tqdm(total=len(survey), desc="sampling", unit="galaxy", disable=not progress) as bar:
            for start in range(0, len(survey), at_once):
                rows = slice(start, start + at_once)
                samples[rows] = self.sample_from(
                    condition[rows], survey.object_id[rows], n_samples, steps, seed
                )
                bar.update(len(samples[rows]))
        shape = (len(survey), N_CHAINS, n_samples // N_CHAINS, len(PROPERTIES))
        chains = samples.reshape(shape).numpy()
        return Draws(
            {
                p.name: (
                    ("chain", "draw", "object_id"),
                    chains[..., k].transpose(1, 2, 0),
                    {"units": p.unit, "long_name": p.description},
                )
                for k, p in enumerate(PROPERTIES)
            },
            coords={
                "chain": np.arange(N_CHAINS),
                "draw": np.arange(n_samples // N_CHAINS),
                "object_id": survey.object_id.astype(str),
                **{
                    name: ("object_id", column.to_numpy())
                    for name, column in self.out_of_range_from(condition).items()
                },
            },
            attrs={"steps": steps, "seed": seed, "survey": Path(survey.name).name},
        )

    # Out of range

    def fit_range(self, training: Survey, held_out: Survey) -> None:
        """Remember where training galaxies lie, so that `out_of_range` can compare others.

        Arguments:
            training: the training split, or some of it.
            held_out: galaxies like these that were not trained on, usually the validation split.
        """
        known, others = (
            self._parts(self.encode_survey(survey.select(reference_rows(len(survey)))))
            for survey in (training, held_out)
        )
        if self.missing_bands:
            measured = (self._measured(x.pop("photometry")) for x in (known, others))
            self.ranges = {"photometry": RangeOfBands(*measured)}
        else:
            self.ranges = {}
        self.ranges |= {part: TrainingRange.fit(known[part], others[part]) for part in known}

    def out_of_range(
        self, magnitudes, images=None, *, redshift=None, magnitude_errors=None, level: float = LEVEL
    ) -> pd.DataFrame:
        """How unlike the training galaxies each galaxy is, in photometry and in its image.

        Photometry means all photometric features of the model, redshift and magnitude errors
        included where it uses them, and of bands those that are measured; an image is compared by
        what the encoder makes of it. Outside the range of its training a model extrapolates, and
        its posteriors mean little.

        Arguments:
            magnitudes, images, redshift, magnitude_errors: as `encode` takes them.
            level: share of galaxies like those of the training set that may be flagged.

        Returns:
            A row a galaxy: `photometry_p`, the share of held-out galaxies that lie at least as
            far out; `photometry_outside`, the flag; for an image model also `image_p` and
            `image_outside`.

        Raises:
            ModelError: the input does not fit the model, or the model knows no range.
        """
        if np.ndim(redshift) == 2:
            raise ModelError("redshift has several values a galaxy: give one, e.g. the median")
        if not self.ranges:
            raise ModelError("this model does not know its training range: train it again")
        condition = self.encode(
            magnitudes, images, redshift=redshift, magnitude_errors=magnitude_errors
        )
        return self.out_of_range_from(condition, level)

    def out_of_range_from(self, condition: Tensor, level: float = LEVEL) -> pd.DataFrame:
        """`out_of_range` for conditions `(n, c)` that `encode` gave."""
        columns = {}
        for part, features in self._parts(condition).items():
            if part in self.ranges:
                known = self.ranges[part]
                if isinstance(known, RangeOfBands):
                    features = self._measured(features)
                share = known.share_farther(features)
                columns |= {f"{part}_p": share, f"{part}_outside": known.is_outside(share, level)}
        return pd.DataFrame(columns)

    def _parts(self, condition: Tensor) -> dict[str, np.ndarray]:
        """The parts of the condition `[f_img, f_phot]` that are not empty."""
        n_image = condition.shape[1] - len(self.feature_mean)
        parts = {"photometry": condition[:, n_image:], "image": condition[:, :n_image]}
        return {part: x.numpy() for part, x in parts.items() if x.shape[1]}

    def _measured(self, features: np.ndarray) -> np.ndarray:
        """Magnitudes, redshift and what errors tell, as a `RangeOfBands` takes them, `(n, f)`."""
        n = len(BANDS)
        raw = features * self.feature_std.numpy() + self.feature_mean.numpy()
        seen = features[:, -2 * n : -n] > 0.5
        measured = raw[:, : -2 * n]
        if self.features == "r_and_colours":
            # Magnitudes less that in r, which comes first: sums of colours.
            below_u = np.pad(-np.cumsum(raw[:, 1:n], 1), ((0, 0), (1, 0)))
            r = BANDS.index("r")
            measured[:, :n] = raw[:, :1] + below_u - below_u[:, [r]]
        measured[:, :n][~seen] = np.nan
        if self.use_magnitude_errors:
            measured[:, -n:][~seen] = np.nan
        return np.float32(measured)

    @property
    def _log_volume(self) -> float:
        return float(self.property_std.log().sum())

    def to_physical(self, x_1: Tensor) -> Tensor:
        """Properties in physical units of standardised ones `(..., 5)`."""
        return (x_1.double() * self.property_std + self.property_mean).float()

    # On disk

    def save(self, folder: Path | str) -> None:
        """Write `model.safetensors`, `range.safetensors` and `model.json` to `folder`.

        A model that is there is replaced once the new one is whole.

        Raises:
            ModelError: the folder holds anything but a model and its training.
            OSError: it cannot be written.
        """
        folder = Path(os.path.realpath(folder))
        require_own_model(folder)
        arrays = {
            f"{part}.{name}": getattr(known, name)
            for part, known in self.ranges.items()
            for name in (field.name for field in fields(known))
        }
        description = {
            "schema_version": SCHEMA_VERSION,
            "properties": list(PROPERTY_NAMES),
            "bands": list(BANDS),
            "architecture": self.architecture,
            "metadata": self.metadata,
            "provenance": provenance(),
        }
        with (
            replacing(folder / "model.json") as described,
            replacing(folder / "range.safetensors") as ranged,
            replacing(folder / "model.safetensors") as weighted,
        ):
            weighted.write_bytes(safetensors_bytes(self.state_dict()))
            ranged.write_bytes(arrays_bytes(arrays))
            write_json(described, description)

    @classmethod
    def load(cls, folder: Path | str, device: str | torch.device | None = None) -> "Posterior":
        """Read a model.

        Arguments:
            folder: where `save` wrote it.
            device: where it computes; by default as `default_device` says. Results come back to
                the CPU in any case.

        Raises:
            ModelError: a file is missing, of another schema, or the weights are of another
                architecture than `model.json` says.
        """
        folder, device = Path(folder), _usable_device(device)
        for name in ("model.json", "model.safetensors"):
            if not (folder / name).exists():
                raise ModelError(
                    f"{folder / name} is missing: no model there; notebook 02_training makes one"
                )
        try:
            description = json.loads((folder / "model.json").read_text())
            found = description.get("schema_version")
            made_of = [description[name] for name in ("properties", "bands")] if found else []
        except (ValueError, AttributeError, KeyError) as error:
            raise ModelError(
                f"{folder / 'model.json'} is not one that galcfm wrote, or not whole: fetch or "
                "train the model again"
            ) from error
        if found != SCHEMA_VERSION:
            raise ModelError(
                f"{folder / 'model.json'} has schema version {found}, this galcfm reads "
                f"{SCHEMA_VERSION}: train the model again"
            )
        if made_of != [list(PROPERTY_NAMES), list(BANDS)]:
            raise ModelError(
                f"{folder / 'model.json'} is a model of {made_of[0]} from {made_of[1]}, not of "
                f"{list(PROPERTY_NAMES)} from {list(BANDS)}"
            )
        try:
            posterior = cls(**description["architecture"])
            posterior.load_state_dict(load_file(folder / "model.safetensors"))
            if (folder / "range.safetensors").exists():
                parts: dict[str, dict] = {}
                for name, array in load_arrays(folder / "range.safetensors").items():
                    part, _, field = name.partition(".")
                    parts.setdefault(part, {})[field] = array
                posterior.ranges = {
                    part: (RangeOfBands if "training" in found else TrainingRange)(**found)
                    for part, found in parts.items()
                }
        except SafetensorError as error:
            raise ModelError(
                f"the weights in {folder} are not whole ({error}): fetch or train the model again"
            ) from error
        except (TypeError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"{folder / 'model.safetensors'} and the architecture in model.json do not "
                f"belong together: train the model again ({error})"
            ) from error
        posterior.metadata = description["metadata"]
        return posterior.to(device).eval()

    # On the Hub

    @classmethod
    def from_hub(
        cls, name: str, *, revision: str | None = None, device=None, **options
    ) -> "Posterior":
        """Read a model from the Hugging Face Hub; nothing that is downloaded is executed.

        Arguments:
            name: `"owner/name"`.
            revision: branch, tag or commit; by default the newest. Name one in what you publish.
            device: as `load` takes it.
            options: of `huggingface_hub.snapshot_download`, e.g. `token`, `cache_dir` or
                `local_files_only`.

        Raises:
            ModelError: there is no such model, the Hub cannot be reached, or see `load`.
        """
        from galcfm.posterior.hub import from_hub

        return from_hub(cls, name, revision, device, options)

    def push_to_hub(
        self,
        name: str,
        *,
        test: Survey | None = None,
        private: bool = False,
        message: str = "A model of galcfm",
        **options,
    ) -> str:
        """Write the model and its card to the Hugging Face Hub.

        Arguments:
            name: `"owner/name"`; made if it is not there.
            test: galaxies that it was not trained on, to measure the calibration that the card
                states; without them, it says that none was measured, or what was before.
            private: whether a new one can be seen by its owner alone.
            message: of the commit.
            options: of `huggingface_hub.HfApi`, e.g. `token`.

        Returns:
            Address of the commit.

        Raises:
            ModelError: the Hub cannot be reached, or refuses.
        """
        from galcfm.posterior.hub import push_to_hub

        return push_to_hub(self, name, test, private, message, options)
