"""What a network costs at each of its cuts, measured on images of the dataset: the input of ``plan_split``."""

from .kept import KeptProfile
from .measuring import ProfileOptions, profile_cuts
from .sample import ImageSample, sample_images

__all__ = ["ImageSample", "KeptProfile", "ProfileOptions", "profile_cuts", "sample_images"]
