"""Where a blob server keeps its blobs: on a disk, or in memory."""
