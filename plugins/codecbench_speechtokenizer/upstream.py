"""The model class of the ``speechtokenizer`` package, without its trainer.

Importing the package itself runs its trainer, which imports packages that the distribution does not declare
(beartype, tensorboard). Its model needs none of them: the package's folder is taken as a package of another name,
whose ``__init__`` is empty, and ``model`` is imported from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from codecbench import Unavailable

_NAME = "codecbench_speechtokenizer_upstream"


def model_class() -> Any:
    """Return ``speechtokenizer.model.SpeechTokenizer``; raises Unavailable where it is not installed."""
    if _NAME not in sys.modules:
        found = importlib.util.find_spec("speechtokenizer")
        if found is None or not found.submodule_search_locations:
            raise Unavailable("needs the package speechtokenizer", "pip install 'codecbench[speechtokenizer]'")
        package = ModuleType(_NAME)
        package.__path__ = list(found.submodule_search_locations)
        sys.modules[_NAME] = package
    return importlib.import_module(f"{_NAME}.model").SpeechTokenizer
