"""Files are written atomically."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from larq_dense.common import files
from larq_dense.common.errors import LarqDenseError


def test_bytes_text_and_json_are_written(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "new/folder/a.bin", b"\0\1")
    files.write_text(tmp_path / "b.txt", "Straße ≥ 1\n")
    files.write_json(tmp_path / "c.json", {"a": [1, None]})
    assert (tmp_path / "new/folder/a.bin").read_bytes() == b"\0\1"
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == "Straße ≥ 1\n"
    assert json.loads((tmp_path / "c.json").read_text()) == {"a": [1, None]}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.atomic_write(path, "w") as file:
        file.write("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LarqDenseError, match=r"cannot write .*: No space left on device"):
        files.write_bytes(tmp_path / "a", b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LarqDenseError, match=r"cannot write .*file/a: "):
        files.write_bytes(tmp_path / "file/a", b"")
    with pytest.raises(LarqDenseError, match="cannot write "):
        files.write_bytes(tmp_path, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_bytes(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs Linux's /dev/full")
def test_a_device_that_refuses_is_said() -> None:
    with pytest.raises(LarqDenseError, match=r"cannot write /dev/full: No space left on device"):
        files.write_bytes("/dev/full", b"content")
    assert Path("/dev/full").is_char_device()


def test_files_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_digest() -> None:
    assert files.sha256(b"abc") == hashlib.new("sha256", b"abc").hexdigest()
    assert files.sha256(b"").startswith("e3b0c442")
