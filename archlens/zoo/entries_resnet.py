"""Catalogue entries of the ResNet and Xception networks: DeepLabv2, PSPNet, DeepLabv3, DeepLabv3+."""

from __future__ import annotations

from archlens.zoo.entry import Entry

RESNET_ENTRIES: tuple[Entry, ...] = ()
