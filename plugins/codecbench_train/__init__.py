"""Training of neural codecs: ``codecbench train MODEL --preset NAME --data MANIFEST... --out DIR``."""

from __future__ import annotations

from codecbench.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codecbench.registering import RegisterCommand


@hookimpl
def register_commands(register: RegisterCommand) -> None:
    """Register ``codecbench train``."""
    register("train", "Train a codec on manifests of speech, or resume a run.", "codecbench_train.cli:train")
