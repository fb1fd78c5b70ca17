"""The commands, one file each: a module, its function and the command bear one name."""
