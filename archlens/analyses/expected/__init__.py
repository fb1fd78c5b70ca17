"""What a unit is expected to use before any training, in closed form. Read this first.

Luo, Li, Urtasun & Zemel (NeurIPS 2016) define the effective field as the gradient of a unit with respect to
the image, averaged over random weights. With independent zero-mean weights all cross terms vanish and the
average needs no sampling: two walks over the graph give it.

1. `forward.walk` goes from the image to the outputs and asks what the activations look like: each node's
   mean, and the covariance of its values at two positions (a `Moments`, defined in `forward.state`).
   `forward.transfer` says what a node does to them; `activations` and `gates` hold the Gaussian integrals,
   `mixing` and `flattening` what pooling, resizing and normalisation do across positions.
2. `backward.walk` goes from one unit to the image and carries the expected squared gradient: a map a node,
   with covariances over a few lags where a fixed operation made neighbours agree (`backward.lags`).
   `max_pools` shares a gradient among the values of a window; `transposed` records a walk and turns it round.

On these stand `field` (one unit's map, and how branches share it), `shares` (one pixel's part in every unit),
`coherent` (the answer to a change of a whole region), `lens` (the figures that evidence is made of) and
`summaries` (maps in a few numbers). What sampling says of all this: docs/expected_erf.md.
"""
