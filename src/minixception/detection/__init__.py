"""Finding faces: the Haar cascade of the published systems, and YuNet."""
