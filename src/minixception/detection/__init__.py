"""Finding faces with a network of this project: data, training and use of the detector.

A face is a square, framed as the cascade of the published systems frames it, with five landmarks.
"""
