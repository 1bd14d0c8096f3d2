"""Finding faces with a network of this project: its data, its use, and how it is scored.

A face is a square, framed as the cascade of the published systems frames it, with five landmarks.
"""
