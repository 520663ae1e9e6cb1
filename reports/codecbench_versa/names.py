"""What VERSA's fields mean: which way is better, which are counts of edits, where a zero stands for a failure.

Read from VERSA's sources (commit c398480, May 2026), since its own documentation names some fields otherwise than
they are written (``f0rmse``, not ``f0_rmse``).
"""

from __future__ import annotations

import re

from codecbench.contracts.metric import Direction

_HIGHER = frozenset(
    (
        "audiobox_aesthetics_CE", "audiobox_aesthetics_CU", "audiobox_aesthetics_PQ", "ci_sdr", "dns_overall",
        "dns_p808", "emotion_similarity", "estoi", "f0corr", "log_wmse", "noresqa_mos", "pam_score", "pesq", "plcmos",
        "pysepm_c_bak", "pysepm_c_ovl", "pysepm_c_sig", "pysepm_csii_high", "pysepm_csii_low", "pysepm_csii_mid",
        "pysepm_fwsegsnr", "pysepm_ncm", "sar", "scoreq_nr", "sdr", "sheet_ssqa", "si_snr", "singer_similarity",
        "singmos", "singmos_pro", "singmos_v1", "sir", "speech_bert", "speech_bleu",
        "speech_token_distance",  # in spite of its name the similarity of Jaro and Winkler
        "spk_similarity", "srmr", "stoi", "utmos", "utmosv2", "visqol", "vqscore", "wvmos",
    )
)  # fmt: skip
_LOWER = frozenset(
    (
        "asr_match_error_rate", "cdpam_distance", "dpam_distance", "f0rmse", "mcd", "nomad", "pysepm_cd", "pysepm_llr",
        "pysepm_wss", "scoreq_ref", "warpq",
    )
)  # fmt: skip
_HIGHER_PREFIXES = ("SIGMOS_", "dnsmos_pro_", "nisqa_", "se_", "torch_squim_")
# VERSA writes 0.0 where these fail, which is below what they can reach on audio.
ZERO_IS_FAILURE = frozenset(("pesq", "speech_bert"))

EDITS = ("delete", "insert", "replace", "equal")
_EDIT_COUNT = re.compile(rf"^(?P<rate>\w+_(?:wer|cer|per))_(?P<edit>{'|'.join(EDITS)})$")


def direction(name: str) -> Direction:
    """Return which way a field is better; neutral for one that is not known."""
    if name.startswith("chroma_") and "_dtw" in name:  # distances, but for one that is minus ten times the logarithm
        return Direction.HIGHER if name.endswith("_dtw_log") else Direction.LOWER
    if name in _HIGHER or name.startswith(_HIGHER_PREFIXES):
        return Direction.HIGHER
    return Direction.LOWER if name in _LOWER else Direction.NEUTRAL


def edit_count(name: str) -> tuple[str, str] | None:
    """Return the error rate that a field counts edits of, and which edit (``whisper_wer_delete``); None for others."""
    found = _EDIT_COUNT.match(name)
    return (found["rate"], found["edit"]) if found else None
