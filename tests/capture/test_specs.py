"""Model specs of every kind, and what is said when one is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from archlens.errors import ArchlensError, MissingPackageError, ModelLoadError, UnknownModelError
from archlens.pipeline import analyze

NETS = """
import sys
import torch
from torch import nn

def make(width: int = 4, kernel: int = 3) -> nn.Module:
    print("building")
    return nn.Sequential(nn.Conv2d(3, width, kernel, padding=1), nn.ReLU())

def needs(width, depth): return make(width)
def wrong(): return "a model"
def raises(): raise RuntimeError("out of\\nideas")
def leaves(): sys.exit(3)
ready = make()
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / f"nets_{tmp_path.name.replace('-', '_')}.py"
    path.write_text(NETS, encoding="utf-8")
    return str(path)


def test_a_file_with_arguments(nets: str, capsys: pytest.CaptureFixture[str]) -> None:
    report = analyze(f"{nets}:make?width=7", "3x16x16", settings=["kernel=5"])
    assert report.layers[0].params == 7 * 3 * 25 + 7
    assert capsys.readouterr().out == ""
    assert analyze(f"{nets}:ready", "3x16x16").layers[0].params == 4 * 27 + 4


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("wrong", "returned str"),
        ("raises", "out of ideas"),
        ("leaves", "tried to end the program"),
        ("needs", "needs arguments: width, depth"),
        ("make?witdh=3", "no argument 'witdh'"),
        ("mak", "no function 'mak'"),
    ],
)
def test_a_factory_that_goes_wrong_is_one_sentence(nets: str, factory: str, words: str) -> None:
    with pytest.raises(ModelLoadError, match=words) as caught:
        analyze(f"{nets}:{factory}", "3x16x16")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_files_that_cannot_be_imported(tmp_path: Path) -> None:
    broken, leaving = tmp_path / "broken_net.py", tmp_path / "leaving_net.py"
    broken.write_text("def make(:\n", encoding="utf-8")
    leaving.write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    for path, words in (
        (broken, "SyntaxError"),
        (leaving, "end the program"),
        (tmp_path / "no.py", "no file"),
    ):
        with pytest.raises(ModelLoadError, match=words):
            analyze(f"{path}:make")


def test_a_file_of_a_package_with_relative_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "pkg_of_nets" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package.parent / "parts.py").write_text("from torch import nn\ndef conv(): return nn.Conv2d(3, 2, 3)\n")
    (package / "net.py").write_text("from ..parts import conv\ndef make(): return conv()\n")
    assert analyze(f"{package / 'net.py'}:make", "3x16x16").layers[0].params == 56
    monkeypatch.syspath_prepend(str(tmp_path))
    assert analyze("pkg_of_nets.inner.net:make", "3x16x16").layers[0].params == 56


def test_a_file_named_like_a_library_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "types.py"
    path.write_text("from torch import nn\ndef make(): return nn.Conv2d(3, 2, 3)\n")
    before = sys.modules["types"]
    analyze(f"{path}:make", "3x16x16")
    assert sys.modules["types"] is before


def test_example_input_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "with_example.py"
    path.write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__(); self.c = nn.Conv1d(2, 3, 5)\n"
        "    def forward(self, sound, gain): return self.c(sound) * gain\n"
        "def example_input(): return {'sound': torch.zeros(1, 2, 40), 'gain': torch.ones(1, 1, 1)}\n"
    )
    report = analyze(f"{path}:Net")
    assert report.input_shape == (1, 2, 40)
    assert len(report.graph.inputs) == 2


def test_an_exported_program(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()).eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, 16, 16),)), path)
    report = analyze(str(path))
    assert report.input_shape == (1, 3, 16, 16)
    assert report.totals["params"] == sum(p.numel() for p in net.parameters())
    assert [layer.op for layer in report.layers] == ["conv2d", "batch_norm", "relu"]


def test_a_file_that_is_no_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelLoadError, match="no exported program"):
        analyze(str(path))


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("torchvision:resnet51", UnknownModelError),
        ("no_such_package_here.net:make", ModelLoadError),
        ("torchvision:resnet18?width=3", ModelLoadError),
    ],
)
def test_what_does_not_exist(spec: str, error: type[ArchlensError]) -> None:
    with pytest.raises(error) as caught:
        analyze(spec)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("spec", "package", "extra"),
    [
        ("timm:resnet18", "timm", "archlens[timm]"),
        ("smp:unet", "segmentation_models_pytorch", "archlens[smp]"),
    ],
)
def test_a_missing_package_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, spec: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError) as caught:
        analyze(spec)
    assert extra in caught.value.hint


def test_a_factory_that_never_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "endless_net.py"
    path.write_text(
        "import time\ndef make():\n"
        "    while True:\n        try: time.sleep(0.01)\n        except Exception: pass\n"
    )
    with pytest.raises(ModelLoadError, match=r"within 0\.2 s"):
        analyze(f"{path}:make", "3x16x16", timeout=0.2)
    assert analyze(nn.Conv2d(1, 1, 3), "1x8x8", timeout=60).layers
