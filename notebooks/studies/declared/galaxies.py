"""Simulated galaxies with the image features of a published model, and with missing labels."""

from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm import tqdm

from galcfm.paths import replacing
from galcfm.posterior import Posterior
from galcfm.properties import Declaration, Embedding
from galcfm.simulate import render, simulate_catalogue
from galcfm.survey import Survey

BLOCK = 2000  # galaxies whose images are in memory at once


def example(n: int, seed: int = 83) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a user's table of simulated galaxies, and four numbers about the shape of each.

    The third of the galaxies with the lowest specific star formation rates has no star formation
    rate.

    Arguments:
        n: Number of galaxies.
        seed: Seed of the galaxies.
    """
    known = simulate_catalogue(n, seed)
    columns = ["object_id", "mag_g", "mag_r", "mag_z", "log_stellar_mass", "log_sfr", "redshift"]
    table = known[columns].copy()
    specific = known["log_sfr"] - known["log_stellar_mass"]
    table.loc[specific < specific.quantile(1 / 3), "log_sfr"] = np.nan
    radii = np.log10(known[["disc_radius_g", "disc_radius_r"]].to_numpy())
    others = known[["inclination", "bulge_fraction_r"]].to_numpy()
    return table, np.concatenate([radii, others], axis=1).astype(np.float32)


def with_image_features(
    catalogue: Survey, seed: int, model: Posterior, folder: Path, processes: int = 1
) -> Survey:
    """Return the galaxies with the image features f_img of a model as the embedding `image`.

    Images are rendered and encoded block by block and are not kept; the features are.

    Arguments:
        catalogue: Simulated galaxies without images.
        seed: Seed of their images.
        model: The image model.
        folder: Folder of the features, where a later call resumes.
        processes: Number of processes that render.
    """
    n_features, blocks = model.encoder.n_features, []
    for start in tqdm(range(0, len(catalogue), BLOCK), desc="image features", unit="block"):
        path = folder / f"features-{start}.npy"
        if not path.exists():
            part = catalogue.select(np.arange(start, min(start + BLOCK, len(catalogue))))
            pieces = np.array_split(np.arange(len(part)), processes)
            images = Parallel(processes)(
                delayed(render)(part.catalogue.iloc[rows], seed) for rows in pieces
            )
            features = model.encode(part.magnitudes, np.concatenate(images))[:, :n_features]
            with replacing(path) as temporary:
                np.save(temporary, features.numpy())
        blocks.append(np.load(path))
    embedding = Embedding("image", f"galcfm image model {model.weights_digest}", n_features)
    declared = {"declaration": Declaration(embeddings=(embedding,)).content}
    return Survey(
        catalogue.catalogue,
        None,
        catalogue.parameters | declared,
        catalogue.name,
        embeddings={"image": np.concatenate(blocks)},
    )
