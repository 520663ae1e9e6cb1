"""Statistics over records: paired bootstrap, comparisons on common utterances, rank groups, plausibility gates."""

from codecbench.stats.bootstrap import PairedTest, Replicates
from codecbench.stats.gates import Limits, plausibility_flags
from codecbench.stats.intervals import Interval
from codecbench.stats.ranking import holm, rank_groups
from codecbench.stats.resampling import BootstrapSettings
from codecbench.stats.scores import ScoreTable, Selection, select_common
from codecbench.stats.summary import MetricSummary, Summary, summarize

__all__ = [
    "BootstrapSettings",
    "Interval",
    "Limits",
    "MetricSummary",
    "PairedTest",
    "Replicates",
    "ScoreTable",
    "Selection",
    "Summary",
    "holm",
    "plausibility_flags",
    "rank_groups",
    "select_common",
    "summarize",
]
