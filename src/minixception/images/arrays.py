"""Pictures as arrays: their form, size and parts."""

from __future__ import annotations

import cv2
import numpy as np

from minixception.boxes import Box, clip, crop_box, expand


def as_rgb(array: np.ndarray) -> np.ndarray:
    """Turn an array into the package's own form.

    Args:
        array: (height, width) or (height, width, C) with C 1 (grey), 3 (RGB) or 4 (RGBA, laid on
            white); uint8, uint16 (65535 is white: shift 12-bit values by 4), bool (True is white)
            or float in [0, 1].

    Returns:
        RGB uint8 (height, width, 3); `array` itself where it has that form already.

    Raises:
        ValueError: for another shape, an empty array, NaN or a float outside [0, 1].
        TypeError: if `array` is no array, or one of another dtype.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(
            "`array` must be a NumPy array; `read_image` makes one of a file. "
            f"Received: {type(array).__name__}"
        )
    array = np.asarray(array)  # a matrix would keep two dimensions
    _require_image_shape(array)
    image = _as_uint8(array.reshape(*array.shape[:2], -1))
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    if image.shape[2] == 4:
        return _on_white(image)
    return image


def _require_image_shape(array: np.ndarray) -> None:
    known = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not known or array.size == 0:
        raise ValueError(
            "`array` must have the shape (height, width) or (height, width, channels), with 1, 3 "
            f"or 4 channels last, and must not be empty. Received: shape={array.shape}"
        )


def _as_uint8(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if np.issubdtype(array.dtype, np.uint16):  # of either byte order
        # 65535 = 255 * 257: dividing by 257 maps white to white, adding half of it rounds.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            "`array` must be uint8, uint16, bool or float; integers from 0 to 255 become uint8 "
            f"with `array.astype('uint8')`. Received: dtype={array.dtype}"
        )
    lowest, highest = float(array.min()), float(array.max())
    if not (lowest >= 0.0 and highest <= 1.0):  # written so that NaN fails too
        raise ValueError(
            "`array` of floats must lie in [0, 1], without NaN. "
            f"Received: minimum={lowest:g}, maximum={highest:g}"
        )
    return np.rint(array * 255.0).astype(np.uint8)


def _on_white(image: np.ndarray) -> np.ndarray:
    opacity = image[:, :, 3:].astype(np.uint16)
    # At most 255 * 255, and half of it to round.
    return ((image[:, :, :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def resize_image(image: np.ndarray, size: tuple[int, int], *, cubic: bool = False) -> np.ndarray:
    """Resize an image, whatever its proportions.

    Growing is bilinear, as for the published networks, which took the 48 px faces of FER2013 at
    64 px. Shrinking averages over the area, since bilinear would skip most pixels of a large face.
    If one side grows and the other shrinks, both are bilinear.

    Args:
        image: (height, width) or (height, width, C), uint8 or float32.
        size: (height, width) of the result, at least 1 each.
        cubic: grow bicubic instead, which keeps small faces sharper.

    Returns:
        An array of that size, of the same dtype and rank; `image` itself if it has that size.

    Raises:
        ValueError: if a side of `size` is below 1, or `image` is empty.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"`size` must be at least (1, 1). Received: size={tuple(size)}")
    if image.size == 0:
        raise ValueError(f"`image` must not be empty. Received: shape={image.shape}")
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    grown = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    interpolation = cv2.INTER_AREA if shrinks else grown
    resized = cv2.resize(image, (width, height), interpolation=interpolation)
    return resized.reshape(height, width, *image.shape[2:])


def to_grey(image: np.ndarray) -> np.ndarray:
    """Turn an RGB image into grey with the usual weights 0.299, 0.587 and 0.114.

    Args:
        image: uint8 or float32 (height, width, 3); or (height, width, 1), returned unchanged.

    Returns:
        An array (height, width, 1) of the same dtype.

    Raises:
        ValueError: for another shape.
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(
            "`image` must have the shape (height, width, 3) or (height, width, 1). "
            f"Received: shape={image.shape}"
        )
    if image.shape[2] == 1:
        return image
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis]


def crop(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return a copy of the part of an image inside a box.

    Args:
        image: (height, width) or (height, width, C).
        box: (x, y, width, height), inside the image: see `boxes.crop_box`.

    Raises:
        ValueError: if the box is empty or reaches beyond the image.
    """
    x, y, width, height = box
    inside = 0 <= x < x + width <= image.shape[1] and 0 <= y < y + height <= image.shape[0]
    if not inside:
        raise ValueError(
            f"`box` must lie inside the image of {image.shape[0]} rows and {image.shape[1]} "
            f"columns. Received: box={tuple(box)}"
        )
    return image[y : y + height, x : x + width].copy()


