r"""Missing labels: blocks of properties that galaxies have together, and their chain of flows.

A galaxy may lack some labels, e.g. the oxygen abundance if it forms no stars. A model then gives
:math:`p(\theta \mid D) = p(\theta_1 \mid D)\, p(\theta_2 \mid \theta_1, D) \cdots`, one factor for
each block of properties: a posterior is that of the value of a property for a galaxy that has it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from galcfm.flow import ConditionalFlow, block_rows, noise_of, noise_shape
from galcfm.networks import VelocityField
from galcfm.posterior.inputs import ModelError
from galcfm.properties import label_blocks
from galcfm.survey import Survey


def blocks_of(survey: Survey) -> tuple[tuple[str, ...], ...]:
    """Return the names of the properties that the galaxies of a survey have together.

    The properties that most galaxies have come first. The result is empty if all have the same
    galaxies.
    """
    blocks, names = label_blocks(np.isfinite(survey.properties)), survey.declaration.property_names
    return tuple(tuple(names[k] for k in block) for block in blocks) if len(blocks) > 1 else ()


def columns_of(blocks: Sequence[Sequence[str]], names: Sequence[str]) -> list[list[int]]:
    """Return the numbers of the properties of each block; without blocks, there is one of all.

    Raises:
        ModelError: The blocks do not contain each property once.
    """
    blocks = blocks or [names]
    if sorted(name for block in blocks for name in block) != sorted(names) or [] in blocks:
        raise ModelError(
            f"label_blocks are {[list(block) for block in blocks]}: give each of "
            f"{', '.join(names)} once"
        )
    return [[names.index(name) for name in block] for block in blocks]


def whole_blocks(theta: np.ndarray, columns: Sequence[list[int]]) -> np.ndarray:
    """Return whether all labels of each block are known, `(..., b)`, for labels `(..., d)`."""
    return np.stack([np.isfinite(theta[..., block]).all(-1) for block in columns], -1)


def require_whole_blocks(theta, columns: Sequence[list[int]], names: Sequence[str]) -> None:
    """Refuse galaxies that have only some labels of a block.

    Raises:
        ModelError: There is such a galaxy; the message names the first one and its property.
    """
    known = np.isfinite(theta)
    for block in columns:
        some = known[..., block].any(-1, keepdims=True) & ~known[..., block]
        if some.any():
            row, *_, column = np.argwhere(some)[0]
            others = ", ".join(names[k] for k in block if k != block[column])
            raise ModelError(
                f"row {row}: {names[block[column]]} is missing, which this model knows only "
                f"together with {others}: remove the galaxy, or leave out (NaN) all of them"
            )


class BlockFlow(ConditionalFlow):
    r"""A flow of variables of which some may be missing, as a chain of conditional flows.

    Variables that are known or missing together form a block. With the blocks in order,

    .. math:: p(x \mid c) = \prod_b p(x_b \mid x_{<b}, c),

    where each factor is the distribution among the rows that have the block, and
    :math:`x_{<b}` are the earlier blocks that a row has. One network serves all factors: its
    condition is :math:`c`, the values of the earlier blocks (0 where missing), a flag for each
    variable that is given, and a flag for each that is asked for. If blocks are missing at random
    or for reasons that :math:`c` and the earlier blocks determine, the chain is the distribution of
    all rows, and not of the complete ones.

    Arguments:
        network: Network with the dimension d of :math:`x`, and 3 d more columns in its condition.
        blocks: Numbers of the variables of each block, in order.
        sigma, jumps: See `ConditionalFlow`.

    >>> from galcfm.networks import VelocityNetwork
    >>> flow = BlockFlow(VelocityNetwork(dim=2, condition_dim=5 + 6), [[1], [0]])
    >>> x = torch.tensor([[0.3, 0.1], [float("nan"), 0.1]])
    >>> flow.log_prob(x, torch.zeros(2, 5), steps=4).shape
    torch.Size([2])
    """

    def __init__(
        self,
        network: VelocityField,
        blocks: Sequence[Sequence[int]],
        sigma: float = 0.05,
        jumps: int = 0,
    ):
        super().__init__(network, sigma, jumps)
        self.blocks = [list(block) for block in blocks]

    def factor(self, block: list[int]) -> ConditionalFlow:
        """Return the flow of one block, which shares the weights of the network."""
        return ConditionalFlow(self.network.restricted(block), self.sigma, self.jumps)

    def given(self, number: int, x: Tensor, condition: Tensor) -> Tensor:
        """Return the condition of a factor: `condition`, earlier values, their flags, the asked."""
        seen, asked = torch.zeros_like(x), torch.zeros_like(x)
        for block in self.blocks[:number]:
            seen[:, block] = _is_known(x, block).to(x)[:, None]
        asked[:, self.blocks[number]] = 1
        return torch.cat([condition, torch.where(seen > 0, x, 0), seen, asked], 1)

    def loss(
        self, x_1: Tensor, condition: Tensor, t: Tensor, x_0: Tensor, epsilon: Tensor
    ) -> Tensor:
        """Return the loss of `ConditionalFlow`, summed over the variables that each row has.

        The sum of a row is divided by the number of all variables, so that the loss of a complete
        row is the mean over its variables, and a row without some variables has a smaller weight.

        Arguments:
            x_1: Data, `(m, d)`, NaN where a variable is missing.
            condition, t, x_0, epsilon: As for `ConditionalFlow`.
        """
        total = x_1.new_zeros(())
        for number, block in enumerate(self.blocks):
            rows = torch.nonzero(_is_known(x_1, block)).squeeze(1)
            if len(rows):
                given = self.given(number, x_1[rows], condition[rows])
                x_1_asked = x_1[rows][:, block]
                noise = (each[:, rows][..., block] for each in (x_0, epsilon))
                loss = self.factor(block).loss(x_1_asked, given, t[:, rows], *noise)
                total = total + loss * (x_1_asked.numel() / x_1.numel())
        return total

    @torch.no_grad()
    def trajectories(self, condition: Tensor, x_0: Tensor, steps: int = 100) -> Tensor:
        """Return positions as `ConditionalFlow` does; each block has a time of its own."""
        each = condition.repeat_interleave(x_0.shape[1], 0)
        places = each.new_empty(steps + 1, *x_0.shape).flatten(1, 2)
        for number, block in enumerate(self.blocks):
            given, noise = self.given(number, places[-1], each), x_0.flatten(0, 1)[:, None, block]
            places[..., block] = self.factor(block).trajectories(given, noise, steps).squeeze(2)
        return places.unflatten(1, x_0.shape[:2])

    @torch.no_grad()
    def log_prob(self, x_1: Tensor, condition: Tensor, steps: int = 100) -> Tensor:
        """Return the exact log-density of the known variables [nat]; NaN where none is known.

        Arguments:
            x_1: Points, `(n, d)` or `(n, S, d)`, NaN where a variable is missing. A block of which
                a variable is missing counts as missing.
            condition: Conditions, `(n, c)`.
            steps: Number of Runge-Kutta steps.

        Returns:
            The log-densities, `(n,)` or `(n, S)`.
        """
        self.require_points(x_1, condition)
        n_samples = x_1.shape[1] if x_1.ndim == 3 else 1
        flat, of_row = x_1.reshape(-1, self.dim).cpu(), torch.arange(len(condition))
        of_row = of_row.repeat_interleave(n_samples)
        log_prob, any_known = flat.new_zeros(len(flat)), torch.zeros(len(flat), dtype=torch.bool)
        for number, block in enumerate(self.blocks):
            known = _is_known(flat, block)
            for rows in torch.nonzero(known).squeeze(1).split(block_rows(condition.device)):
                each = condition[of_row[rows]]
                given = self.given(number, flat[rows].to(each), each)
                log_prob[rows] += self.factor(block).log_prob(flat[rows][:, block], given, steps)
            any_known |= known
        return torch.where(any_known, log_prob, torch.nan).view(x_1.shape[:-1])

    def _integrate_from_noise(self, condition, n_samples, steps, x_0, seeds, with_log_prob):
        shape = noise_shape(condition.shape[0], n_samples, self.dim, x_0, seeds)
        x_1, log_prob = condition.new_empty(shape, device="cpu"), None
        if with_log_prob:
            log_prob = condition.new_zeros(shape[:2], device="cpu")
        # The condition of each draw is its own, and is prepared for a few galaxies at a time.
        at_once = max(1, block_rows(condition.device) // n_samples)
        for start in range(0, shape[0], at_once):
            rows = slice(start, start + at_once)
            x, each = x_1[rows].flatten(0, 1), condition[rows].repeat_interleave(n_samples, 0)
            noise = noise_of(rows, x_1[rows].shape, x_0, seeds).flatten(0, 1)[:, None]
            for number, block in enumerate(self.blocks):
                given = self.given(number, x.to(each), each)
                of_block = (given, 1, steps, noise[..., block], None, with_log_prob)
                found, density = self.factor(block)._integrate_from_noise(*of_block)
                x[:, block] = found[:, 0]
                if with_log_prob:
                    log_prob[rows] += density.view(-1, n_samples)
        return x_1, log_prob


def _is_known(x: Tensor, block: list[int]) -> Tensor:
    """Return whether each row has all variables of a block, `(m,)`."""
    return x[:, block].isfinite().all(1)
