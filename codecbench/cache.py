"""Where things made once are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$CODECBENCH_CACHE``, else ``~/.cache/codecbench``."""
    return Path(os.environ.get("CODECBENCH_CACHE") or Path.home() / ".cache" / "codecbench")
