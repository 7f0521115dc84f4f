"""What a network costs at each of its cuts, measured on images of the dataset: the input of ``plan_split``."""

from .kept import KeptProfile
from .measured import check_cut, measured_profile
from .measuring import ProfileOptions, profile_cuts
from .sample import ImageSample, sample_images
from .tails import profile_tails

__all__ = [
    "ImageSample",
    "KeptProfile",
    "ProfileOptions",
    "check_cut",
    "measured_profile",
    "profile_cuts",
    "profile_tails",
    "sample_images",
]
