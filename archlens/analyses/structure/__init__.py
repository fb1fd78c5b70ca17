"""How a network is built: its context module, class-score cell, growth, resolution, cost; and edits of it."""
