"""``hapistore cp`` between folders, and what it says."""

from __future__ import annotations


def test_cp_then_nothing_then_another_dataset(
    answer, succeed, hapistore, imagenet, write_manifest, tmp_path, files_below
):
    here, there = tmp_path / "here", tmp_path / "there"
    for name, images in (("things", imagenet[:3]), ("others", imagenet[3:5])):
        write_manifest(tmp_path / f"{name}.csv", images)
        succeed("ingest", name, tmp_path / f"{name}.csv", "--store", here)
    (first,) = answer("cp", here, there, "things")["datasets"]
    assert (first["dataset"], first["version"], first["committed"], first["objects_present"]) == ("things", 1, True, 0)
    assert first["objects_copied"] == 2 and first["bytes_copied"] > 10_000
    text = succeed("cp", here, there).stdout
    assert "nothing new: things@1: 0 objects" in text and "committed others@1: 2 objects" in text
    assert files_below(there).keys() == files_below(here).keys()
    assert answer("verify", "--store", there)["damaged"] == []
    failed = hapistore("cp", here, there, "cats")
    assert failed.returncode == 2 and "there is no dataset 'cats'" in failed.stderr
