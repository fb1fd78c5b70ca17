"""Dense networks of transformers, from their configurations, small where the default is large.

archlens explain 'benchmarks/coverage_transformers.py:transformers?name=segformer' --input-size 3x256x256
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

CLASSES = 19


class Given(nn.Module):
    """A network with all inputs but the image held fixed."""

    def __init__(self, network: nn.Module, **fixed: Tensor) -> None:
        super().__init__()
        self.network, self.names = network, tuple(fixed)
        for name, value in fixed.items():
            self.register_buffer(name, value)

    def forward(self, image: Tensor) -> Any:
        """The network's own outputs."""
        return self.network(pixel_values=image, **{name: getattr(self, name) for name in self.names})


def transformers(name: str) -> nn.Module:
    """A network of transformers, by its name in TRANSFORMERS."""
    import transformers as hf

    made: nn.Module = TRANSFORMERS[name][0](hf)
    return made


def _convnext(hf: Any) -> Any:
    return hf.ConvNextConfig(
        hidden_sizes=[96, 192, 384, 768], out_features=["stage1", "stage2", "stage3", "stage4"]
    )


def _swin(hf: Any, **more: Any) -> Any:
    return hf.SwinConfig(out_features=["stage1", "stage2", "stage3", "stage4"], **more)


def _resnet(hf: Any, stages: int = 4) -> Any:
    wanted = [f"stage{n}" for n in range(5 - stages, 5)]
    return hf.ResNetConfig(out_features=wanted)


def _vit(side: int) -> dict[str, Any]:
    return {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "image_size": side}


def _beit_like(side: int) -> dict[str, Any]:
    return {**_vit(side), "num_labels": CLASSES, "use_relative_position_bias": True, "use_mask_token": False,
            "out_indices": [3, 5, 7, 11]}  # fmt: skip


def _dpt(hf: Any, side: int = 256) -> Any:
    return hf.DPTConfig(
        **_vit(side),
        num_hidden_layers=12,
        backbone_out_indices=[2, 5, 8, 11],
        neck_hidden_sizes=[48, 96, 192, 192],
        fusion_hidden_size=64,
        num_labels=CLASSES,
    )


def _detr(hf: Any, kind: str, **more: Any) -> Any:
    config = getattr(hf, f"{kind}Config")
    return getattr(hf, f"{kind}ForSegmentation")(
        config(
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            backbone_config=_resnet(hf),
            num_labels=CLASSES,
            **more,
        )
    )


def _oneformer(hf: Any) -> nn.Module:
    import torch

    config = hf.OneFormerConfig(backbone_config=_swin(hf), num_labels=CLASSES, is_training=False)
    return Given(
        hf.OneFormerForUniversalSegmentation(config), task_inputs=torch.ones(1, 77, dtype=torch.int64)
    )


def _clipseg(hf: Any) -> nn.Module:
    import torch

    return Given(
        hf.CLIPSegForImageSegmentation(hf.CLIPSegConfig()), input_ids=torch.ones(1, 7, dtype=torch.int64)
    )


def _seggpt(hf: Any) -> nn.Module:
    import torch

    config = hf.SegGptConfig(
        hidden_size=192,
        num_hidden_layers=12,
        num_attention_heads=3,
        image_size=[448, 224],
        intermediate_hidden_state_indices=[2, 5, 8, 11],
    )
    pair = torch.zeros(1, 3, 224, 224)
    return Given(hf.SegGptForImageSegmentation(config), prompt_pixel_values=pair, prompt_masks=pair.clone())


def _sam(hf: Any) -> nn.Module:
    import torch

    vision = hf.SamVisionConfig(
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=3,
        image_size=256,
        global_attn_indexes=[1, 3],
    )
    return Given(
        hf.SamModel(hf.SamConfig(vision_config=vision.to_dict(), prompt_encoder_config={"image_size": 256})),
        input_points=torch.full((1, 1, 1, 2), 128.0),
    )


