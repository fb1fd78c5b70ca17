"""Where a unit's gradient energy goes, node by node, from the unit to the image."""
