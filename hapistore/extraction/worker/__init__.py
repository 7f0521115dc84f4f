"""Many extractions at once in one process: their memory, their turns, and the pixels they share."""

from .extraction_worker import ExtractionWorker, WorkerOptions, extract_jobs
from .job_reports import JobReport, WorkerReport
from .jobs import ExtractionJob, Network

__all__ = [
    "ExtractionJob",
    "ExtractionWorker",
    "JobReport",
    "Network",
    "WorkerOptions",
    "WorkerReport",
    "extract_jobs",
]
