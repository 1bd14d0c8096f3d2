"""Pictures as arrays: reading, writing, resizing, cropping.

Everywhere in the package an image is RGB uint8 (height, width, 3), or (height, width, 1) when grey,
and a size is (height, width). OpenCV's networks, windows and videos speak BGR: the two
conversions are here.
"""

from minixception.images.arrays import (
    as_rgb,
    bgr_to_rgb,
    crop,
    crop_turned,
    cut_face,
    map_in_place,
    resize_image,
    rgb_to_bgr,
    to_grey,
)
from minixception.images.files import (
    READABLE_FORMATS,
    colour_profile,
    decode_image,
    picture_size,
    pillow_to_rgb,
    read_image,
)
from minixception.images.writing import WRITABLE_SUFFIXES, write_image

__all__ = [
    "READABLE_FORMATS",
    "WRITABLE_SUFFIXES",
    "as_rgb",
    "bgr_to_rgb",
    "colour_profile",
    "crop",
    "crop_turned",
    "cut_face",
    "decode_image",
    "map_in_place",
    "picture_size",
    "pillow_to_rgb",
    "read_image",
    "resize_image",
    "rgb_to_bgr",
    "to_grey",
    "write_image",
]
