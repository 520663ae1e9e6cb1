"""The codecs that FFmpeg decodes, each as one row of facts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AvFormat:
    """How one codec is driven through PyAV.

    delay_samples: by how much the decoder's output lags the encoder's input, taken off after decoding.
    frame_samples: input of one packet; packets beyond the last needed one are not sent. rates_bps: the rates
    that exist; empty where any from ``min_rate_bps`` to ``max_rate_bps`` is taken. frame_bits: bits of a frame
    at each rate, where packets are padded to bytes or carry a storage header; empty for 8 bits a byte.
    setup_bytes: the decoder's configuration, which no packet carries.
    """

    name: str
    title: str
    encoder: str
    decoder: str
    sample_rate_hz: int
    sample_format: str
    frame_samples: int
    delay_samples: int
    algorithmic_delay_samples: int
    listed_bps: tuple[int, ...]
    rates_bps: tuple[int, ...] = ()
    min_rate_bps: int = 0
    max_rate_bps: int = 0
    frame_bits: tuple[int, ...] = ()
    setup_bytes: int = 0
    standard: str = ""
    licence: str = "LGPL-2.1-or-later (FFmpeg)"
    causal: bool = False


AMR_NB_RATES = (12200, 10200, 7950, 7400, 6700, 5900, 5150, 4750)
AMR_WB_RATES = (23850, 23050, 19850, 18250, 15850, 14250, 12650, 8850, 6600)
SPEEX_RATES = (23800, 9800, 12800, 16800, 20600, 27800)
MP3_RATES = tuple(1000 * kbps for kbps in (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160))

G722 = AvFormat(
    "g722", "G.722 sub-band ADPCM", "g722", "g722", 16000, "s16", 2, 22, 24,
    listed_bps=(64000, 56000, 48000), rates_bps=(64000, 56000, 48000),
    standard="ITU-T G.722 (09/2012)",
)  # fmt: skip
AMR_NB = AvFormat(
    "amr-nb", "AMR narrow-band (ACELP)", "libopencore_amrnb", "amrnb", 8000, "s16", 160, 40, 200,
    listed_bps=AMR_NB_RATES, rates_bps=AMR_NB_RATES, frame_bits=(244, 204, 159, 148, 134, 118, 103, 95),
    standard="3GPP TS 26.090, ETSI", licence="Apache-2.0 (opencore-amr encoder), LGPL-2.1-or-later (FFmpeg decoder)",
)  # fmt: skip
AMR_WB = AvFormat(
    "amr-wb", "AMR wide-band (ACELP)", "libvo_amrwbenc", "amrwb", 16000, "s16", 320, 95, 400,
    listed_bps=AMR_WB_RATES, rates_bps=AMR_WB_RATES, frame_bits=(477, 461, 397, 365, 317, 285, 253, 177, 132),
    standard="3GPP TS 26.190, ITU-T G.722.2", licence="Apache-2.0 (vo-amrwbenc), LGPL-2.1-or-later (FFmpeg decoder)",
)  # fmt: skip
G723_1 = AvFormat(
    "g723.1", "G.723.1 (MP-MLQ)", "g723_1", "g723_1", 8000, "s16", 240, 60, 300,
    listed_bps=(6300,), rates_bps=(6300,),
    standard="ITU-T G.723.1 (05/2006); 24 bytes a frame, so 6.4 kbit/s are measured",
)  # fmt: skip
MP3 = AvFormat(
    "mp3", "MPEG-2 layer III at 16 kHz, constant bit rate", "libmp3lame", "mp3float", 16000, "fltp", 576, 1105, 1792,
    listed_bps=(32000, 16000, 24000, 64000), rates_bps=MP3_RATES,
    standard="ISO/IEC 13818-3", licence="LGPL-2.0-or-later (LAME), LGPL-2.1-or-later (FFmpeg decoder)",
)  # fmt: skip
AAC = AvFormat(
    "aac", "AAC low complexity at 16 kHz, FFmpeg's own encoder", "aac", "aac", 16000, "fltp", 1024, 1024, 3072,
    listed_bps=(32000, 16000, 24000, 64000), min_rate_bps=8000, max_rate_bps=96000,
    standard="ISO/IEC 14496-3", setup_bytes=5,
)  # fmt: skip
GSM = AvFormat(
    "gsm", "GSM full rate (RPE-LTP)", "libgsm", "gsm", 8000, "s16", 160, 0, 160,
    listed_bps=(13000,), rates_bps=(13000,), frame_bits=(260,),
    standard="ETSI EN 300 961", licence="ISC-style (libgsm), LGPL-2.1-or-later (FFmpeg decoder)", causal=True,
)  # fmt: skip
SPEEX = AvFormat(
    "speex", "Speex wide-band, constant bit rate", "libspeex", "speex", 16000, "s16", 320, 223, 543,
    listed_bps=SPEEX_RATES, rates_bps=SPEEX_RATES, frame_bits=(476, 196, 256, 336, 412, 556),
    standard="Valin, The Speex codec manual 1.2, table 10.2",
    licence="BSD-3-Clause (libspeex), LGPL-2.1-or-later (FFmpeg decoder)",
)  # fmt: skip

FORMATS = {f.name: f for f in (G722, AMR_NB, AMR_WB, G723_1, MP3, AAC, GSM, SPEEX)}
