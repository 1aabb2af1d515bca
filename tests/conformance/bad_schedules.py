"""Bad values for every field of ScheduleService's calls."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from sidecar.v1 import schedule_service_pb2 as api
from tests.conformance.bad_values import BAD_DURATIONS, BAD_IDS, Bad, bad

NAMESPACE = bad("namespace", *BAD_IDS)
KEY = [*NAMESPACE, *bad("schedule_id", "", *BAD_IDS)]
LIST = [*NAMESPACE, *bad("schedule_id", *BAD_IDS), *bad("occurrences", 101)]
RUN = [*KEY, *bad("request_id", *BAD_IDS), *bad("idempotency_key", *BAD_IDS)]
RUN_DUE = [
    *NAMESPACE,
    *bad("schedule_id", *BAD_IDS),
    *bad("request_id", *BAD_IDS),
    *bad("early", Duration(seconds=61), *BAD_DURATIONS),
]

COVERED: list[tuple[type[Message], list[Bad], str]] = [
    (api.ListSchedulesRequest, LIST, ""),
    (api.PauseScheduleRequest, KEY, ""),
    (api.ResumeScheduleRequest, KEY, ""),
    (api.RunScheduleRequest, RUN, ""),
    (api.RunDueRequest, RUN_DUE, ""),
]
