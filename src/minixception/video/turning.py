"""Films that say how to turn them, as those from phones do."""

from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from numpy.typing import NDArray


def display_matrix(picture: Any) -> list[int]:
    """Return a, b, 0, c, d of x' = a x + c y and y' = b x + d y, in 1/65536; [] if not turned."""
    # `picture.side_data` would be in a circle with the frame, and keep it in memory.
    mark = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    return [] if mark is None else np.frombuffer(bytes(mark)[:20], np.int32).tolist()


def turn_upright(image: NDArray[Any], matrix: list[int]) -> NDArray[Any]:
    """Return an image turned and mirrored by its display matrix."""
    a, b, _, c, d = matrix or (1, 0, 0, 0, 1)
    if abs(b) > abs(a):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
