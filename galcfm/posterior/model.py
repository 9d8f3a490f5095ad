"""A trained model: from magnitudes and images to posteriors in physical units."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from galcfm.flow import ConditionalFlow, block_rows
from galcfm.networks import ImageEncoder, VelocityNetwork
from galcfm.paths import no_bar
from galcfm.posterior import files, hub, training_range
from galcfm.posterior.bands import BandStatistics
from galcfm.posterior.features import ModelFeatures, Standardisation
from galcfm.posterior.inputs import (
    ModelError,
    Observation,
    galaxy_seeds,
    plain_embeddings,
    plain_images,
    plain_numbers,
    plain_properties,
    whole_number,
)
from galcfm.posterior.labels import BlockFlow, columns_of, require_whole_blocks
from galcfm.posterior.training_range import QuiescentClass, RangeOfBands, TrainingRange
from galcfm.properties import SDSS, Declaration, Embedding
from galcfm.provenance import array_digest
from galcfm.survey import Survey
from galcfm.survey.rules import image_kind

# Images encoded at once: 256 cutouts of 128 pixels need about 1 GB in the first block.
ENCODER_BATCH = 256


class Posterior(nn.Module):
    r"""The posterior of the five properties given photometry and, optionally, an image.

    A survey may declare other properties and bands, and embeddings as further inputs.

    Arguments:
        features: Photometric features: `"magnitudes"` (u, g, r, i, z), `"r_and_colours"` (r, u−g,
            g−r, r−i, i−z) or `"none"` (the prior: an unconditional flow).
        use_redshift: Whether the spectroscopic redshift is a further feature.
        use_magnitude_errors: Whether the logarithms of the magnitude errors are further features.
        missing_bands: Whether bands may be missing (NaN magnitude) or be upper limits of the flux
            (infinite error), see `galcfm.posterior.bands`. Which bands are measured is a further
            feature, and training with `hide_bands` teaches its meaning. Limits need
            `use_magnitude_errors`.
        encoder: Keyword arguments of `ImageEncoder`; `None` for a model without images.
        network: Keyword arguments of `VelocityNetwork` (`width`, `depth`).
        sigma: Width of the flow's path, in standardised units.
        jumps: Number of jumps, see `ConditionalFlow`.
        declaration: What the model uses: its properties and bands, the embeddings among its inputs,
            and the linear cutouts that its encoder takes.
        label_blocks: Names of the properties that are observed together, in the order of the
            factors of the posterior; empty if all galaxies have all labels.

    Raises:
        ModelError: The features are unknown, `missing_bands` is set for a model without magnitudes,
            or the redshift is a feature and a property.
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
        declaration: Declaration | dict = SDSS,
        label_blocks: Sequence[Sequence[str]] = (),
    ):
        super().__init__()
        if not isinstance(declaration, Declaration):
            declaration = Declaration.of(declaration)
        self.declaration = declaration
        self.features = ModelFeatures(
            features, use_redshift, use_magnitude_errors, missing_bands, declaration
        )
        self.use_redshift = use_redshift
        self.use_magnitude_errors = use_magnitude_errors
        self.missing_bands = missing_bands
        self.architecture = {
            "features": features,
            "use_redshift": use_redshift,
            "use_magnitude_errors": use_magnitude_errors,
            "encoder": encoder,
            "network": network or {},
            "sigma": sigma,
        }
        # Older models keep their description, in which these names are absent.
        later = {
            "missing_bands": missing_bands,
            "jumps": jumps,
            "declaration": declaration.content,
            "label_blocks": [list(block) for block in label_blocks],
        }
        self.architecture |= {name: value for name, value in later.items() if value}
        self.metadata: dict = {}
        self.ranges: dict[str, TrainingRange | RangeOfBands | QuiescentClass] = {}
        n_features, n_bands = len(self.features), len(declaration.bands)
        n_properties = len(declaration.properties)
        self.n_embedding = sum(each.length for each in declaration.embeddings)
        self.encoder = None if encoder is None else ImageEncoder(**encoder)
        n_image = 0
        if self.encoder is not None:
            mine = {"channels": len(self.encoder.pixel_mean), "linear": self.encoder.linear}
            channels, linear = image_kind(declaration)[0][-1], declaration.cutouts is not None
            if mine != (needed := {"channels": channels, "linear": linear}):
                images = declaration.cutouts or "colour images"
                raise ModelError(f"the encoder has {mine}, but {images} need {needed}")
            n_image = self.encoder.n_features
        n_condition = n_image + self.n_embedding + n_features
        self.label_columns = columns_of(label_blocks, declaration.property_names)
        if len(self.label_columns) > 1:
            velocity = VelocityNetwork(
                n_properties, n_condition + 3 * n_properties, **(network or {})
            )
            self.flow = BlockFlow(velocity, self.label_columns, sigma, jumps)
        else:
            velocity = VelocityNetwork(n_properties, n_condition, **(network or {}))
            self.flow = ConditionalFlow(velocity, sigma, jumps)
        buffers = {"feature_mean": torch.zeros(n_features), "feature_std": torch.ones(n_features)}
        if missing_bands:
            buffers["magnitude_mean"] = torch.zeros(n_bands)
            buffers["magnitude_covariance"] = torch.eye(n_bands)
            buffers["usual_errors"] = torch.zeros(n_bands, 3)
        if self.n_embedding:
            buffers["embedding_mean"] = torch.zeros(self.n_embedding)
            buffers["embedding_std"] = torch.ones(self.n_embedding)
        buffers["property_mean"] = torch.zeros(n_properties)
        buffers["property_std"] = torch.ones(n_properties)
        for name, values in buffers.items():
            self.register_buffer(name, values.double())

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
        """The device of the weights."""
        return next(self.flow.parameters()).device

    def _apply(self, fn, recurse=True):
        if fn(torch.empty(0)).dtype != torch.float32:
            raise ModelError(
                "a Posterior computes in float32: leave out half(), double() and dtype"
            )
        # The standardisation stays float64 on the CPU, because some devices have no such numbers.
        for child in self.children():
            child._apply(fn, recurse)
        return self

    @property
    def feature_scale(self) -> Standardisation:
        """The standardisation of the photometric features."""
        return Standardisation(self.feature_mean, self.feature_std)

    @property
    def embedding_scale(self) -> Standardisation:
        """The standardisation of the embeddings, one after another."""
        return Standardisation(self.embedding_mean, self.embedding_std)

    @property
    def property_scale(self) -> Standardisation:
        """The standardisation of the properties."""
        return Standardisation(self.property_mean, self.property_std)

    def observe(self, survey: Survey) -> Observation:
        """Return the inputs of the model from a survey; without errors, a limit is a missing band.

        Raises:
            ModelError: The survey lacks a band, an embedding or magnitude errors that the model was
                trained with, or declares them differently.
        """
        used, declared = self.declaration, survey.declaration
        if missing := [band for band in used.bands if band not in declared.bands]:
            raise ModelError(
                f"{survey.name} has no {', '.join(missing)}, with which this model was trained: "
                f"use a model of {', '.join(declared.bands)}"
            )
        for each in used.embeddings:
            require_same_embedding(each, survey)
        has_images = survey.images is not None
        if self.uses_images and has_images and declared.cutouts != used.cutouts:
            raise ModelError(
                f"{survey.name} has {declared.cutouts or 'colour images'}, and this model takes "
                f"{used.cutouts or 'colour images'}: use another model, or make the survey again"
            )
        errors = None
        columns = [declared.bands.index(band) for band in used.bands]
        if self.use_magnitude_errors:
            errors = plain_numbers(
                survey.name, survey.catalogue, (None, len(columns)), used.magnitude_errors
            )
        magnitudes = survey.measured_magnitudes if errors is None else survey.magnitudes
        return Observation(
            magnitudes[:, columns],
            survey.images if self.uses_images else None,
            survey.redshift if self.use_redshift else None,
            errors,
            {each.name: survey.embeddings[each.name] for each in used.embeddings},
        )

    def raw_features(self, observation: Observation) -> np.ndarray:
        """Return the photometric features before standardisation, `(n, f)`, float64.

        Raises:
            ModelError: The photometry does not fit the model.
        """
        bands = None
        if self.missing_bands:
            fitted = (getattr(self, field.name).numpy() for field in fields(BandStatistics))
            bands = BandStatistics(*fitted)
        return self.features.of(observation, bands)

    def standardised_features(self, observation: Observation) -> Tensor:
        """Return [f_emb, f_phot], all features but those of images, float32 `(n, f)` on the CPU.

        Raises:
            ModelError: The photometry or an embedding does not fit the model.
        """
        f_phot = self.feature_scale.apply(self.raw_features(observation))
        used = self.declaration.embeddings
        found = plain_embeddings(observation.embeddings, used, len(f_phot))
        if not used:
            return f_phot
        return torch.cat([self.embedding_scale.apply(np.concatenate(found, 1)), f_phot], 1)

    def fit_standardisation(self, survey: Survey) -> None:
        """Fit all standardisation on `survey`, which must contain only the training split."""
        outside = set(survey.catalogue["split"]) - {"train"}
        if outside:
            raise ModelError(f"standardisation is fitted on the training split, not on {outside}")
        observation = self.observe(survey)
        if self.missing_bands:
            bands = BandStatistics.fit(observation.magnitudes, observation.magnitude_errors)
            for name, values in vars(bands).items():
                getattr(self, name).copy_(torch.from_numpy(values))
        fits = [
            (self.feature_scale, self.raw_features(observation)),
            (self.property_scale, survey.properties),
        ]
        if self.n_embedding:
            embeddings = np.concatenate(list(observation.embeddings.values()), axis=1)
            fits.append((self.embedding_scale, embeddings))
        for scale, values in fits:
            fitted = Standardisation.fit(values)
            scale.mean.copy_(fitted.mean)
            scale.std.copy_(fitted.std)
        if self.missing_bands:  # flags of missing bands are 0 or 1 and stay so
            flags = 2 * len(self.declaration.bands)
            self.feature_mean[-flags:] = 0
            self.feature_std[-flags:] = 1
        if self.uses_images:
            rows = np.linspace(0, len(survey) - 1, min(len(survey), 512)).astype(int)
            images = observation.used("images", self.uses_images)
            self.encoder.standardise(torch.from_numpy(images[rows]))

    # Inference

    def encode(
        self, magnitudes, images=None, *, redshift=None, magnitude_errors=None, embeddings=None
    ) -> Tensor:
        """Return the condition [f_img, f_emb, f_phot] of each galaxy, float32 `(n, c)`, on the CPU.

        Arguments:
            magnitudes: AB magnitudes in u, g, r, i, z, or in the bands of the model, extinction
                removed, shape `(n, 5)`.
            images: Cutouts, uint8, channels i, r, g, shape `(n, 128, 128, 3)`, or linear cutouts as
                the model declares them; required by an image model and refused by others.
            redshift: Redshifts, shape `(n,)`, for a model trained with redshifts; or k redshifts
                per galaxy, `(n, k)`, for k conditions per galaxy, `(n, k, c)`.
            magnitude_errors: Standard deviations, shape `(n, 5)`, for a model trained with them.
            embeddings: Embeddings by name, each `(n, length)`, for a model trained with them.

        Raises:
            ModelError: The input does not fit the model.
        """
        return self.encode_observation(
            Observation(magnitudes, images, redshift, magnitude_errors, embeddings)
        )

    def encode_survey(self, survey: Survey, progress: bool = False) -> Tensor:
        """Return the condition `(n, c)` of each galaxy of a survey."""
        return self.encode_observation(self.observe(survey), progress)

    @torch.no_grad()
    def encode_observation(self, observation: Observation, progress: bool = False) -> Tensor:
        """Return the conditions of galaxies, see `encode`."""
        if np.ndim(observation.redshift) == 2:
            redshift = plain_numbers("redshift", observation.redshift, (None, None))
            each = (replace(observation, redshift=values) for values in redshift.T)
            f_phot = torch.stack([self.standardised_features(one) for one in each], dim=1)
        else:
            f_phot = self.standardised_features(observation)
        images = observation.used("images", self.uses_images)
        if images is None:
            return f_phot
        images = plain_images(images, len(f_phot), self.declaration)
        self.eval()
        blocks = [torch.empty(0, self.encoder.n_features)]
        at_once = ENCODER_BATCH * 128**2 // (self.encoder.crop // self.encoder.bin_factor) ** 2
        at_once = min(max(at_once, 1), ENCODER_BATCH)
        starts = range(0, len(images), at_once)
        for start in tqdm(starts, desc="encoding images", disable=no_bar(progress)):
            block = torch.from_numpy(np.array(images[start : start + at_once], order="C"))
            blocks.append(self.encoder(block.to(self.device)).cpu())
        f_img = torch.cat(blocks)
        if f_phot.ndim == 3:
            f_img = f_img[:, None].expand(-1, f_phot.shape[1], -1)
        return torch.cat([f_img, f_phot], dim=-1)

    def sample(
        self,
        magnitudes,
        images=None,
        *,
        redshift=None,
        magnitude_errors=None,
        embeddings=None,
        object_id=None,
        n_samples=1000,
        steps=100,
        seed=0,
    ) -> Tensor:
        """Return posterior samples in physical units, float32 `(n, n_samples, 5)` on the CPU.

        The noise of a galaxy depends only on `(seed, object_id)`, so the result is independent of
        blocks, order and other galaxies. Without `object_id`, the row number is used.

        To marginalise over a p(z), give `(n, n_samples)` equally likely redshifts, one for each
        sample, as returned by `redshift_quantiles`.

        Arguments:
            magnitudes, images, redshift, magnitude_errors, embeddings: Inputs of `encode`.
            object_id: Identifiers, shape `(n,)`.
            n_samples: Number of samples per galaxy.
            steps: Number of Runge-Kutta steps.
            seed: Seed of the random noise.
        """
        n_samples, steps = whole_number("n_samples", n_samples), whole_number("steps", steps)
        observation = Observation(magnitudes, images, redshift, magnitude_errors, embeddings)
        condition = self.encode_observation(observation)
        return self.sample_from(condition, object_id, n_samples, steps, seed)

    def sample_from(self, condition, object_id, n_samples, steps, seed) -> Tensor:
        """Return samples as `sample` does, for conditions `(n, c)` or `(n, n_samples, c)`."""
        names = range(len(condition)) if object_id is None else object_id
        if len(names) != len(condition):
            raise ModelError(f"{len(names)} object_id for {len(condition)} galaxies: give one each")
        if condition.ndim == 3:
            n, k, _ = condition.shape
            if k != n_samples:
                raise ModelError(f"{k} redshifts per galaxy for {n_samples} samples: give one each")
            of_each = [f"{name}/{j}" for name in names for j in range(k)]
            each = self.sample_from(condition.flatten(0, 1), of_each, 1, steps, seed)
            return each.view(n, k, -1)
        seeds = galaxy_seeds(names, seed)
        samples = self.flow.sample(condition.to(self.device), n_samples, steps, seeds=seeds)
        for block in samples.split(1024):  # in place, because a large survey's samples are large
            block.copy_(self.property_scale.invert(block))
        return samples

    def sample_with_log_prob(
        self, condition, object_id, n_samples: int, steps: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Return samples as `sample_from` does, and exact log-densities `(n, n_samples)` [nat]."""
        x_1, log_prob = self.flow.sample_with_log_prob(
            condition.to(self.device), n_samples, steps, seeds=galaxy_seeds(object_id, seed)
        )
        return self.property_scale.invert(x_1), log_prob - self.property_scale.log_volume

    def log_prob(
        self,
        theta,
        magnitudes,
        images=None,
        *,
        redshift=None,
        magnitude_errors=None,
        embeddings=None,
        steps=100,
    ) -> Tensor:
        """Return the exact log-density of the posterior at `theta`, per physical unit [nat].

        Arguments:
            theta: Properties, shape `(n, 5)` or `(n, S, 5)`. For a model with `label_blocks`, they
                may be NaN where a galaxy lacks the labels of a block; the density is that of the
                others.
            magnitudes, images, redshift, magnitude_errors, embeddings: Inputs of `encode`; for
                equally likely redshifts `(n, k)`, the result is the log of the mean density.
            steps: Number of Runge-Kutta steps.

        Returns:
            Shape `(n,)` or `(n, S)`, float32 on the CPU.
        """
        steps = whole_number("steps", steps)
        observation = Observation(magnitudes, images, redshift, magnitude_errors, embeddings)
        condition = self.encode_observation(observation)
        names, columns = self.declaration.property_names, self.label_columns
        theta = plain_properties(theta, len(condition), names, gaps=len(columns) > 1)
        require_whole_blocks(theta, columns, names)
        return self.log_prob_from(theta, condition, steps)

    def log_prob_from(self, theta, condition: Tensor, steps: int) -> Tensor:
        """Return log-densities as `log_prob` does, for conditions `(n, c)` or `(n, k, c)`.

        They are NaN where all properties are NaN.
        """
        if condition.ndim == 3:
            k = condition.shape[1]
            of_each = np.repeat(np.asarray(theta), k, 0), condition.flatten(0, 1)
            each = self.log_prob_from(*of_each, steps)
            return each.unflatten(0, (-1, k)).logsumexp(1) - np.log(k)
        x_1 = self.property_scale.apply(theta)
        log_prob = self.flow.log_prob(x_1, condition.to(self.device), steps)
        known = x_1.isfinite()
        if known.all():
            return log_prob - self.property_scale.log_volume
        return log_prob - (known * self.property_scale.std.log()).sum(-1).to(log_prob)

    def infer(self, survey: Survey, *, n_samples=1000, steps=100, seed=0, progress=True):
        """Return the posteriors of all galaxies of a survey.

        Returns:
            `xarray.Dataset` with one variable per property, dimensions (chain, draw, object_id),
            and the columns of `out_of_range` as coordinates along object_id. Its `to_netcdf`
            writes files for `arviz.from_netcdf`.
        """
        from galcfm.posterior.draws import N_CHAINS, Draws

        if whole_number("n_samples", n_samples) % N_CHAINS:
            raise ModelError(f"n_samples is {n_samples}: a multiple of {N_CHAINS} is needed")
        whole_number("steps", steps), whole_number("seed", seed, 0)
        condition = self.encode_survey(survey, progress)
        # A processor gets few galaxies at a time, so that the progress bar moves.
        at_once = max(16, block_rows(self.device) // n_samples)
        samples = torch.empty(len(survey), n_samples, len(self.declaration.properties))
        with tqdm(
            total=len(survey), desc="sampling", unit="galaxy", disable=no_bar(progress)
        ) as bar:
            for start in range(0, len(survey), at_once):
                rows = slice(start, start + at_once)
                names = survey.object_id[rows]
                samples[rows] = self.sample_from(condition[rows], names, n_samples, steps, seed)
                bar.update(len(samples[rows]))
        flags = self.out_of_range_from(condition)
        attrs = {"steps": steps, "seed": seed, "survey": Path(survey.name).name}
        return Draws.of(samples.numpy(), survey.object_id, flags, attrs, self.declaration)

    # Training range, files and the Hub

    fit_range = training_range.fit_range
    out_of_range = training_range.out_of_range
    out_of_range_from = training_range.out_of_range_from
    save = files.save
    load = classmethod(files.load)
    push_to_hub = hub.push_to_hub
    from_hub = classmethod(hub.from_hub)


def require_same_embedding(used: Embedding, survey: Survey) -> None:
    """Refuse a survey without an embedding, or with one of another model or length.

    Raises:
        ModelError: The embeddings differ; the message names both models.
    """
    found = next((e for e in survey.declaration.embeddings if e.name == used.name), None)
    if found is None:
        raise ModelError(
            f"{survey.name} has no embedding {used.name}, with which this model was trained: add "
            f"the one of {used.model}, or use another model"
        )
    if found != used:
        raise ModelError(
            f"{survey.name} has the embedding {used.name} of {found.model} with {found.length} "
            f"features, and this model was trained with {used.length} features of {used.model}: "
            "compute it with that model, or train again"
        )
