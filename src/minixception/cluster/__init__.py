"""Pictures by the million: the work of `inference` on Ray, on one machine or on many."""

from minixception.cluster.pictures import analyze

__all__ = ["analyze"]
