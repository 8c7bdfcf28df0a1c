"""A simulated cluster: the real services on one fake clock, over a network and on disks that fail as a seed says."""
