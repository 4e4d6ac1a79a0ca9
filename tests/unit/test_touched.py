"""What waking machines touch is gathered for all images at once: most of it they share."""

import numpy as np

from core.engine.touched import keep
from core.store.image_pages import TOUCHED, touched_places
from tests.twins.engine import twin_engine


def test_a_new_images_pages_are_gathered_with_those_of_all_others() -> None:
    with twin_engine() as twins:
        images = twins.engine.catalog.images()
        base, other = images
        files = twins.engine.home.images
        (files / base.id / TOUCHED).write_bytes(np.array([3, 1], "<u4").tobytes())
        keep(twins.engine, images, other, np.array([2, 3], np.uint32))
        assert twins.store.gathered == {base.golden: [3, 1], other.golden: [2, 3]}
        assert list(twins.store.gathered) == [
            base.golden,
            other.golden,
        ]  # the oldest is read in the fewest pieces
        assert touched_places(files, other.id).tolist() == [2, 3]
