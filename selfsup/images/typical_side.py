"""How large the images of a collection are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from selfsup.errors import UserError
from selfsup.images.decoding import BadImage, image_size

_MOST_LOOKED_AT = 1000


def typical_side(files: Sequence[Path]) -> int:
    """The median of the shorter sides, in pixels, of up to 1,000 images from the first to the last.

    Args:
        files: at least one.

    Raises:
        UserError: none of those looked at can be read.
    """
    sides, problem = [], ""
    places = np.linspace(0, len(files) - 1, min(len(files), _MOST_LOOKED_AT))
    for place in sorted({int(place) for place in places}):
        try:
            sides.append(min(image_size(files[place])))
        except BadImage as error:
            problem = problem or f"{files[place]}: {error}"
    if not sides:
        raise UserError(f"{problem}; and no other of the images can be read: mend or replace them")
    return int(np.median(sides))
