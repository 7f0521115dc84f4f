"""Read by every interpreter that has this folder on its path, when it starts: operators of networks under test."""

import fragile_networks  # noqa: F401
