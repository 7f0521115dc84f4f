"""What a server counts, and what its logs say."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys

import pytest

from hapistore.errors import HapistoreError, NotFound, TransientError, UsageError
from hapistore.service.watching.logs import JsonLines, TextLines, log_request, set_up_logging
from hapistore.service.watching.metrics import Metrics

HOSTILE = 'pets\r\n{"level": "info", "tenant": "root"}\x1b[2J\u2028\ud800'


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3", most_recipes=3)


def values(metrics: Metrics) -> dict[str, float]:
    """Every sample, by its line without the value."""
    body, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


class TestMetrics:
    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (None, "ok"),
            (NotFound("x"), "not-found"),
            (UsageError("x"), "refused"),
            (TransientError("x", "y"), "try-again"),
            (HapistoreError("x"), "failed"),
            (ZeroDivisionError(), "error"),
            (GeneratorExit(), "cancelled"),
        ],
    )
    def test_a_request_is_counted_by_how_it_ended(self, metrics, error, outcome):
        expected = contextlib.nullcontext() if error is None else pytest.raises(type(error))
        with expected, metrics.request("lab", "features"):
            assert values(metrics)["hapistore_requests_in_flight"] == 1
            if error is not None:
                raise error
        found = values(metrics)
        assert found["hapistore_requests_in_flight"] == 0
        assert found[f'hapistore_requests_total{{kind="features",outcome="{outcome}",tenant="lab"}}'] == 1
        assert found['hapistore_request_seconds_count{kind="features"}'] == 1

    def test_bytes_shards_and_refusals(self, metrics):
        metrics.sent("lab", 100)
        metrics.sent("lab", 11)
        metrics.received("lab", 7)
        metrics.extracted("a" * 64, images=40)
        metrics.extracted("a" * 64, images=2)
        metrics.shared()
        metrics.passed_through(5)
        metrics.authentication_failed()
        found = values(metrics)
        assert found['hapistore_sent_bytes_total{tenant="lab"}'] == 111
        assert found['hapistore_received_bytes_total{tenant="lab"}'] == 7
        assert found[f'hapistore_extracted_shards_total{{recipe="{"a" * 64}"}}'] == 2
        assert found[f'hapistore_extracted_images_total{{recipe="{"a" * 64}"}}'] == 42
        assert found["hapistore_shared_extractions_total"] == 1
        assert found["hapistore_passed_through_shards_total"] == 5
        assert found["hapistore_authentication_failures_total"] == 1
        assert any('version="1.2.3"' in name for name in found if name.startswith("hapistore_build_info"))

    def test_labels_are_bounded_whatever_is_sent(self, metrics):
        for number in range(2000):
            metrics.extracted(f"recipe{number}", images=1)
            with metrics.request(f"tenant{number}", f"kind{number}"):
                pass
        found = values(metrics)
        recipes = {name: value for name, value in found.items() if name.startswith("hapistore_extracted_shards_total")}
        assert len(recipes) == 4 and recipes['hapistore_extracted_shards_total{recipe="other"}'] == 1997
        kinds = [name for name in found if name.startswith("hapistore_request_seconds_count")]
        assert len(kinds) == 33
        assert sum(value for name, value in found.items() if name.startswith("hapistore_requests_total")) == 2000

    def test_a_label_cannot_break_the_format(self, metrics):
        with metrics.request('a"b\nhapistore_evil 1', "x"):
            pass
        assert not any(name.startswith("hapistore_evil") for name in values(metrics))

    def test_gauges_are_asked_for_when_they_are_read(self, metrics):
        waiting = [1, 2]
        metrics.watch(queue_length=lambda: len(waiting), memory_budget_bytes=lambda: 1e9)
        assert values(metrics)["hapistore_queue_length"] == 2
        waiting.clear()
        assert values(metrics)["hapistore_queue_length"] == 0
        with pytest.raises(KeyError):
            metrics.watch(cpu=lambda: 1)

    def test_two_servers_in_one_process_count_apart(self, metrics):
        other = Metrics(version="1.2.3")
        other.shared()
        assert values(metrics)["hapistore_shared_extractions_total"] == 0

    def test_without_the_package_one_line_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with pytest.raises(UsageError, match=r"pip install 'hapistore\[serve\]'"):
            Metrics(version="1")


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("hapistore.service.test")
    logger.setLevel(logging.INFO)
    return logger


def written(logger: logging.Logger, formatter: logging.Formatter) -> io.StringIO:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logger.handlers = [handler]
    return stream


class TestLogs:
    def test_a_request_is_one_json_object(self, logger):
        stream = written(logger, JsonLines())
        log_request(logger, "done", tenant="lab", request_id="r1", kind="features", seconds=0.25, bytes=10, shard="ab")
        told = json.loads(stream.getvalue())
        assert told.pop("time").endswith("Z")
        assert told == {
            "level": "info", "logger": "hapistore.service.test", "message": "done", "tenant": "lab", "request": "r1",
            "kind": "features", "outcome": "ok", "seconds": 0.25, "bytes": 10, "shard": "ab",
        }  # fmt: skip

    @pytest.mark.parametrize("formatter", [JsonLines(), TextLines()], ids=["json", "text"])
    def test_what_a_client_sends_stays_within_its_line(self, logger, formatter):
        stream = written(logger, formatter)
        error = UsageError(HOSTILE)
        log_request(logger, HOSTILE, tenant="lab", request_id=HOSTILE, kind=HOSTILE, error=error, **{HOSTILE: HOSTILE})
        text = stream.getvalue()
        assert text.endswith("\n") and len(text.splitlines()) == 1
        assert text[:-1].isprintable() and text.isascii()

    def test_json_gives_back_what_was_sent(self, logger):
        stream = written(logger, JsonLines())
        log_request(logger, "refused", tenant="lab", request_id="1", kind=HOSTILE)
        told = json.loads(stream.getvalue())
        assert (told["kind"], told["tenant"]) == (HOSTILE, "lab")

    def test_fields_do_not_take_the_place_of_the_lines_own(self, logger):
        stream = written(logger, JsonLines())
        log_request(logger, "done", tenant="lab", request_id="1", kind="get", logger_="x", time="never", level_="error")
        assert json.loads(stream.getvalue())["time"] != "never"

    @pytest.mark.parametrize("formatter", [JsonLines(), TextLines()], ids=["json", "text"])
    def test_no_token_is_logged(self, logger, formatter):
        stream = written(logger, formatter)
        secret = "hunter2hunter2"
        log_request(
            logger, f"header Authorization: Bearer {secret}", tenant="lab", request_id="1", kind="get",
            token=secret, authorization=secret, Api_Token=secret, where=f"grpc://h/?token={secret}",
            headers={"authorization": f"Bearer {secret}", "token": secret},
            error=UsageError(f"bearer {secret}"),
        )  # fmt: skip
        try:
            raise UsageError(f"Bearer {secret}")
        except UsageError:
            logger.exception("failed")
        assert len(stream.getvalue().splitlines()) == 2
        assert secret not in stream.getvalue()

    def test_values_without_end_are_cut_and_odd_ones_are_text(self, logger):
        stream = written(logger, JsonLines())
        log_request(logger, "x" * 10**6, tenant="lab", request_id="1", kind="get", rate=float("nan"), what=b"\n")
        told = json.loads(stream.getvalue())
        assert len(stream.getvalue()) < 10_000
        assert told["message"].endswith("(1000000 characters)")
        assert (told["rate"], told["what"]) == ("nan", "b'\\n'")

    def test_ours_are_written_and_others_only_where_they_warn(self):
        root, ours = logging.getLogger(), logging.getLogger("hapistore")
        before = root.handlers[:], root.level, ours.level
        stream = io.StringIO()
        try:
            set_up_logging("json", stream=stream)
            logging.getLogger("hapistore.extraction").info("ours")
            logging.getLogger("another").info("theirs")
            logging.getLogger("another").warning("theirs, loud")
        finally:
            root.handlers[:] = before[0]
            root.setLevel(before[1])
            ours.setLevel(before[2])
        assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours", "theirs, loud"]
