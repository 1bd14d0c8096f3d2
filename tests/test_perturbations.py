import numpy as np
import pytest

from minixception.limits.perturbations import (
    BLUR,
    DARKNESS,
    FULL_WELL,
    PERTURBATIONS,
    READ_NOISE,
    ROTATION,
    SIZE,
    UPRIGHT,
    Perturbation,
    perturb,
)


def faces(*, count: int = 3, size: int = 48, channels: int = 1) -> np.ndarray:
    """Smooth faces: a bright disc off the middle, another for each."""
    rows, columns = np.mgrid[:size, :size] / size
    discs = [
        np.exp(-((rows - 0.4) ** 2 + (columns - place) ** 2) / 0.05)
        for place in np.linspace(0.3, 0.6, count)
    ]
    grey = np.rint(40 + 180 * np.stack(discs)).astype(np.uint8)
    return np.repeat(grey[..., np.newaxis], channels, axis=3)


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda one: one.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_gives_faces_and_the_seed_decides(
    perturbation: Perturbation, channels: int
) -> None:
    images = faces(count=20, channels=channels)
    before = images.copy()
    for level in perturbation.levels_for(48):
        changed = perturb(images, perturbation, level, seed=0)
        assert changed.dtype == np.uint8
        width = int(level) if perturbation is SIZE else 48
        assert changed.shape == (20, width, width, channels)
        if level == perturbation.levels_for(48)[0] and perturbation is not UPRIGHT:
            np.testing.assert_array_equal(changed, images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(perturb(images, perturbation, level, seed=0), changed)
    differs = not np.array_equal(perturb(images, perturbation, level, seed=1), changed)
    assert differs == (perturbation in (DARKNESS, ROTATION, UPRIGHT))


def test_a_shrunken_face_keeps_its_brightness_and_proportions() -> None:
    images = faces(size=60)
    assert perturb(images, SIZE, 20, seed=0).mean() == pytest.approx(images.mean(), abs=0.5)
    assert perturb(images[:, :30], SIZE, 20, seed=0).shape == (3, 10, 20, 1)


def test_blur_spreads_a_point_by_its_share_of_the_width() -> None:
    point = np.zeros((1, 101, 101, 1), np.uint8)
    point[0, 50, 50] = 255
    wide = np.float64(perturb(point, BLUR, 0.01, seed=0)[0, :, :, 0])
    spread = ((np.arange(101) - 50) ** 2 * wide.sum(axis=0)).sum() / wide.sum()
    assert np.sqrt(spread) == pytest.approx(1.01, abs=0.1)


def test_a_right_angle_turns_the_face_to_either_side() -> None:
    images = faces(count=40)
    turned = perturb(images, ROTATION, 90, seed=0)
    sides = [
        next(k for k in (1, 3) if np.array_equal(np.rot90(image, k), after))
        for image, after in zip(images, turned, strict=True)
    ]
    assert 8 < sides.count(1) < 32


@pytest.mark.parametrize("stops", [1, 3, 6])
def test_darkness_halves_the_light_and_leaves_the_noise_of_what_is_left(stops: int) -> None:
    value = 200
    light = ((value / 255 + 0.055) / 1.055) ** 2.4
    grey = np.full((1, 300, 300, 1), value, np.uint8)
    dark = perturb(grey, DARKNESS, stops, seed=0) / 255
    found = np.where(dark <= 0.04045, dark / 12.92, ((dark + 0.055) / 1.055) ** 2.4)
    assert found.mean() == pytest.approx(light / 2**stops, rel=0.02)
    # Of all noise, the part that the bright picture had brings the square of the share.
    share = 2.0**-stops
    variance = light * FULL_WELL * share + READ_NOISE**2
    variance -= share**2 * (light * FULL_WELL + READ_NOISE**2)
    assert found.std() * FULL_WELL == pytest.approx(np.sqrt(variance), rel=0.1)
