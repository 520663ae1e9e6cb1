"""What plugins may have changed in a worker process, put back before each of them is called."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass(frozen=True)
class ProcessState:
    """Seeds, default dtype, threads, gradient mode and working folder, as every plugin is to find them.

    Seeds are set anew for each call: what a plugin draws depends neither on what ran before it nor on where a run was
    interrupted.
    """

    num_threads: int
    seed: int
    folder: str = field(default_factory=os.getcwd)

    def restore(self) -> None:
        """Put everything back."""
        torch.manual_seed(self.seed)
        np.random.seed(self.seed % 2**32)
        random.seed(self.seed)
        if torch.get_default_dtype() is not torch.float32:
            torch.set_default_dtype(torch.float32)
        if torch.get_num_threads() != self.num_threads:
            torch.set_num_threads(self.num_threads)
        if torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(False)
        torch.set_grad_enabled(True)
        os.chdir(self.folder)
