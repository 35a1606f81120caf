"""Docker with its images in containerd (features.containerd-snapshotter): the same answers as with its own store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

OF_THE_STORE = ("reference", "digest", "read_from", "size")


def examined(lab, reference: str) -> dict:
    """What is said of an image but for where it is kept."""
    done = lab.doctor("image", reference, "--gpu", "sm_90", "--json")
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    image = {key: value for key, value in report["image"].items() if key not in OF_THE_STORE}
    return {"image": image, "findings": [one["fault"] for one in report["findings"]], "open": report["not_examined"]}


@pytest.mark.parametrize("tag", ["lab/plain", "lab/cudart"])
def test_an_image_is_read_from_containerds_store(lab, containerd_lab, tag: str, tmp_path: Path) -> None:
    containerd_lab.docker("save", tag, "-o", str(tmp_path / "image.tar"))
    archive = examined(containerd_lab, str(tmp_path / "image.tar"))
    assert examined(containerd_lab, tag) == archive == examined(lab, tag)


def test_a_container_that_failed_is_diagnosed_alike(lab, containerd_lab) -> None:
    for one in (lab, containerd_lab):
        one.fail("store-cudart", "lab/plain", "/opt/cudart")
    own, store = (one.report("store-cudart") for one in (lab, containerd_lab))
    assert [one["fault"] for one in store["findings"]] == [one["fault"] for one in own["findings"]]
    assert store["findings"][0]["fault"] == "lib-cudart-missing"
    assert store["corrected"] == own["corrected"]
    assert store["not_examined"] == own["not_examined"]


def test_an_image_that_is_not_there_is_one_line(containerd_lab) -> None:
    done = containerd_lab.doctor("image", "lab/nothing:1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "lab/nothing:1" in done.stderr
