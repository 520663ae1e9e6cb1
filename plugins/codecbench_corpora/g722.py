"""Raw G.722 files (no header, 64 kbit/s), as telephone systems store their prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

G722_SAMPLE_RATE_HZ = 16_000
_SAMPLES_PER_BYTE = 2
_INT16_SCALE = 32_768.0


class G722DecodeError(ValueError):
    """A file that is missing, empty or not readable as raw G.722."""


def decode_g722(path: str | Path) -> npt.NDArray[np.int16]:
    """Decode a raw 64 kbit/s G.722 file.

    Shapes: returns (T,) int16 at 16,000 Hz; every byte holds two samples, so T is twice the file's size in bytes.
    Raises: `G722DecodeError` where the file is missing, empty or refused by the decoder;
    `ModuleNotFoundError` where PyAV is not installed.
    Source: ITU-T G.722 (09/2012), mode 1; the decoder is FFmpeg's, through PyAV, and its samples are those of
    the `ffmpeg` command.
    """
    av = _import_av()
    path = Path(path)
    if not path.is_file():
        raise G722DecodeError(f"G.722 file {path} does not exist. Install the package that holds it, or mend the path.")
    if path.stat().st_size == 0:
        raise G722DecodeError(f"G.722 file {path} is empty: expected at least one byte (two samples).")
    try:
        with av.open(str(path), format="g722") as container:
            blocks = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except av.error.FFmpegError as error:
        raise G722DecodeError(f"G.722 file {path} cannot be decoded: {error}.") from error
    samples = np.concatenate(blocks).astype(np.int16, copy=False)
    if samples.size != _SAMPLES_PER_BYTE * path.stat().st_size:
        raise G722DecodeError(
            f"G.722 file {path} gave {samples.size} samples, expected {_SAMPLES_PER_BYTE * path.stat().st_size}: "
            "the file is truncated or the decoder is not at 64 kbit/s."
        )
    return samples


def read_g722(path: str | Path) -> npt.NDArray[np.float32]:
    """Decode a raw 64 kbit/s G.722 file to floating point.

    Shapes: returns (T,) float32 in [-1, 1) at 16,000 Hz.
    Raises: as `decode_g722`.
    """
    return decode_g722(path).astype(np.float32) / np.float32(_INT16_SCALE)


def _import_av():  # type: ignore[no-untyped-def]
    """PyAV, loaded when it is used, because the package must be light at import."""
    try:
        import av
        import av.error
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Reading G.722 needs PyAV, which is not installed. Install it with: pip install 'codecbench[classical]'"
        ) from error
    return av
