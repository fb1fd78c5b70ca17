"""A finding: a claim that its evidence makes, and that is absent where the evidence is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Confidence = Literal["exact", "assumed", "measured", "published"]
"""exact: from the network's geometry alone. assumed: from the expected field of random weights. measured:
timed on a device, here. published: a paper's own measurement."""


@dataclass(frozen=True)
class Finding:
    """One claim.

    Attributes:
        id: Its kind; with `variant` the key of its sentence in the catalogues (`language.en`, `language.ko`).
        evidence: The numbers of the sentence, and nothing that is not in them.
        layers: Layers that it points at.
        confidence: How sure it is.
        weight: How much it explains; findings are shown in falling order of it.
        variant: Which of the kind's sentences.
    """

    id: str
    evidence: Mapping[str, Any]
    layers: tuple[str, ...] = ()
    confidence: Confidence = "exact"
    weight: float = 0.0
    variant: str = ""

    @property
    def key(self) -> str:
        """Of its sentence."""
        return f"{self.id}.{self.variant}" if self.variant else self.id

    def to_json(self, title: str, claim: str) -> dict[str, Any]:
        """Contract form."""
        return {
            "id": self.id,
            "title": title,
            "claim": claim,
            "evidence": dict(self.evidence),
            "layers": list(self.layers),
            "confidence": self.confidence,
        }
