"""Many extractions at once in one process: their memory, their turns, and the pixels they share."""

from .extraction_worker import ExtractionWorker, extract_jobs
from .job_reports import JobReport, WorkerReport
from .jobs import ExtractionJob
from .networks import KnownNetwork, LoadsPrefix, Network
from .options import WorkerOptions

__all__ = [
    "ExtractionJob",
    "ExtractionWorker",
    "JobReport",
    "KnownNetwork",
    "LoadsPrefix",
    "Network",
    "WorkerOptions",
    "WorkerReport",
    "extract_jobs",
]
