"""archlens: what a dense-prediction network sees and what it costs."""

__version__ = "0.1.0"
