"""What can only be shown by waiting, or by many at once: ``make torture``."""
