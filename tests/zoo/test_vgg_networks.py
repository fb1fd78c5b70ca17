"""The AlexNet and VGG-16 networks at work: sizes in and out, layer names, upsampling, training."""

from __future__ import annotations

import time
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.errors import InputSizeError, OptionError
from archlens.zoo.backbones.vgg import VGG16, Pool, initialise
from archlens.zoo.catalogue import VGG_ENTRIES, find
from archlens.zoo.networks.dilatednet import ContextModule

torch.set_num_threads(1)

NAMES = [entry.name for entry in VGG_ENTRIES]
SMALL = {"alexnet": 227, "fcn": 33, "dilatednet": 187}  # a small legal side by family; DeepLab: 33


def small_side(name: str) -> int:
    if name in ("deeplabv1_4x4_vgg16", "deeplabv1_7x7_vgg16"):
        return 34
    return SMALL.get(name.split("_")[0].rstrip("0123456789s"), 33)


@cache
def on_meta(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return find(name).build(**options).eval()


def run(network: nn.Module, *size: int) -> Tensor:
    with torch.no_grad():
        return network(torch.empty(2, 3, *size, device="meta"))


def slim(name: str, by: int = 8, **options: object) -> nn.Module:
    """The network with real values and an eighth of the channels."""
    with torch.device("meta"):
        network = find(name).build(**options)
        for parent in list(network.modules()):
            for child, conv in list(parent.named_children()):
                if type(conv) is nn.Conv2d:
                    channels = [n // by if n >= 64 else n for n in (conv.in_channels, conv.out_channels)]
                    narrow = nn.Conv2d(
                        *channels,
                        conv.kernel_size,
                        conv.stride,
                        conv.padding,
                        conv.dilation,
                        groups=conv.groups,
                    )
                    setattr(parent, child, narrow)
    network.to_empty(device="cpu")
    initialise(network)
    for module in network.modules():
        if isinstance(module, ContextModule):
            module.start_as_identity()
    return network


@pytest.mark.parametrize("name", NAMES)
def test_building_on_meta_is_fast(name: str) -> None:
    on_meta(name)  # imports
    seconds = []
    for _ in range(3):
        start = time.process_time()
        with torch.device("meta"):
            find(name).build()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_default_input(name: str) -> None:
    entry = find(name)
    classes = {option.name: option.default for option in entry.options}["num_classes"]
    out = run(on_meta(name), *entry.input_shape[1:])
    assert out.shape == ((2, classes) if "alexnet_" in name else (2, classes, *entry.input_shape[1:]))


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_of_every_option_builds_and_runs(name: str) -> None:
    entry, side = find(name), small_side(name)
    values: list[tuple[str, object]] = [("num_classes", 7)]
    for option in entry.options:
        values += [(option.name, choice) for choice in (option.choices or (True,) * (option.kind == "bool"))]
    for key, value in values:
        entry.check_input((3, side, side), {key: value})
        assert run(on_meta(name, **{key: value}), side, side).shape[0] == 2


@pytest.mark.parametrize("name", NAMES)
def test_forward_checks_the_size_like_the_catalogue(name: str) -> None:
    entry, network = find(name), on_meta(name)
    rule = entry.legal_sizes()
    for side in [1, 2, 3, 9, 10, 11, 186, 187, 226, 227, 228]:
        size = (side, small_side(name))
        if rule.allows(side):
            entry.check_input((3, *size))
            out = run(network, *size)
            assert out.ndim == 2 or out.shape[-2:] == size
            continue
        hints = []
        for check in (lambda size=size: entry.check_input((3, *size)), lambda size=size: run(network, *size)):
            with pytest.raises(InputSizeError) as caught:
                check()
            hints.append(caught.value.hint)
        assert hints[0] == hints[1]


@pytest.mark.parametrize("side", [1, 2, 3, 13, 14, 31, 32, 33, 100, 501])
@pytest.mark.parametrize("name", ["fcn8s_vgg16", "fcn16s_vgg16", "fcn32s_vgg16", "fcn32s_alexnet"])
def test_fcn_takes_any_size(name: str, side: int) -> None:
    assert run(on_meta(name), side, 21).shape == (2, 21, side, 21)


@pytest.mark.parametrize("side", [*range(187, 195), 512, 513])
def test_dilatednet_takes_any_size_above_its_margin(side: int) -> None:
    for name in ("dilatednet", "dilatednet10_vgg16"):
        assert run(on_meta(name), side, 190).shape[-2:] == (side, 190)


def test_training_net_of_deeplabv1_ends_at_its_scores() -> None:
    assert run(on_meta("deeplabv1_4x4_vgg16", pool4="train"), 306, 306).shape == (2, 21, 39, 39)


def test_a_kernel_that_cannot_keep_the_size() -> None:
    with pytest.raises(OptionError):
        on_meta("deeplabv1", kernel=4, rate=3)


def names_of(name: str) -> list[str]:
    return [n for n, module in on_meta(name).named_modules() if not list(module.children())]


def test_layer_names() -> None:
    fcn = names_of("fcn")
    assert fcn[:6] == [
        "backbone.conv1_1",
        "backbone.relu1_1",
        "backbone.conv1_2",
        "backbone.relu1_2",
        "backbone.pool1",
        "backbone.conv2_1",
    ]
    head = ["fc6", "relu6", "drop6", "fc7", "relu7", "drop7"]
    skips = ["upscore2", "score_pool4", "upscore_pool4", "score_pool3", "upscore8"]
    assert fcn[-12:] == [*head, "score_fr", *skips]
    assert names_of("deeplabv1")[-8:] == ["pool5a", *head, "fc8"]
    assert names_of("deeplabv2_largefov_vgg16")[-8:] == ["backbone.pool5", *head, "fc8"]
    assert names_of("deeplabv2_vgg16")[-7:] == [f"aspp.{layer}_4" for layer in (*head, "fc8")]
    context = [n.removeprefix("context.ctx_") for n in names_of("dilatednet") if "context" in n]
    assert context[0::2] == [
        "conv1_1",
        "conv1_2",
        "conv2_1",
        "conv3_1",
        "conv4_1",
        "conv5_1",
        "fc1",
        "final",
    ]
    assert context[1::2] == ["relu1_1", "relu1_2", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "fc1_relu"]
    assert "data.ms" in names_of("deeplabv1_msc_largefov_vgg16")


def test_deconvolutions_interpolate_and_grouping_changes_nothing() -> None:
    full, grouped = slim("fcn32s_vgg16"), slim("fcn32s_vgg16", deconv="grouped")
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    scores = torch.stack([3 * y + x + c for c in range(21)])[None]  # (1, 21, 6, 6)
    with torch.no_grad():
        up = full.upscore(scores)
        assert torch.allclose(up, grouped.upscore(scores), atol=1e-4)
    inner = F.interpolate(scores, scale_factor=32, mode="bilinear", align_corners=False)
    assert torch.allclose(up[:, :, 32:-32, 32:-32], inner[:, :, 16:-16, 16:-16], atol=1e-3)


def test_atonce_scales_the_skips() -> None:
    torch.manual_seed(0)
    plain, scaled = slim("fcn").eval(), slim("fcn", atonce=True).eval()
    state = plain.state_dict()
    scaled.load_state_dict(state)
    for name, factor in (("score_pool4", 0.01), ("score_pool3", 0.0001)):
        state[f"{name}.weight"] = state[f"{name}.weight"] * factor
    plain.load_state_dict(state)
    image = torch.randn(1, 3, 20, 30)
    with torch.no_grad():
        assert torch.allclose(plain(image), scaled(image), atol=1e-5)


def test_caffes_pool_drops_a_window_that_starts_in_the_padding() -> None:
    # 9 pixels, k 2, s 2, p 1: 5 cells, not 6; 10 pixels: 6.
    for side, cells in ((9, 5), (10, 6)):
        trunk = VGG16((Pool(2, 2, 1), None, None, None, None))
        with torch.no_grad():
            assert trunk(torch.zeros(1, 3, side, side)).pool1.shape[-1] == cells


def test_zooming_is_corners_aligned_and_exact() -> None:
    network = slim("deeplabv1").eval()
    image = torch.randn(1, 3, 33, 41)
    with torch.no_grad():
        cells = network.score(network.backbone(image).pool5)
        assert torch.allclose(network(image)[:, :, ::8, ::8], cells, atol=1e-5)


def test_4x4_crops_seven_in_front_and_eight_behind() -> None:
    network = slim("deeplabv1_4x4_vgg16").eval()
    image = torch.randn(1, 3, 34, 42)
    with torch.no_grad():
        cells, out = network.score(image), network(image)
    assert cells.shape[-2:] == (7, 8)
    assert torch.allclose(out[:, :, 1::8, 1::8], cells[:, :, 1:6, 1:7], atol=1e-5)


def test_plain_pools_keep_the_map_at_pool4() -> None:
    network = slim("deeplabv1", pools="plain").eval()
    with torch.no_grad():
        stages = network.backbone(torch.randn(1, 3, 41, 33))
    assert stages.pool3.shape[-2:] == stages.pool4.shape[-2:] == stages.pool5.shape[-2:] == (6, 5)
    assert network.pool5a is None


@pytest.mark.parametrize("name", ["dilatednet", "dilatednet_basic_vgg16", "dilatednet10_vgg16"])
def test_the_context_module_starts_as_the_identity(name: str) -> None:
    torch.manual_seed(0)
    context = context_of(name)
    scores = torch.rand(1, context.ctx_final.out_channels, 9, 9)
    with torch.no_grad():
        out = context(scores)
    assert out.shape == scores.shape
    assert torch.corrcoef(torch.stack([out.flatten(), scores.flatten()]))[0, 1] > 0.95


def context_of(name: str) -> ContextModule:
    with torch.device("meta"):
        context: ContextModule = find(name).build(num_classes=3).context
    context.to_empty(device="cpu")
    for parameter in context.parameters():
        nn.init.zeros_(parameter)
    context.start_as_identity()
    return context


SAME_LAYERS = {  # as one that is trained
    "alexnet_places205",
    "alexnet_places365",
    "fcn16s_vgg16",
    "fcn32s_vgg16",
    "deeplabv1_7x7_vgg16",
    "deeplabv2_largefov_vgg16",
    "dilatednet_frontend_vgg16",
    "dilatednet_basic_vgg16",
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SAME_LAYERS])
def test_a_few_steps_lower_the_loss(name: str) -> None:
    torch.manual_seed(0)
    by, rate = (32, 3e-3) if "dilated" in name else (16, 1e-3)  # dilatednet's smallest map is large
    network = slim(name, by, num_classes=3).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # four steps should not depend on luck
    frozen = {n: p.clone() for n, p in network.named_parameters() if not p.requires_grad}
    learned = [p for p in network.parameters() if p.requires_grad]
    side = small_side(name)
    images = torch.randn(2, 3, side, side) * 0.2 + torch.tensor([1.0, -1.0])[:, None, None, None]
    labels = torch.tensor([0, 2])  # one class an image
    if not name.startswith("alexnet"):
        labels = labels[:, None, None].expand(2, side, side)
    optimiser = torch.optim.Adam(learned, lr=rate)
    losses = []
    for _ in range(4):
        loss = F.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learned)
    assert losses[-1] < 0.95 * losses[0], losses
    for n, p in network.named_parameters():
        assert n not in frozen or torch.equal(p, frozen[n])


def test_he_weights_keep_the_scale() -> None:
    torch.manual_seed(0)
    network = find("deeplabv1").build(num_classes=3).eval()
    with torch.no_grad():
        stages = network.backbone(torch.randn(1, 3, 65, 65))
        out = network(torch.randn(1, 3, 65, 65))
    assert 0.1 < stages.pool5.square().mean().sqrt() < 10
    assert out.isfinite().all()
    assert out.std() > 0.01