def cut_face(image: np.ndarray, box: Box, margin: float, *, angle: float = 0.0) -> np.ndarray:
    """Return a copy of the part of an image that shows a face, for a network.

    Args:
        image: uint8 (height, width) or (height, width, C).
        box: around the face; parts outside the image are left out.
        margin: how far the crop reaches beyond the box.
        angle: degrees by which the face is turned clockwise; it is turned back about the middle of
            the box, and where that reaches beyond the image, the pixels of the border are repeated.
            Width and height of a box around a lying face change places.

    Raises:
        ValueError: if no pixel of the box lies inside the image.
    """
    height, width = image.shape[:2]
    if not angle:
        return crop(image, crop_box(box, margin, height, width))
    frame, middle = _upright_frame(clip(box, height, width), margin, angle)
    return crop_turned(image, frame, angle, middle)


def map_in_place(
    one: np.ndarray, box: Box, margin: float, size: tuple[int, int], *, angle: float = 0.0
) -> tuple[Box, np.ndarray]:
    """Turn a map of what `cut_face` cut out back, as the face is turned in the image.

    Args:
        one: float32 (H, W), any size.
        box: as for `cut_face`.
        margin: likewise.
        size: height and width of the image.
        angle: as for `cut_face`.

    Returns:
        The part of the image that holds what was cut out, and a map (H, W) of it, with 0 in the
        corners that `cut_face` did not reach.
    """
    if not angle:
        return crop_box(box, margin, *size), one
    frame, pivot = _upright_frame(clip(box, *size), margin, angle)
    shown = clip(_turned_bounds(frame, angle, pivot), *size)
    large = np.pad(resize_image(one, (frame.height, frame.width)), 1)  # beyond it, 0 is repeated
    left, top = frame.x - 1, frame.y - 1
    place = shown.x - left, shown.y - top, shown.width, shown.height
    turned = crop_turned(large, place, -angle, (pivot[0] - left, pivot[1] - top))
    return shown, resize_image(turned, one.shape[:2])


def _upright_frame(inside: Box, margin: float, angle: float) -> tuple[Box, tuple[float, float]]:
    """Return what to cut out once a face is upright, and the point that it is turned about."""
    x, y, width, height = inside
    middle = x + width / 2, y + height / 2
    if 45 < abs(angle) < 135:
        across = (width - height) // 2
        inside = Box(x + across, y - across, height, width)
    return expand(inside, margin), middle


def crop_turned(
    image: np.ndarray, box: tuple[int, int, int, int], angle: float, pivot: tuple[float, float]
) -> np.ndarray:
    """Return what a box shows once it is turned about a point, upright.

    Args:
        image: uint8 (height, width) or (height, width, C).
        box: (x, y, width, height) before it is turned, in pixels. It may reach beyond the image,
            where the pixels of the border are repeated.
        angle: degrees by which the box is turned, clockwise.
        pivot: x and y of the point, counted from the image's upper left corner.

    Returns:
        An array (box height, box width) or with C channels, interpolated linearly.
    """
    x, y, width, height = box
    linear = _turn(angle)
    # OpenCV counts from pixel middles.
    shift = pivot + linear @ np.subtract((x + 0.5, y + 0.5), pivot) - 0.5
    # It takes no image with a side from 32,767 pixels on, so it gets the part that is needed.
    needed = _turned_bounds(box, angle, pivot)
    left = min(max(needed.x - 1, 0), image.shape[1] - 1)
    top = min(max(needed.y - 1, 0), image.shape[0] - 1)
    right, bottom = needed.x + needed.width + 1, needed.y + needed.height + 1
    turned = cv2.warpAffine(
        image[top : max(bottom, 1), left : max(right, 1)],
        np.column_stack([linear, shift - (left, top)]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return turned.reshape(height, width, *image.shape[2:])


def _turned_bounds(box: tuple[int, int, int, int], angle: float, pivot: tuple[float, float]) -> Box:
    """Return the smallest box that holds another one turned about a point."""
    x, y, width, height = box
    corners = np.array([(x, y), (x + width, y), (x, y + height), (x + width, y + height)])
    places = pivot + (corners - pivot) @ _turn(angle).T
    left, top = np.floor(places.min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(places.max(axis=0)).astype(int).tolist()
    return Box(left, top, right - left, bottom - top)


def _turn(angle: float) -> np.ndarray:
    """Return the matrix (2, 2) that turns x and y clockwise by degrees."""
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[cosine, -sine], [sine, cosine]])


def rgb_to_bgr(image: np.ndarray) -> np.ndarray:
    """Return a copy of an RGB image (height, width, 3) in the order of OpenCV, BGR."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def bgr_to_rgb(image: np.ndarray) -> np.ndarray:
    """Return a copy of an image (height, width, 3) from OpenCV, BGR, as RGB."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
