"""The networks of the lineage, in its order. Importing this does not import torch.

To add a network: one file with the network, one `Entry` in `entries_vgg` or `entries_resnet`.
"""

from __future__ import annotations

from archlens.errors import UnknownModelError, did_you_mean
from archlens.zoo.entries_resnet import RESNET_ENTRIES
from archlens.zoo.entries_vgg import VGG_ENTRIES
from archlens.zoo.entry import Entry, Option
from archlens.zoo.sizes import SizeRule

__all__ = ["CATALOGUE", "Entry", "Option", "SizeRule", "find"]

CATALOGUE: tuple[Entry, ...] = VGG_ENTRIES + RESNET_ENTRIES


def find(name: str) -> Entry:
    """The entry of that name or alias. Raises UnknownModelError, which names the nearest ones."""
    for entry in CATALOGUE:
        if name == entry.name or name in entry.aliases:
            return entry
    known = [known for entry in CATALOGUE for known in (*entry.aliases, entry.name)]
    raise UnknownModelError(f"No network of the zoo is called {name!r}.", hint=did_you_mean(name, known))