def _depth_anything(hf: Any) -> nn.Module:
    backbone = hf.Dinov2Config(
        hidden_size=192,
        num_attention_heads=3,
        image_size=252,
        patch_size=14,
        reshape_hidden_states=False,
        out_indices=[3, 6, 9, 12],
    )
    return hf.DepthAnythingForDepthEstimation(
        hf.DepthAnythingConfig(
            backbone_config=backbone, reassemble_hidden_size=192, neck_hidden_sizes=[48, 96, 192, 192]
        )
    )


def _eomt(hf: Any, side: int = 256) -> nn.Module:
    return hf.EomtForUniversalSegmentation(
        hf.EomtConfig(
            hidden_size=192,
            num_hidden_layers=8,
            num_attention_heads=3,
            image_size=side,
            num_blocks=2,
            num_labels=CLASSES,
        )
    )


def _eomt_dinov3(hf: Any) -> nn.Module:
    return hf.EomtDinov3ForUniversalSegmentation(
        hf.EomtDinov3Config(**_vit(256), num_hidden_layers=8, num_blocks=2, num_labels=CLASSES)
    )


def _sapiens2(hf: Any) -> nn.Module:
    head = {
        "upsample_out_channels": [96, 64],
        "upsample_kernel_sizes": [4, 4],
        "conv_out_channels": [64, 64],
        "conv_kernel_sizes": [1, 1],
    }
    return hf.Sapiens2ForSemanticSegmentation(
        hf.Sapiens2Config(
            **_vit(256),
            num_hidden_layers=4,
            num_key_value_heads_per_layer=[3] * 4,
            num_labels=CLASSES,
            head_config=head,
        )
    )


def _vitmatte(hf: Any) -> nn.Module:
    backbone = hf.VitDetConfig(
        hidden_size=384,
        num_attention_heads=6,
        image_size=256,
        num_channels=4,
        window_block_indices=[0, 1, 3, 4, 6, 7, 9, 10],
        window_size=14,
        residual_block_indices=[2, 5, 8, 11],
        use_relative_position_embeddings=True,
        out_features=["stage12"],
    )
    return hf.VitMatteForImageMatting(
        hf.VitMatteConfig(
            backbone_config=backbone,
            fusion_hidden_sizes=[256, 128, 64, 32],
            convstream_hidden_sizes=[48, 96, 192],
        )
    )


def _zoedepth(hf: Any) -> nn.Module:
    backbone = hf.BeitConfig(
        **_vit(256),
        num_hidden_layers=12,
        use_relative_position_bias=True,
        use_absolute_position_embeddings=False,
        reshape_hidden_states=False,
        out_indices=[3, 6, 9, 12],
    )
    return hf.ZoeDepthForDepthEstimation(
        hf.ZoeDepthConfig(
            backbone_config=backbone,
            neck_hidden_sizes=[48, 96, 192, 192],
            reassemble_factors=[4, 2, 1, 0.5],
        )
    )


def _dpt_hybrid(hf: Any) -> nn.Module:
    return hf.DPTForSemanticSegmentation(
        hf.DPTConfig(
            is_hybrid=True,
            num_labels=CLASSES,
            neck_hidden_sizes=[256, 512, 768, 768],
            backbone_out_indices=[2, 5, 8, 11],
            hidden_size=768,
            num_hidden_layers=12,
            num_attention_heads=12,
            image_size=384,
        )
    )


Made = tuple[Callable[[Any], Any], int, int]
"""What builds it, the side of its input, and how many classes it has (0: it does not segment)."""

