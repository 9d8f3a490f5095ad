"""Students: models that draw in a few jumps what a trained flow draws in many small steps.

A flow carries each noise to one place. A student learns where, from pairs that its teacher makes
(knowledge distillation: Luhman & Luhman 2021, arXiv 2101.02388; in several jumps, progressively:
Salimans & Ho 2022, arXiv 2202.00512). It has its teacher's encoder, standardisation and range, its
draws have no density, and they hold nothing that the teacher has not learned.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from galcfm.flow import FAST_STEPS, block_rows
from galcfm.posterior import ModelError, Posterior
from galcfm.provenance import array_digest
from galcfm.survey import Survey
from galcfm.training.loop import keyed_generator, read_checkpoint, write_checkpoint
from studies.frame import Plan

PARTS = ("flow", "average", "optimiser", "schedule", "averaged", "step")
CHECKPOINT_EVERY = 2000


@dataclass(frozen=True)
class Distillation(Plan):
    """How a student is trained.

    Arguments:
        jumps: Velocities that a draw costs.
        n_conditions: Conditions for which the teacher draws.
        n_draws: Draws for each of them.
        jitter: Standard deviation of noise on the conditions, relative to their own: the student
            learns about galaxies between those of the training set, too.
        n_steps: Batches.
        batch_size: Draws per batch.
        learning_rate: Highest learning rate of Adam; half a cosine brings it to zero.
        average_decay: Decay of the average of the weights, which is kept.
        seed: Seed of all random numbers.
    """

    jumps: int = 1
    n_conditions: int = 60_000
    n_draws: int = 24
    jitter: float = 0.1
    n_steps: int = 30_000
    batch_size: int = 2048
    learning_rate: float = 2e-3
    average_decay: float = 0.999
    seed: int = 0


def distil(
    teacher: Posterior, survey: Survey, folder: Path, settings: Distillation, progress: bool = True
) -> Posterior:
    """Train a student of a flow and return it; the same call resumes an interrupted training.

    The student has the teacher's networks, and starts from their weights.

    Arguments:
        teacher: A trained flow.
        survey: Survey whose training split has the galaxies for which the teacher draws.
        folder: Folder of the student.
        settings: Settings of the training.
        progress: Whether a bar is shown.

    Raises:
        ModelError: The teacher is a student.
        TrainingError: The folder holds another training.
    """
    if teacher.flow.jumps:
        raise ModelError("the teacher is a student itself: take the flow that it learned from")
    student = Posterior(**teacher.architecture | {"jumps": settings.jumps}).to(teacher.device)
    student.load_state_dict(teacher.state_dict())
    known = teacher.encode_survey(survey.split("train"))
    identity = {
        "architecture": student.architecture,
        "settings": asdict(settings),
        "teacher": teacher.weights_digest,
        "conditions": array_digest(known.numpy()),
    }
    found = read_checkpoint(folder, identity, PARTS)
    if found is None or found["step"] < settings.n_steps:
        rows, places = draws_of_teacher(teacher, known, settings, progress)
        found = learn(student, rows, places, folder, found, identity, settings, progress)
    student.flow.load_state_dict(found["averaged"])
    student.ranges = teacher.ranges
    student.metadata = teacher.metadata | {"distillation": asdict(settings)}
    student.eval().save(folder)
    return student


def draws_of_teacher(teacher, known, settings, progress) -> tuple[Tensor, Tensor]:
    """Return conditions `(n, c)` and positions of draws after each jump `(n, S, jumps + 1, d)`."""
    generator = torch.Generator().manual_seed(settings.seed)
    rows = torch.randint(len(known), (settings.n_conditions,), generator=generator)
    condition = known[rows]
    noise = torch.randn(condition.shape, generator=generator)
    condition = (condition + settings.jitter * known.std(0) * noise).to(teacher.device)
    dim, jumps = teacher.flow.dim, settings.jumps
    # Whole steps of the teacher from jump to jump.
    each = -(-FAST_STEPS // jumps)
    places = torch.empty(len(condition), settings.n_draws, jumps + 1, dim, device=teacher.device)
    at_once = max(1, block_rows(teacher.device) // settings.n_draws)
    with tqdm(total=len(condition), desc="drawing from the teacher", disable=not progress) as bar:
        for start in range(0, len(condition), at_once):
            block = condition[start : start + at_once]
            x_0 = torch.randn(len(block), settings.n_draws, dim, generator=generator)
            path = teacher.flow.trajectories(block, x_0.to(teacher.device), each * jumps)
            places[start : start + at_once] = path[::each].permute(1, 2, 0, 3)
            bar.update(len(block))
    return condition, places


def learn(student, condition, places, folder, found, identity, settings, progress) -> dict:
    """Train the student's flow on the teacher's draws, and return the last checkpoint."""
    flow, jumps, device = student.flow.train(), settings.jumps, condition.device
    optimiser = torch.optim.Adam(flow.parameters(), settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.n_steps)
    average = AveragedModel(flow, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay))
    parts = {"flow": flow, "average": average, "optimiser": optimiser, "schedule": schedule}
    first = 0
    if found is not None:
        first = found["step"]
        for name, part in parts.items():
            part.load_state_dict(found[name])
    n_draws = places.shape[1]
    steps, title = range(first, settings.n_steps), f"distilling {folder.name}"
    bar = tqdm(steps, title, settings.n_steps, initial=first, disable=not progress)
    for step in bar:
        generator = keyed_generator(settings.seed, step)
        size = (settings.batch_size,)
        draw = torch.randint(len(condition) * n_draws, size, generator=generator).to(device)
        jump = torch.randint(jumps, size, generator=generator).to(device)
        row, column = draw // n_draws, draw % n_draws
        start, end = (places[row, column, jump + k] for k in (0, 1))
        along = flow.velocity((jump / jumps)[:, None], start, condition[row])
        loss = (along - (end - start) * jumps).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(flow)
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == settings.n_steps:
            bar.set_postfix_str(f"loss {loss.item():.2e}")
            found = {name: part.state_dict() for name, part in parts.items()}
            found |= {"averaged": average.module.state_dict()}
            found |= {"identity": identity, "step": step + 1}
            write_checkpoint(folder, found)
    return found
