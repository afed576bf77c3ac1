"""Folders that go although somebody still puts a file into them."""

from pathlib import Path

import pytest

from astrosearch import atomic
from tests.events import just_before


def test_a_folder_is_removed_in_which_a_file_appears_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "a").touch()
    with just_before("os.rmdir", folder, (folder / "late").touch):
        atomic.remove(folder)
    assert not folder.exists()


def test_a_folder_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    def forbid() -> None:
        raise PermissionError("no")

    (tmp_path / "words").mkdir()
    with just_before("os.rmdir", tmp_path / "words", forbid), pytest.raises(PermissionError):
        atomic.remove(tmp_path / "words")
    assert (tmp_path / "words").exists()
