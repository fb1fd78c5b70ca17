"""Folders of images, preprocessing, and noise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from probe_nets import save

from archlens.errors import UsageError
from archlens.probes import images


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        images.find(tmp_path / "none")
    with pytest.raises(UsageError, match="no images"):
        images.find(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    save(torch.zeros(3, 4, 4, dtype=torch.uint8), tmp_path / "sub" / "b.PNG")
    save(torch.zeros(3, 4, 4, dtype=torch.uint8), tmp_path / "a.jpg")
    assert [p.name for p in images.find(tmp_path)] == ["a.jpg", "b.PNG"]
    assert len(images.find(tmp_path, limit=1)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(UsageError, match="cannot be read"):
            images.find(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a png")
    with pytest.raises(UsageError, match=r"bad\.png cannot be read as an image"):
        images.read(tmp_path / "bad.png", (8, 8))


def test_fit_and_crop(tmp_path: Path) -> None:
    picture = torch.zeros(3, 20, 60, dtype=torch.uint8)
    picture[0, :, 20:40] = 255  # red in the middle
    save(picture, tmp_path / "x.png")
    out = images.read(tmp_path / "x.png", (10, 10))
    assert out.shape == (3, 10, 10)
    assert float(out[0, :, 2:8].min()) == 1.0
    assert float(out[1:].max()) == 0.0
    save(torch.full((1, 9, 7), 128, dtype=torch.uint8), tmp_path / "grey.png")
    assert images.read(tmp_path / "grey.png", (12, 16)).shape == (3, 12, 16)


def test_preprocessing_order_and_scale() -> None:
    rgb = torch.zeros(1, 3, 2, 2)
    rgb[:, 0] = 1.0
    caffe = images.preprocessing("fcn8s_vgg16")
    out = caffe.apply(rgb)[0, :, 0, 0]
    torch.testing.assert_close(out, torch.tensor([-104.00699, -116.66877, 255 - 122.67892]))
    assert images.preprocessing("pspnet_resnet50").name.startswith("torchvision")
    assert images.preprocessing("deeplabv3plus_xception65").apply(rgb).abs().max() == 1.0
    assert images.preprocessing("somebody's").mean == images.IMAGENET.mean
    mine = images.preprocessing("fcn", mean=(0.5, 0.5, 0.5), bgr=False)
    assert (mine.scale, mine.std, mine.bgr, mine.name) == (1.0, (1.0, 1.0, 1.0), False, "as given")
    assert images.preprocessing("pspnet", mean=(104, 117, 123), std=(1, 1, 1)).scale == 255.0
    with pytest.raises(UsageError, match="positive"):
        images.preprocessing("", std=(1.0, 0.0, 1.0))
    with pytest.raises(UsageError, match="belong together"):
        images.preprocessing("", mean=(0.5,), std=(1.0, 1.0))
    with pytest.raises(UsageError, match="channels"):
        images.IMAGENET.apply(torch.zeros(1, 4, 2, 2))


def test_batches(tmp_path: Path) -> None:
    for i in range(5):
        save(torch.full((3, 6, 6), 10 * i, dtype=torch.uint8), tmp_path / f"{i}.png")
    out = list(images.batches(images.find(tmp_path), (6, 6), images.TENSORFLOW, 2))
    assert [len(b) for b in out] == [2, 2, 1]
    assert float(out[2].mean()) == pytest.approx(40 / 255 * 2 - 1)


@pytest.mark.parametrize("kind", ["white", "natural"])
def test_noise_has_mean_0_and_variance_1(kind: images.Noise) -> None:
    x = images.noise(kind, 200, (3, 33, 40), torch.Generator().manual_seed(1))
    assert x.shape == (200, 3, 33, 40)
    assert float(x.mean()) == pytest.approx(0, abs=0.05)
    assert float(x.var()) == pytest.approx(1, abs=0.05)
    neighbours = float((x[..., 1:] * x[..., :-1]).mean())
    between = float(x.mean((2, 3)).var())
    if kind == "white":
        assert neighbours == pytest.approx(0, abs=0.02)
        assert between < 0.01
    else:
        assert neighbours > 0.6
        assert between > 0.05
