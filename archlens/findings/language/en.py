"""The English catalogue: every sentence that a comparison or an explanation can say.

Keys are a finding's id and variant; format specs are those of this package. "Far" is outside the centred square of
half the side; "random weights" marks what is expected before any training.
"""

# ruff: noqa: E501 - a sentence is broken where it reads well

AND = " and "
TO = " to "
TIMES = "{} times"
UNKNOWN = "unknown"
CELLS = ("{} cells a side", "{} cells")

WORDS: dict[str, str] = {
    "none": "none",
    "yes": "yes",
    "no": "no",
    "exact": "exact: follows from the geometry",
    "assumed": "expected for random weights",
    "measured": "measured here",
    "published": "measured by the paper",
    "side": "side",
    "first_side": "first side",
    "top": "top",
    "bottom": "bottom",
    "left": "left",
    "right": "right",
    **{f"axis{i}_first": f"at the start of axis {i}" for i in range(3)},
    **{f"axis{i}_last": f"at the end of axis {i}" for i in range(3)},
    "skips": "skips of pool4 and pool3 in FCN",
    "field_of_view": "fc6 as 3x3 at rate 12 instead of 4x4 at rate 4",
    "serial_context": "the serial context module (Large)",
    "aspp": "ASPP instead of one rate (LargeFOV)",
    "global_pooling": "global average pooling alone (bin 1)",
    "pyramid": "bins 1, 2, 3, 6 instead of bin 1",
    "multi_grid": "multi-grid (1, 2, 4)",
    "image_pooling": "image pooling in ASPP",
    "fourth_rate": "a fourth rate, 24, at output stride 16",
    "small_crop": "training on crops of 321 px instead of 513",
    "output_stride": "output stride 8 instead of 16 at evaluation",
    "decoder": "the decoder",
    "image_pooling_removed": "*removing* the image-level branch",
}

TITLES: dict[str, str] = {
    "reach_is_not_it": "Reach is not the difference",
    "far_use": "What is used of the image",
    "theory_and_use": "What it may see and what it uses",
    "skips_dilute": "Skips outweigh the deep scores",
    "growth_stops": "Where the field stops growing",
    "missing_path": "A path that the other lacks",
    "gap": "How much of the difference is the module's",
    "lenses_differ": "One branch, seen through two lenses",
    "lenses_agree": "From the image the lenses agree",
    "roles": "What each branch brings",
    "module_cut": "Without the context module",
    "one_bin": "With every bin pooling the whole map",
    "undilated": "Without dilation",
    "degenerate": "A rate too large for its map",
    "by_position": "What borders cost",
    "by_window": "Fixed grids and sliding windows",
    "by_size": "At other input sizes",
    "resolution": "Resolution",
    "cost": "What the context module costs",
    "time": "What it takes here",
    "totals": "What it all costs",
    "unproductive": "Layers that can add no context",
    "overlap": "Tiles that equal the whole",
    "field_of_view": "DeepLab's field of view",
    "advice": "What would extend it",
    "published": "What the paper measured",
    "step": "One step of the lineage",
}

