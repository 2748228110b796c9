"""What can be asked of a split. Nothing is imported, so that the command line can tell at once."""

MINIMUM_BYTES = 64  # less than this cannot be split in any useful way
MAX_VALIDATION_FRACTION = 0.5  # of the bytes; the least is 0, which keeps all for training
