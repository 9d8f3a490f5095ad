"""Simulated cutouts beside real ones of SkyServer, which are not part of the repository."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from galcfm.provenance import array_digest
from galcfm.runs import RunError
from galcfm.simulate import render, simulate_catalogue
from galcfm.survey.images import decode_jpeg
from studies import frame
from studies.frame import Place, Result, Study, chosen
from studies.realism.measurements import GROUPS, enlarge, light_and_radius, measure
from studies.realism.samples import match_pairs, two_sample_auc

STUDY = Study("realism_cutouts", "12_is_the_survey_real")
FEWEST = 20  # cutouts, of which classifiers are trained in five folds of either half


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Cutouts that are compared, and how.

    Arguments:
        cutouts_folder: Folder of 128×128 JPEG cutouts of real galaxies; empty if there is none.
        statistics: Names of the groups of measurements, of `GROUPS`.
        network_epochs: Number of passes of the network over the first half of the cutouts.
        seed: Seed of the catalogues of the chapter; the simulated cutouts, four times as many as
            the real ones, have the next but one.
    """

    cutouts_folder: str = ""
    statistics: Sequence[str] = tuple(GROUPS)
    network_epochs: int = 30
    seed: int = 21


def find(results: str, run: Path, plan: Plan) -> Result:
    """Return the published comparison, or, with a folder of cutouts, make one: see `Study.find`."""
    results = results if plan.cutouts_folder else "published"
    return STUDY.find(results, run, plan.settings, lambda place: make(plan, place))


def make(plan: Plan, place: Place) -> None:
    """Compare simulated cutouts with the real ones in the folder, unless the result is there."""
    paths = sorted(Path(plan.cutouts_folder).expanduser().glob("*.jpg"))
    if len(paths) < FEWEST:
        raise RunError(
            f"{plan.cutouts_folder} contains {len(paths)} cutouts: name a folder of at least "
            f"{FEWEST} JPEG files of 128×128 pixels, whose names end in .jpg"
        )
    real = np.stack([decode_jpeg(path.read_bytes()) for path in paths])
    # The content of the folder counts, not its place.
    key = STUDY.key(plan.settings | {"cutouts_folder": ""}, array_digest(real))
    if STUDY.stored(place.folder, key):
        return
    seed = plan.seed + 2
    simulated = render(simulate_catalogue(4 * len(real), seed), seed)
    groups = {name: GROUPS[name] for name in chosen(plan.statistics, tuple(GROUPS), "statistics")}
    STUDY.store(place.folder, compare_cutouts(real, simulated, groups, plan.network_epochs), key)


def compare_cutouts(
    real: np.ndarray, simulated: np.ndarray, groups: Mapping[str, Sequence[str]], epochs: int
) -> dict:
    """Tell real and simulated cutouts apart, by measurements and by a small network.

    The real cutouts are split by a fixed permutation: choices in the simulation that were made
    with cutouts in view were made on the first half, and the second half is the test. In each half
    each real cutout has one simulated partner of about its light and size.

    Arguments:
        real: uint8 `(n, 128, 128, 3)`.
        simulated: uint8 `(m, 128, 128, 3)`, at the scale of the survey, at least as many.
        groups: Columns of `measure` by the name of the group.
        epochs: Number of passes of the network over the first half.

    Returns:
        `auc` by half and group of measurements; `statistics` of the second half: the 10th, 50th
        and 90th percentile of either sample and the `auc` of each measurement alone;
        `network_auc`, of a network trained on the first half and tested on the second.
    """
    rng = np.random.default_rng(0)
    halves = {}
    splits = (np.array_split(rng.permutation(len(sample)), 2) for sample in (real, simulated))
    for name, rows, others in zip(("chosen", "judged"), *splits, strict=True):
        like = light_and_radius(real[rows])
        enlarged = enlarge(simulated[others], like[:, 1])
        halves[name] = (real[rows], enlarged[match_pairs(like, light_and_radius(enlarged))])
    measured = {name: [measure(images) for images in pair] for name, pair in halves.items()}
    columns = {"all": [column for group in groups.values() for column in group], **groups}
    of_real, of_simulated = measured["judged"]
    return {
        "n_real": len(of_real),
        "n_simulated": len(of_simulated),
        "statistics": {
            column: {
                "real": of_real[column].quantile([0.1, 0.5, 0.9]).round(3).tolist(),
                "simulated": of_simulated[column].quantile([0.1, 0.5, 0.9]).round(3).tolist(),
                "auc": round(two_sample_auc(of_real[[column]], of_simulated[[column]])["auc"], 3),
            }
            for column in columns["all"]
        },
        "auc": {
            half: {
                group: two_sample_auc(*(table[list(names)].to_numpy() for table in pair))
                for group, names in columns.items()
            }
            for half, pair in measured.items()
        },
        "network_auc": network_auc(halves["chosen"], halves["judged"], epochs),
    }


def network_auc(training: Sequence[np.ndarray], test: Sequence[np.ndarray], epochs: int) -> float:
    """Train a small convolutional network to tell real cutouts, and return its test AUC.

    Arguments:
        training: Real and simulated cutouts, uint8 `(n, h, h, 3)` each.
        test: Other real and simulated cutouts.
        epochs: Number of passes over the training set, whose images are turned and mirrored at
            random each time.
    """
    import torch
    from sklearn.metrics import roc_auc_score
    from torch import nn

    def tensors(pair):
        images = torch.tensor(np.concatenate(pair)).permute(0, 3, 1, 2).float() / 64
        return images, torch.tensor(np.repeat([0.0, 1.0], [len(sample) for sample in pair]))

    torch.manual_seed(0)
    widths = (3, 16, 32, 64, 64)
    blocks = [(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairwise(widths)]
    network = nn.Sequential(
        *(layer for block in blocks for layer in block),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(widths[-1], 1),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    images, label = tensors(training)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(32):
            batch = torch.rot90(images[rows], int(torch.randint(4, ())), (2, 3))
            batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
            loss = nn.functional.binary_cross_entropy_with_logits(network(batch)[:, 0], label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()
    images, label = tensors(test)
    with torch.no_grad():
        return float(roc_auc_score(label, network(images)[:, 0]))
