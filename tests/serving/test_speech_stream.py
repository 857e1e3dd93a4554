"""A recogniser hears over a WebSocket what it hears in one piece."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from server_process import serving
from speech_data import TEXTS, same_in_onnx
from tiny_trainings import heard_by_hand
from websockets.sync.client import connect

import seqapps
from seqapps.commands.program import run
from seqapps.errors import UserError
from seqapps.portable.onnx_application import OnnxApplication
from seqapps.recipes.transcribe.predict_stream import hear
from seqapps.recipes.transcribe.recipe import RECIPE


@pytest.fixture(scope="module")
def bundle(few_recordings, tmp_path_factory):
    """Writes down, portion by portion, the three words that it hears."""
    streaming = ("--model.streaming", "true")
    return heard_by_hand(tmp_path_factory, "speech_stream", few_recordings, *streaming)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_portions_over_a_websocket_are_the_whole_recording(bundle, few_recordings, tmp_path):
    application = seqapps.load(bundle)
    files = sorted((Path(few_recordings).parent / "audio").glob("*.wav"))[:6]
    texts = []
    with serving(tmp_path, f"ear={bundle}") as server:
        address = f"ws://127.0.0.1:{server.ports['http']}/v1/models/ear:listen"
        for number, file in enumerate(files):
            samples, rate = soundfile.read(file, dtype="int16")
            content = samples.astype("<i2").tobytes()
            with connect(f"{address}?rate_hz={rate}") as socket:
                text, start, seconds = "", 0, []
                # Portions of any size, which may cut a sample in two.
                sizes = np.random.default_rng(number).integers(1, 9001, size=10_000)
                for size in sizes:
                    socket.send(content[start : start + size])
                    heard = json.loads(socket.recv(timeout=60))
                    text += heard["text"]
                    seconds.append(heard["seconds"])
                    start += size
                    if start >= len(content):
                        break
                socket.send("end")
                last = json.loads(socket.recv(timeout=60))
                text += last["text"]
            (whole,) = application([file.read_bytes()])
            assert text == whole
            assert text == "".join(part.text for part in hear(application, [content], rate_hz=rate))
            assert last["done"]
            assert last["seconds"] == pytest.approx(len(samples) / rate, abs=1e-3)
            assert seconds == sorted(seconds)
            texts.append(text)
        assert server.events("failed") == []
    assert texts == [TEXTS[int(file.stem) % len(TEXTS)] for file in files]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_in_onnx_a_streaming_model_hears_whole_recordings(bundle, few_recordings, tmp_path):
    place = tmp_path / "onnx"
    assert run(RECIPE, ["export", str(bundle), "--format", "onnx", "--output", str(place)]) == 0
    forms = [row["form"] for row in json.loads((place / "certificate.json").read_text())["rows"]]
    assert "ONNX, each input alone" in forms
    assert "ONNX, pcm" in forms
    application, exported = seqapps.load(bundle), OnnxApplication(place)
    assert application.config["model"]["streaming"]
    files = sorted((Path(few_recordings).parent / "audio").glob("*.wav"))[:12]
    recordings = [file.read_bytes() for file in files]
    assert len(set(same_in_onnx(application, exported, recordings))) > 1
    with pytest.raises(UserError, match="is an ONNX export, which hears whole recordings"):
        next(hear(exported, [b""]))
