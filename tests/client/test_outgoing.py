"""Frames are bounded by bytes, whatever waits to be said."""

import asyncio

from sidecar.client.channel import MAX_MESSAGE_BYTES
from sidecar.client.outgoing import MAX_BYTES, Outgoing
from sidecar.v1 import worker_service_pb2 as work
from tests.client.fake import ref


def settlement(number: int, size: int) -> work.Settlement:
    return work.Settlement(lease=ref(f"e{number}"), succeeded=work.Succeeded(output=b"x" * size))


def frames(outgoing: Outgoing) -> list[work.WorkRequest]:
    async def gather() -> list[work.WorkRequest]:
        found = []
        while (frame := await outgoing.frame()) is not None:
            found.append(frame)
        return found

    outgoing.finish()
    return asyncio.run(gather())


def test_large_outputs_go_in_several_frames() -> None:
    outgoing = Outgoing(lambda: 0)
    said = [settlement(number, 900_000) for number in range(12)]
    for each in said:
        outgoing.settle(each)
    found = frames(outgoing)
    assert [each for frame in found for each in frame.settlements] == said
    assert all(frame.ByteSize() <= MAX_BYTES for frame in found)


def test_all_that_a_frame_holds_counts_and_steps_still_come_first() -> None:
    outgoing = Outgoing(lambda: 0)
    outgoing.beat([ref(f"{number:0200}") for number in range(8_000)])
    for number in range(1_000):
        outgoing.step(work.StepReport(lease=ref("e"), sequence=number, name="n" * 256))
    outgoing.settle(settlement(1, 3_000_000))
    outgoing.settle(settlement(2, 10))
    found = frames(outgoing)
    assert all(frame.ByteSize() <= MAX_BYTES for frame in found)
    assert sum(len(frame.heartbeats) for frame in found) == 8_000
    assert sum(len(frame.steps) for frame in found) == 1_000
    last_step = max(index for index, frame in enumerate(found) if frame.steps)
    first_end = min(index for index, frame in enumerate(found) if frame.settlements)
    assert first_end >= last_step


def test_one_that_is_too_large_goes_alone() -> None:
    outgoing = Outgoing(lambda: 0)
    for number, size in enumerate((10, MAX_BYTES, 10)):
        outgoing.settle(settlement(number, size))
    found = frames(outgoing)
    assert [len(frame.settlements) for frame in found] == [1, 1, 1]
    assert all(frame.ByteSize() < MAX_MESSAGE_BYTES for frame in found)
