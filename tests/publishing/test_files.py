"""An entry's converted file: kept with its SHA-256, verified, and the same bytes everywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from larq_dense.common.errors import WeightsError
from larq_dense.common.files import sha256
from larq_dense.publishing.files import keep_file, renew_files
from larq_dense.zoo import Entry

CONVERT = """
import sys
from larq_dense import zoo
from larq_dense.conversion import convert
sys.stdout.buffer.write(convert(zoo.load(sys.argv[1])).content)
"""


def test_a_kept_file_is_found_and_checked(tiny: Entry) -> None:
    for content in (b"first", b"second"):
        keep_file(tiny, content)
        assert tiny.tflite().read_bytes() == content
        lines = tiny.checksum_file.read_text().splitlines()
        assert [line.split() for line in lines] == [
            [sha256(tiny.weights().read_bytes()), "weights.safetensors"],
            [sha256(content), "tiny.tflite"],
        ]
        subprocess.run(
            ["sha256sum", "--check", tiny.checksum_file.name], cwd=tiny.folder, check=True
        )


def test_a_damaged_file_is_refused(tiny: Entry) -> None:
    keep_file(tiny, b"right")
    (tiny.folder / "tiny.tflite").write_bytes(b"wrong")
    with pytest.raises(WeightsError, match=r"tiny\.tflite is damaged .* install larq-dense again"):
        tiny.tflite()


@pytest.mark.parametrize(
    ("int8", "message"),
    [
        (False, "ships no converted file; make one by `larq-dense convert tiny`"),
        (True, "ships no int8 variant; make one by `larq-dense convert tiny --int8`"),
    ],
)
def test_an_entry_without_a_file_says_how_to_make_one(
    tiny: Entry, int8: bool, message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        tiny.tflite(int8)


def test_finding_a_file_needs_no_tensorflow(tiny: Entry) -> None:
    keep_file(tiny, b"content")
    code = f"""
import sys
from larq_dense import zoo
print(zoo.find({str(tiny.folder)!r}).tflite())
assert "tensorflow" not in sys.modules
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(run.stdout.strip()) == tiny.folder / "tiny.tflite"


def test_another_process_without_onednn_converts_to_the_same_bytes(tiny: Entry) -> None:
    renew_files(tiny)
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [sys.executable, "-c", CONVERT, str(tiny.folder)]
    elsewhere = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    assert elsewhere == tiny.tflite().read_bytes()
