"""Finding faces: the Haar cascade of the published systems, YuNet, and a network of this project.

A face is a square, framed as the cascade of the published systems frames it.
"""
