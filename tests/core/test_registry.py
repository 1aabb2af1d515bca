"""The registry: the newest catalog that was read, told to whoever listens; what was read stays as it was."""

import asyncio

import pytest

from sidecar.core.catalog import Catalog
from sidecar.core.definitions import Queue, Stored
from sidecar.core.refusals import StoreUnavailableError
from sidecar.core.registry import Registry

Answer = tuple[int, list[Stored] | None] | Exception


def entries(*queues: str) -> list[Stored]:
    return [Stored("default", Queue(queue), 1, 0) for queue in queues]


class Asked:
    """A store whose answers a test gives when it likes."""

    def __init__(self) -> None:
        self.known: list[int] = []
        self._waiting: list[asyncio.Future[tuple[int, list[Stored] | None]]] = []

    async def definitions(self, known: int) -> tuple[int, list[Stored] | None]:
        self.known.append(known)
        self._waiting.append(asyncio.get_running_loop().create_future())
        return await self._waiting[-1]

    def answer(self, which: int, answer: Answer) -> None:
        if isinstance(answer, Exception):
            self._waiting[which].set_exception(answer)
        else:
            self._waiting[which].set_result(answer)


async def refreshed(registry: Registry, store: Asked, *answers: tuple[int, Answer]) -> None:
    """Have looks begin together and end in the order of these answers."""
    async with asyncio.TaskGroup() as group:
        for _ in answers:
            group.create_task(registry.refresh())
        await asyncio.sleep(0)
        for which, answer in answers:
            store.answer(which - len(answers), answer)
            await asyncio.sleep(0)


def names(catalog: Catalog) -> list[str]:
    return [stored.definition.queue for stored in catalog.entries if isinstance(stored.definition, Queue)]


def test_a_look_that_began_earlier_and_ended_later_brings_nothing_old_back() -> None:
    store = Asked()
    registry, heard = Registry(store), list[list[str]]()
    registry.on_change(lambda catalog: heard.append(names(catalog)))
    newer, older = (1, (2, entries("new"))), (0, (1, entries("old")))
    asyncio.run(refreshed(registry, store, newer, older))
    assert (names(registry.catalog), heard) == (["new"], [["new"]])


def test_only_what_is_not_known_is_read_and_told() -> None:
    store = Asked()
    registry, heard = Registry(store), list[list[str]]()
    registry.on_change(lambda catalog: heard.append(names(catalog)))
    for answer in ((0, entries()), (0, None), (4, entries("q")), (4, None)):
        asyncio.run(refreshed(registry, store, (0, answer)))
    assert store.known == [-1, 0, 0, 4]
    assert heard == [[], ["q"]]


def test_a_store_that_is_away_leaves_the_catalog_as_it_is() -> None:
    store = Asked()
    registry = Registry(store, frozenset({"strict"}))
    assert registry.catalog.strict == {"strict"}
    asyncio.run(refreshed(registry, store, (0, (1, entries("q")))))
    former = registry.catalog
    with pytest.raises(ExceptionGroup) as error:
        asyncio.run(refreshed(registry, store, (0, StoreUnavailableError("away"))))
    assert error.group_contains(StoreUnavailableError)
    assert registry.catalog is former
    assert names(former) == ["q"]
    assert former.strict == {"strict"}