LABELS: dict[str, str] = {
    "name": "network", "low": "less", "high": "more", "image": "image side", "share": "share",
    "field": "field", "far": "far energy", "side50": "50 % of energy within", "side95": "95 % of energy within",
    "coherent": "far, coherent", "coherent_far": "far, coherent", "far_share": "its far energy",
    "low_field": "field of the former", "high_field": "field of the latter", "difference": "difference",
    "low_share": "share of the side, former", "high_share": "share of the side, latter",
    "low_coherent": "far, coherent, former", "high_coherent": "far, coherent, latter",
    "low_far": "far energy, former", "high_far": "far energy, latter", "items": "each",
    "deep": "by their deepest stream alone", "skips_dilute.deep": "deepest stream", "border": "energy at the border",
    "global_from": "global from", "finer": "finer stream", "finer_share": "its share", "deep_share": "share of the deepest",
    "deep_side95": "deepest: 95 % of energy within", "deep_far": "deepest: far energy",
    "theory_and_use.share": "share of the side", "growth_stops.share": "share of the side",
    "by_size.share": "share of the side",
    "layer": "layer", "resampling": "added by resampling", "stage": "stage that adds most", "added": "added there",
    "macs_per_pixel": "MACs a pixel added", "lacking": "networks without it", "module": "context module",
    "fork": "map that it reads", "map": "cells a side", "shape": "map", "window": "window, cells", "count": "how many", "branches": "branch", "cells": "cells a side",
    "global": "branches that read all", "left": "branch that is left", "cut_far": "far energy, cut",
    "cut_coherent": "far, coherent, cut", "trunk": "the trunk's part, by energy",
    "trunk_coherent": "the trunk's part, coherent", "branch": "branch", "gathering": "response over energy",
    "top": "branch with most far energy", "read": "cells read", "density": "share of its window's cells",
    "cut_side95": "95 % of energy within, cut", "worst": "branch missed most", "worst_far": "far energy without it",
    "macs": "MACs", "macs_share": "share of the MACs", "params": "parameters", "one_far": "far energy, one bin",
    "one_coherent": "far, coherent, one bin", "target": "where", "flat_field": "field, undilated",
    "flat_far": "far energy, undilated", "flat_side95": "95 % of energy within, undilated", "rate": "rate",
    "taps": "taps", "mean_taps": "taps kept on average", "centre_taps": "taps kept at the centre",
    "corner_taps": "taps kept at the corner", "corner": "corner", "edge": "edge", "centre": "centre", "mean": "mean",
    "whole": "networks whose cells see all", "rows": "rows of cells", "windows": "windows", "lost": "share of taps lost",
    "by_size.trunk": "field of the head's map", "short": "first side beyond it", "largest": "largest side",
    "largest_share": "share of that side", "covered": "sides that it spans", "side": "side", "sides": "sides tried",
    "deepest": "deepest stride", "cell": "score stride", "skips": "finer maps", "stride": "stride",
    "fusion": "fusing convolution", "fusion_macs": "its MACs", "fusion_share": "its share of the MACs",
    "fusion_params": "its parameters", "total": "all MACs", "device": "device", "dtype": "precision", "batch": "batch",
    "latency": "latency", "module_seconds": "context module", "module_share": "its share of the time",
    "fusion_seconds": "fusing convolution's time", "time.fusion_share": "its share of the time",
    "fusion_macs_share": "its share of the MACs", "first": "first of them", "before": "before", "after": "after",
    "unproductive.before": "field of its input", "everywhere": "see all from every position",
    "shortest": "see all by their shortest path", "overlap.before": "margin before", "overlap.after": "margin after",
    "pixels": "pixels", "multiple": "grid", "source": "source", "overlap.source": "reads all of its input",
    "published": "published", "plain": "with plain pools", "released": "as released", "padding": "padding at pool5",
    "new_field": "field then", "field_kind": "kind of field then", "new_far": "far energy then",
    "new_side95": "95 % of energy within then", "new_coherent": "far, coherent, then", "family": "network",
    "what": "measured", "gain": "points", "setting": "on", "new_cells": "cells a side then", "new_map": "map then",
    "new_stride": "score stride then", "new_deepest": "deepest stride then", "new_macs": "MACs then",
    "new_params": "parameters then", "measured": "published", "step.stride": "score stride",
    "step.cells": "cells a side that the head reads",
}  # fmt: skip

