"""Pictures aligned with spectra: AstroCLIP's recipe at small size, and its control.

Parker et al. (2024, MNRAS 531, 4990) bring the embeddings of a galaxy's image and of its spectrum
together and those of different galaxies apart, then freeze the image encoder and read properties
off it. Here a vision transformer and a network on the principal components of the simulated
spectrum start from nothing, where theirs were trained by self-supervision on many millions of
galaxies before; and a spline flow reads the posterior off the frozen picture, with photometry
beside it. A frozen network that was never trained shows what the alignment adds.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn
from torch.nn import functional

from galcfm.json_files import JsonFile
from galcfm.paths import replacing
from galcfm.posterior import Standardisation, default_device
from galcfm.provenance import array_digest, digest
from galcfm.survey import Survey
from studies.methods.base import labelled
from studies.methods.encoders import binned, make_encoder, standardised
from studies.methods.gradient_descent import Descent, descend, turned_together
from studies.methods.simulated_spectra import N_COMPONENTS, Components, spectra_of
from studies.methods.spline_flow import SplineFlow

ALIGNMENT = Descent(learning_rate=5e-4, batch_size=256, max_epochs=40, patience=10)
LOGIT_SCALE = 15.5  # AstroCLIP's
ENCODER = "vit"
ALIGNED = JsonFile("encoder-*.json", dict[str, Any], "Delete it and the encoder beside it.")


class _Pair(nn.Module):
    """An image encoder and a network on spectra that end in the same space."""

    def __init__(self, encoder: nn.Module, n_components: int, width: int = 128):
        super().__init__()
        self.encoder = encoder
        self.picture = nn.Linear(encoder.n_features, width)
        self.spectrum = nn.Sequential(
            nn.Linear(n_components, 256),
            nn.SiLU(),
            nn.Linear(256, 256),
            nn.SiLU(),
            nn.Linear(256, width),
        )

    def forward(self, pictures: Tensor, spectra: Tensor) -> Tensor:
        """Return the similarity of each image with each spectrum of the batch, `(n, n)`."""
        a = functional.normalize(self.picture(self.encoder.encode(pictures)), dim=1)
        b = functional.normalize(self.spectrum(spectra), dim=1)
        return LOGIT_SCALE * a @ b.T


def align(
    encoder: nn.Module, survey: Survey, spectra: dict, settings: Descent, *, progress=False
) -> dict:
    """Train an image encoder to know which spectrum of a batch is its galaxy's.

    Arguments:
        encoder: Standardised encoder; it is trained in place.
        survey: Survey with images.
        spectra: Compressed spectra by split, `(n, k)`, in the order of `labelled`.
        settings: How it is trained.
        progress: Whether a bar is shown.

    Returns:
        What `descend` returns, and `found`, the fraction of galaxies of the validation split whose
        spectrum was the likeliest among 256.
    """
    scale, device = Standardisation.fit(spectra["train"]), default_device()
    data = {
        split: (
            scale.apply(spectra[split]).to(device),
            binned(encoder, labelled(survey, split)).to(device),
        )
        for split in ("train", "validation")
    }
    pair = _Pair(encoder, spectra["train"].shape[1]).to(device)

    def loss(pair, of_spectrum, pictures, generator):
        if pair.training:
            pictures = turned_together(pictures, generator)
        logits = pair(pictures, of_spectrum)
        own = torch.arange(len(logits), device=logits.device)
        both = [functional.cross_entropy(x, own, reduction="none") for x in (logits, logits.T)]
        return (both[0] + both[1]) / 2

    training = descend(pair, loss, data["train"], data["validation"], settings, progress=progress)
    with torch.no_grad():
        hits = [
            (pair(pictures, of).argmax(dim=1).cpu() == torch.arange(len(of)))
            for of, pictures in zip(*(x.split(256) for x in data["validation"]), strict=True)
        ]
    return training | {"found": float(torch.cat(hits).float().mean())}


class AlignedFlow(SplineFlow):
    """A spline flow on photometry and a frozen vision transformer.

    Arguments:
        alignment: How the encoder is aligned with spectra first; None leaves it as it was
            initialised, which is the control.
        options: Options of `SplineFlow`.
    """

    def __init__(self, *, alignment: Descent | None = ALIGNMENT, **options):
        super().__init__(frozen=True, **options)
        self.alignment = alignment

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Align the encoder, freeze it, and train the flow."""
        self.encoder, aligned = self.aligned_encoder(survey, folder, progress)
        super().fit(survey, folder=folder, progress=progress)
        self.training["aligned"] = aligned
        self.training["seconds"] += aligned.get("seconds", 0.0)
        self.n_parameters += sum(p.numel() for p in self.encoder.parameters())
        return self

    def aligned_encoder(self, survey: Survey, folder: Path | None = None, progress: bool = False):
        """Return an encoder, aligned with spectra or as initialised, and what `align` says."""
        torch.manual_seed(self.descent.seed)
        train, aligned = labelled(survey, "train"), {}
        encoder = standardised(make_encoder(ENCODER, **self.pixels), train)
        if self.alignment is not None:
            # Kept, as it takes longer than the flow, which is tried several times.
            of = [ENCODER, self.pixels, N_COMPONENTS, self.descent.seed]
            key = digest([*of, asdict(self.alignment), array_digest(train.magnitudes)])
            kept = None if folder is None else Path(folder) / f"encoder-{key}.safetensors"
            if kept is not None and kept.exists():
                encoder.load_state_dict(load_file(kept))
                aligned = ALIGNED.read(kept.with_suffix(".json"))
            else:
                spectra = self._spectra(survey, progress)
                aligned = align(encoder, survey, spectra, self.alignment, progress=progress)
                if kept is not None:
                    ALIGNED.write(kept.with_suffix(".json"), aligned)
                    with replacing(kept) as temporary:
                        temporary.write_bytes(safetensors_bytes(encoder.cpu().state_dict()))
        return encoder.eval().requires_grad_(False), aligned

    def _spectra(self, survey: Survey, progress: bool) -> dict[str, np.ndarray]:
        """Return compressed spectra by split, the components those of the training split."""
        both = {split: labelled(survey, split) for split in ("validation", "train")}
        found = {split: spectra_of(part, progress=progress) for split, part in both.items()}
        self.components = Components.of(found["train"], N_COMPONENTS)
        return {split: self.components(spectra) for split, spectra in found.items()}
