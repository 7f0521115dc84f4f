"""What the paper and its authors' logs say, to stand beside what was measured here.

arXiv 2210.08650 and its later version, and the logs of repository aguirguis/collabml_client. Their machines had GPUs on
both tiers, other photographs and other batches: the figures tell which way things went, not what to expect here.
"""

from __future__ import annotations

RUN_TIME_TIMES, RUN_TIME_TIMES_LATER = 11.0, 2.5
"""Up to so many times as fast as BASELINE; in the later version."""
FEWER_BYTES_TIMES = 8.3
"""Up to so many times fewer bytes: AlexNet at a training batch of 8,000."""
VGG19_TIMES, VGG19_MORE_BYTES = 0.53, 3.0
"""VGG-19 ran at so many times the speed of BASELINE, and moved so many times more bytes."""
TENANTS_TIMES = 4.9
"""Up to so many times, with several tenants."""
ONLY_ADAPTED_FROM = 7000
"""Training batches from here on ended only with the extraction batch adapted."""
TENANTS_LOST_PAST = 10
"""With more tenants, jobs were lost without adaptation."""
