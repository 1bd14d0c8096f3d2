"""Films and cameras: reading, writing, and following faces from frame to frame."""
