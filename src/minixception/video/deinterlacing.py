"""Interlaced films: FFmpeg makes one frame of two fields."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av
from av.filter import Graph


def deinterlacer(frame: Any) -> Graph:
    """Return a filter that makes one frame of two fields, for frames like this one."""
    graph = Graph()
    shape = {name: getattr(frame, name) for name in ("width", "height", "format", "time_base")}
    nodes = graph.add_buffer(**shape), graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def filtered(graph: Graph | None, frame: Any) -> Iterator[Any]:
    """Give what a filter, if there is one, makes of a frame; for None, what it has kept back."""
    if graph is not None:
        graph.vpush(frame)
        with suppress(av.BlockingIOError, av.EOFError):
            while True:
                yield graph.vpull()
    elif frame is not None:
        yield frame