TEXT: dict[str, str] = {
    # ---- reach and use
    "reach_is_not_it": (
        "Reach is not the difference. On its finite paths {low} spans {low_field:px} and {high} "
        "{high_field:px} of the {image:px} image ({low_share:pct} and {high_share:pct} of its {image:side}; {difference:px} apart). "
        "But when the far part of the map that the head reads changes as one, {low} gets {low_coherent:pct} of "
        "its response from there and {high} {high_coherent:pct} (random weights)."
    ),
    "far_use": (
        "What is used, not what can be reached: pixel energy outside the middle square of half the {image:px} image, "
        "the square that holds 95 % of it, and the theoretical size (random weights): {items:each:_far}."
    ),
    "far_use.deep": (
        "What is used, not what can be reached: pixel energy outside the middle square of half the {image:px} image, "
        "the square that holds 95 % of it, and the theoretical size (random weights; of {deep:layers} the deepest "
        "stream alone, which favours it): {items:each:_far}."
    ),
    "_far": "{name} {far:pct} far, {side95:px} of {field:px}",
    "theory_and_use": (
        "{name} may see {field:px}, {share:pct} of the {image:px} image's {image:side}; half of the energy of its centre "
        "cell lies in a square of {side50:px}, 95 % in {side95:px}, and {far:pct} is far (random weights)."
    ),
    "theory_and_use.global": (
        "{name} may see all of any image, from {global_from} on; on its finite paths {field:px}, {share:pct} of "
        "the {image:px} image's {image:side}. Half of the energy of its centre cell lies in a square of {side50:px}, 95 % in "
        "{side95:px}, and {far:pct} is far (random weights)."
    ),
    "theory_and_use.whole": (
        "{name} sees all of any image, from {global_from} on, and has no path that is not global. Half of the energy "
        "of its centre cell lies in a square of {side50:px}, 95 % in {side95:px} of {image:px}, and {far:pct} is far "
        "(random weights)."
    ),
    "skips_dilute": (
        "{name} adds finer scores to its deep ones, and with random weights {finer_share:pct} of the cell's "
        "energy comes through {finer}, {deep_share:pct} through {deep}: 95 % of it lies within {side95:px}, where "
        "the deep stream alone uses {deep_side95:px} ({deep_far:pct} far). Training decides how the streams are "
        "weighted, so both figures bound the trained network rather than describe it."
    ),
    # ---- growth
    "growth_stops": (
        "{name}'s field stops growing at {layer}, at {field:px}, {share:pct} of the {image:px} image's {image:side}. "
        "Most of it, {added:px}, comes from {stage:span}, at {macs_per_pixel:si} MACs "
        "a pixel."
    ),
    "growth_stops.resampled": (
        "{name}'s field stops growing at {layer}, at {field:px}, {share:pct} of the {image:px} image's {image:side}; "
        "upsampling adds {resampling:px} by reading neighbouring cells, no new context. Most of the field, "
        "{added:px}, comes from {stage:span}, at {macs_per_pixel:si} MACs a pixel."
    ),
    "growth_stops.global": (
        "{name}'s finite paths stop growing at {layer}, at {field:px}, {share:pct} of the {image:px} image's {image:side}; "
        "{global_from} reads the whole map beside them. Most of the finite field, {added:px}, comes from {stage:span}, "
        "at {macs_per_pixel:si} MACs a pixel."
    ),
    # ---- paths
    "missing_path.global": (
        "Missing in {lacking:layers}, present in {name}: {module} sends {count} independent branches out of {fork}, "
        "which read {branches:each:_cells} of {map:cells}, and {global:layers} reads all of them at once."
    ),
    "missing_path.rates": (
        "Missing in {lacking:layers}, present in {name}: {module} sends {count} independent branches out of {fork}, "
        "which read {branches:each:_cells} of {map:cells}: several scales at once, but no path that reads "
        "the whole map."
    ),
    "_cells": "{cells:axes} ({name})",
    "gap": (
        "{low} against {high}: pixel energy from far away is {low_far:pct} against {high_far:pct}, and the far "
        "share of the coherent response of the head {low_coherent:pct} against {high_coherent:pct}. With only "
        "{left} left of {module}, {high} keeps {cut_far:pct} and {cut_coherent:pct}: of the difference the trunk "
        "makes {trunk:pct} by energy and {trunk_coherent:pct} by coherent response, the module the rest (random "
        "weights)."
    ),
    "gap.energy_less": (
        "By pixel energy the textbook story fails: {low} has {low_far:pct} of it far away (its deepest stream), no "
        "less than {high}'s {high_far:pct}. By coherent response it holds: the head of {low} gets "
        "{low_coherent:pct} from the far part of its map, that of {high} {high_coherent:pct}, and with only {left} "
        "left of {module} {cut_coherent:pct} ({cut_far:pct} of the energy). What {module} adds is the gathering of "
        "distant evidence (random weights)."
    ),
    "lenses_differ": (
        "The two lenses disagree in {name}: {branch} brings {share:pct} of the pixel energy on {fork} and "
        "{coherent:pct} of the response to a change of its whole far part. It hands every cell the same small "
        "gradient, so single pixels hardly count and a region does: {gathering:times} its energy. By energy "
        "{far:pct} of the head's use is far, by coherent response {coherent_far:pct} (random weights)."
    ),
    "lenses_agree": (
        "Taken from the image instead, the lenses agree ({items:each:_agree}): with random weights the trunk "
        "decorrelates neighbouring gradients, so what is coherent in the image no longer is in the features. Whether "
        "trained weights keep it coherent is for `archlens erf --method occlusion` to measure."
    ),
    "_agree": "{name} {far:pct} by energy, {coherent:pct} coherent",
    "roles": (
        "Branches of {name}'s {module} (random weights; {top} brings most of the far energy, {far:pct}): "
        "{items:each:_role}."
    ),
    "_role": (
        "{name} reads {read} of {window:by} cells and brings {share:pct} of the energy, {far:pct} of the far "
        "energy, {coherent:pct} of the coherent far response"
    ),
    # ---- counterfactuals
    "module_cut": (
        "Cut all branches of {name} but {left}: far energy goes from {far:pct} to {cut_far:pct}, the 95 % square "
        "from {side95:px} to {cut_side95:px}, the head's coherent far share from {coherent:pct} to "
        "{cut_coherent:pct}; {macs:si} MACs ({macs_share:pct}) and {params:si} parameters are saved. The branch "
        "missed most is {worst}: without it {worst_far:pct} is far (random weights)."
    ),
    "one_bin.more": (
        "With all of {name}'s bins replaced by 1, so that every level pools the whole map, more energy is far, {one_far:pct} for {far:pct}, and more of the "
        "coherent response ({one_coherent:pct} for {coherent:pct}): the finer bins do not add far context "
        "(random weights)."
    ),
    "one_bin.less": (
        "With all of {name}'s bins replaced by 1, so that every level pools the whole map, less energy is far, {one_far:pct} for {far:pct}; of the coherent "
        "response {one_coherent:pct} for {coherent:pct} (random weights)."
    ),
    "one_bin.published_more": (
        "With all of {name}'s bins replaced by 1, so that every level pools the whole map, more energy is far, {one_far:pct} for {far:pct}, and more of the "
        "coherent response ({one_coherent:pct} for {coherent:pct}): what the finer bins add is not far context "
        "(random weights). Yet the paper measured a gain from them, 40.07 to 41.07 % mIoU (PSPNet, Table 1, "
        "ADE20K val), which neither lens explains."
    ),
    "one_bin.published_less": (
        "With all of {name}'s bins replaced by 1, so that every level pools the whole map, less energy is far, {one_far:pct} for {far:pct} (coherent "
        "{one_coherent:pct} for {coherent:pct}; random weights). The paper measured the same direction: 41.07 % "
        "mIoU with bins 1, 2, 3, 6, 40.07 % with bin 1 (PSPNet, Table 1, ADE20K val)."
    ),
    "undilated": (
        "With the rates of {name}'s {target} set to 1, its finite field goes from {field:px} to {flat_field:px}, "
        "far energy from {far:pct} to {flat_far:pct} and the 95 % square from {side95:px} to {flat_side95:px} "
        "(random weights)."
    ),
    # ---- degeneration, position, size
    "degenerate": (
        "{name}'s {branch} (rate {rate}) keeps {mean_taps:num} of its {taps} taps on average on a map of "
        "{shape:by}: the others read padding."
    ),
    "degenerate.point": (
        "{name}'s {branch} is a 1x1 where it should see most: at rate {rate} on a map of {shape:by} the centre "
        "cell keeps {centre_taps} of {taps} taps ({mean_taps:num} on average, {corner_taps} at the corner), all "
        "others read padding, for {macs:si} MACs and {params:si} parameters."
    ),
    "by_position": (
        "Borders cost: share of the image's area that a cell may see at corner, edge and centre: "
        "{items:each:_position}."
    ),
    "by_position.whole": (
        "Borders cost: share of the image's area that a cell may see at corner, edge and centre: "
        "{items:each:_position}. Every cell of {whole:layers} may see all of it."
    ),
    "_position": "{name} {corner:pct}, {edge:pct}, {centre:pct} (mean {mean:pct})",
    "by_window.grid": (
        "{name}'s bins are a fixed grid: its {rows} rows of cells share {items:each:_grid}. A cell at a bin's edge "
        "sees as far as its bin does, not around itself; borders cost it nothing."
    ),
    "_grid": "{windows} windows ({name}, up to {cells} cells)",
    "by_window.sliding": (
        "{name}'s dilated windows slide with the cell and lose taps at the border: {items:each:_sliding}."
    ),
    "_sliding": "{name} keeps {mean:num} of {taps} ({centre} at the centre, {corner} at the corner)",
    "by_size.never": (
        "The map that {name}'s head reads has a field of {trunk:px}: {share:pct} of the side at {short:px}, "
        "{largest_share:pct} at {largest:px}. It spans none of these images."
    ),
    "by_size.part": (
        "The map that {name}'s head reads has a field of {trunk:px}: it spans images up to that, and only "
        "{share:pct} of the side at {short:px}, {largest_share:pct} at {largest:px}."
    ),
    "by_size.rates": (
        "Rates of {name} that keep less than half of their taps: {items:each:_worn}. At the other sizes of "
        "{sides:layers} px none does."
    ),
    "_worn": "at {side:px} {branch}, {mean:num} of {taps} ({centre} at the centre)",
    "resolution": "Resolution: {items:each:_resolution}.",
    "_resolution": "{name} goes down to stride {deepest:num} and scores at stride {cell:num} ({shape:by})",
    # ---- cost
    "cost": (
        "{name}'s {module} costs {macs:si} MACs ({macs_share:pct} of all) and {params:si} parameters; there is no "
        "convolution that fuses its branches."
    ),
    "cost.fusion": (
        "{name}'s {module} costs {macs:si} MACs ({macs_share:pct} of all) and {params:si} parameters; {fusion}, "
        "which fuses its branches, another {fusion_macs:si} ({fusion_share:pct}) and {fusion_params:si}. Say "
        "which is meant by the cost of context."
    ),
    "time": "{name} takes {latency:ms} on {device} ({dtype}, batch {batch}).",
    "time.module": (
        "{name} takes {latency:ms} on {device} ({dtype}, batch {batch}). Its {module} takes {module_seconds:ms}, "
        "{module_share:pct} of its layers' time for {macs_share:pct} of the MACs."
    ),
    "time.fusion": (
        "{name} takes {latency:ms} on {device} ({dtype}, batch {batch}). Its {module} takes {module_seconds:ms}, "
        "{module_share:pct} of its layers' time for {macs_share:pct} of the MACs; {fusion}, which fuses the "
        "branches, {fusion_seconds:ms}, {fusion_share:pct} for {fusion_macs_share:pct}."
    ),
    "totals": "Cost, and the far share of the head's coherent response: {items:each:_total}.",
    "_total": "{name} {macs:si} MACs, {params:si} parameters, {coherent:pct}",
    # ---- one network
    "unproductive": (
        "At {image:px} {count:count:layer} of {name} can add no context by Richter et al. (2021): the field of the "
        "input, {before:px} at {first}, already spans the image. That is {macs:si} MACs ({macs_share:pct}). "
        "The rule is about classifiers. All of the image is seen from every position by {everywhere} of {count} "
        "here, by the shortest path too by {shortest}, and what is used is less than what is spanned."
    ),
    "unproductive.global": (
        "At {image:px} {count:count:layer} of {name} can add no context by Richter et al. (2021): {first} already "
        "reads a map that sees the whole image. That is {macs:si} MACs ({macs_share:pct}). The rule is about "
        "classifiers. All of the image is seen from every position by {everywhere} of {count} here, by the "
        "shortest path too by {shortest}, and what is used is less than what is spanned."
    ),
    "overlap": (
        "Tiles of {name} equal the whole image's result with a margin of {items:each:_margin}, if they start on "
        "multiples of {multiple:px}."
    ),
    "overlap.never": (
        "No overlap makes tiles of {name} equal to the whole image: {source} reads all of its input. On the "
        "finite paths the margin is {items:each:_margin}; tiles start on multiples of {multiple:px}."
    ),
    "_margin": "{pixels:px} {side:word}",
    "field_of_view": (
        "In DeepLab's own convention {name}'s field of view is {published:px}: the theoretical {plain:px} with "
        "VGG-16's plain pools, less twice the {padding:px} of padding that VGG-16 has accumulated at pool5. As "
        "released, with padded 3x3 pools, the theoretical field is {released:px}."
    ),
    "advice.image_pooling": (
        "To extend {name}: an image-level branch (mean, 1x1, added) at {target} makes the field global. The "
        "head's coherent far share goes from {coherent:pct} to {new_coherent:pct}, far energy from {far:pct} to "
        "{new_far:pct}, for {macs:si} MACs ({macs_share:pct}) and {params:si} parameters (random weights)."
    ),
    "advice.double_rate": (
        "To extend {name}: twice the rate at {target} takes the field from {field:px} to {new_field:px}, the 95 % "
        "square from {side95:px} to {new_side95:px} and far energy from {far:pct} to {new_far:pct}, at no cost in "
        "MACs or parameters (random weights)."
    ),
    "advice.fit_rates": (
        "To use all of {name}'s branches at this input size: at rate {rate} {target:layers} keeps all its taps at "
        "the centre. Far energy goes from {far:pct} to {new_far:pct}, the 95 % square from {side95:px} to "
        "{new_side95:px}, at no cost in MACs or parameters (random weights; the trained weights of a branch belong "
        "to its rate)."
    ),
    # ---- literature
    "published": "Published: {what:word}: mIoU from {before:num} to {after:num} %, {gain:signed} in points ({setting}; {source}).",
    "published.removed": (
        "Published: {what:word}: mIoU from {before:num} to {after:num} %, {gain:signed} in points ({setting}; {source}). "
        "Global context is not always wanted."
    ),
    "step": (
        "{before} to {after}: the head reads {cells:layers} of {map:cells}, then {new_cells:layers} of "
        "{new_map:cells}. Deepest stride {deepest:num} to {new_deepest:num}, score stride {stride:num} to "
        "{new_stride:num}; finite field {field:px} to {new_field:px}, 95 % square {side95:px} to {new_side95:px}, "
        "far energy {far:pct} to {new_far:pct} (random weights); {macs:si} to {new_macs:si} MACs, {params:si} to "
        "{new_params:si} parameters. Published for one part of the step alone, {measured:each:_measured}"
    ),
    "_measured": "{what:word}: {before:num} to {after:num} % mIoU ({setting}; {source}).",
    # ---- headings
    "_none": "No finding: what can be computed here carries none. --full and --json show the figures.",
    "_assumptions": "Assumed: {items}",
    "_more": "{count:count:more finding} and all evidence: --full, or --json.",
    "_confidence": "[{confidence:word}]",
}
