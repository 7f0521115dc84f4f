"""The main job on real photographs, start to finish. Uses only what a user's own script would."""

from .running import DemoResult, run_demo

__all__ = ["DemoResult", "run_demo"]
