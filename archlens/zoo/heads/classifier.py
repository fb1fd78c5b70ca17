"""What dense prediction keeps of an image classifier: its dense layers, as convolutions, under the names of
the Caffe releases. The network's own last layer makes scores of them."""

from __future__ import annotations

from torch import Tensor, nn


class Classifier(nn.Module):
    """A network with fc6 and fc7, each with its ReLU and dropout."""

    def add_dense(
        self, channels: int, width: int, kernel: int, *, padding: int = 0, dilation: int = 1
    ) -> None:
        """Put the layers on: fc6 over `channels`, fc7 a 1x1, both `width` wide."""
        self.fc6 = nn.Conv2d(channels, width, kernel, padding=padding, dilation=dilation)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(0.5)
        self.fc7 = nn.Conv2d(width, width, 1)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(0.5)

    def dense(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, width, H', W'), the map less what fc6 does not pad."""
        x = self.drop6(self.relu6(self.fc6(x)))
        out: Tensor = self.drop7(self.relu7(self.fc7(x)))
        return out
