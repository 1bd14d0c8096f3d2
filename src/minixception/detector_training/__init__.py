"""Training the face detector of this project, and its way to LiteRT."""
