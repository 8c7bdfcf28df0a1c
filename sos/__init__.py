"""sos, Simple Object Storage: files go in over HTTP, come back over HTTP, and live on several hosts."""
