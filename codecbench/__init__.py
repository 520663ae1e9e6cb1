"""codecbench: which speech tokenizer, at which token rate, keeps what?

Every public name of the plugin contract is importable from here; nothing heavy is imported.
"""

from codecbench.contracts.audio import Batch, Utterance, Waveforms
from codecbench.contracts.codec import (
    Batching,
    CapabilityError,
    Codec,
    CodecContext,
    CodecSpec,
    DecodeMode,
    KnownFailure,
    OptionSpec,
    Role,
    StreamSession,
    StreamSpec,
)
from codecbench.contracts.corpus import Corpus, CorpusSpec
from codecbench.contracts.encoded import (
    AudioPassthrough,
    Bitstream,
    Encoded,
    Tokens,
    TokenStream,
    single_stream,
)
from codecbench.contracts.metric import (
    CodecProbe,
    CodecView,
    Direction,
    Measurement,
    MetricRole,
    MetricSpec,
    Record,
    Reducer,
    ScoreItem,
    ScorerContext,
    ScorerSpec,
    Stage,
    Status,
)
from codecbench.contracts.recognizer import RecognizerContext, RecognizerSpec, Transcript
from codecbench.contracts.report import ReportSpec
from codecbench.contracts.task import TaskSpec
from codecbench.errors import BadInput, CodecbenchError, PluginError, Unavailable, UsageError
from codecbench.hookspecs import CONTRACT_VERSION, hookimpl

__version__ = "0.1.0"

__all__ = [
    "CONTRACT_VERSION",
    "AudioPassthrough",
    "BadInput",
    "Batch",
    "Batching",
    "Bitstream",
    "CapabilityError",
    "Codec",
    "CodecContext",
    "CodecProbe",
    "CodecSpec",
    "CodecView",
    "CodecbenchError",
    "Corpus",
    "CorpusSpec",
    "DecodeMode",
    "Direction",
    "Encoded",
    "KnownFailure",
    "Measurement",
    "MetricRole",
    "MetricSpec",
    "OptionSpec",
    "PluginError",
    "RecognizerContext",
    "RecognizerSpec",
    "Record",
    "Reducer",
    "ReportSpec",
    "Role",
    "ScoreItem",
    "ScorerContext",
    "ScorerSpec",
    "Stage",
    "Status",
    "StreamSession",
    "StreamSpec",
    "TaskSpec",
    "TokenStream",
    "Tokens",
    "Transcript",
    "Unavailable",
    "UsageError",
    "Utterance",
    "Waveforms",
    "hookimpl",
    "single_stream",
]