TRANSFORMERS: dict[str, Made] = {
    "segformer": (
        lambda hf: hf.SegformerForSemanticSegmentation(hf.SegformerConfig(num_labels=CLASSES)), 256, CLASSES
    ),
    "segformer_b2": (
        lambda hf: hf.SegformerForSemanticSegmentation(
            hf.SegformerConfig(
                num_labels=CLASSES,
                depths=[3, 4, 6, 3],
                hidden_sizes=[64, 128, 320, 512],
                decoder_hidden_size=768,
            )
        ),
        256,
        CLASSES,
    ),
    "upernet_convnext": (
        lambda hf: hf.UperNetForSemanticSegmentation(
            hf.UperNetConfig(backbone_config=_convnext(hf), num_labels=CLASSES)
        ),
        256,
        CLASSES,
    ),
    "upernet_swin": (
        lambda hf: hf.UperNetForSemanticSegmentation(
            hf.UperNetConfig(
                backbone_config=_swin(hf), num_labels=CLASSES, auxiliary_in_channels=384
            )
        ),
        256,
        CLASSES,
    ),
    "mobilevit": (
        lambda hf: hf.MobileViTForSemanticSegmentation(hf.MobileViTConfig(num_labels=CLASSES)), 256, CLASSES
    ),
    "mobilevitv2": (
        lambda hf: hf.MobileViTV2ForSemanticSegmentation(hf.MobileViTV2Config(num_labels=CLASSES)),
        256,
        CLASSES,
    ),
    "mobilenet_v2": (
        lambda hf: hf.MobileNetV2ForSemanticSegmentation(hf.MobileNetV2Config(num_labels=CLASSES)),
        256,
        CLASSES,
    ),
    "beit": (
        lambda hf: hf.BeitForSemanticSegmentation(hf.BeitConfig(**_beit_like(224))), 224, CLASSES
    ),
    "data2vec": (
        lambda hf: hf.Data2VecVisionForSemanticSegmentation(hf.Data2VecVisionConfig(**_beit_like(224))),
        224,
        CLASSES,
    ),
    "dpt": (lambda hf: hf.DPTForSemanticSegmentation(_dpt(hf)), 256, CLASSES),
    "maskformer_swin": (
        lambda hf: hf.MaskFormerForInstanceSegmentation(
            hf.MaskFormerConfig(backbone_config=_swin(hf), num_labels=CLASSES)
        ),
        256,
        CLASSES,
    ),
    "maskformer_resnet": (
        lambda hf: hf.MaskFormerForInstanceSegmentation(
            hf.MaskFormerConfig(backbone_config=_resnet(hf), num_labels=CLASSES)
        ),
        256,
        CLASSES,
    ),
    "mask2former_swin": (
        lambda hf: hf.Mask2FormerForUniversalSegmentation(
            hf.Mask2FormerConfig(backbone_config=_swin(hf), num_labels=CLASSES)
        ),
        256,
        CLASSES,
    ),
    "oneformer": (_oneformer, 256, CLASSES),
    "eomt": (_eomt, 256, CLASSES),
    "detr": (lambda hf: _detr(hf, "Detr"), 256, CLASSES),
    "conditional_detr": (lambda hf: _detr(hf, "ConditionalDetr"), 256, CLASSES),
    "clipseg": (_clipseg, 224, 1),
    "seggpt": (_seggpt, 224, 3),
    "sam": (_sam, 256, 1),
    "dpt_depth": (lambda hf: hf.DPTForDepthEstimation(_dpt(hf)), 256, 1),
    "depth_anything": (_depth_anything, 252, 1),
    "eomt_dinov3": (_eomt_dinov3, 256, CLASSES),
    "rf_detr": (
        lambda hf: hf.RfDetrForInstanceSegmentation(hf.RfDetrConfig(num_labels=CLASSES)), 448, CLASSES
    ),
    "sapiens2": (_sapiens2, 256, CLASSES),
    "tipsv2_dpt": (
        lambda hf: hf.Tipsv2DptForSemanticSegmentation(hf.Tipsv2DptConfig(num_labels=CLASSES)), 448, CLASSES
    ),
    "vitmatte": (_vitmatte, 256, 1),
    "sam2_encoder": (lambda hf: hf.Sam2Model(hf.Sam2Config()).vision_encoder, 512, 0),
    "dpt_hybrid": (_dpt_hybrid, 384, CLASSES),
    "zoedepth": (_zoedepth, 256, 1),
    "glpn": (lambda hf: hf.GLPNForDepthEstimation(hf.GLPNConfig()), 256, 1),
}  # fmt: skip
