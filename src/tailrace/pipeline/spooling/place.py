"""Where a batch lies in the spool."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tailrace.pipeline.spooling.segment import Header


class Segment:
    """A file with batches that are not all settled. `n_live` says how many; `fd` is open while it is appended to."""

    __slots__ = ("fd", "header", "n_live", "name", "size")

    def __init__(self, name: str, header: Header, size: int) -> None:
        self.name = name
        self.header = header
        self.size = size
        self.n_live = 0
        self.fd: int | None = None


class Place:
    """Where a batch lies. `where` says where the frame of each of its records begins, `n_live` how many of them have no
    outcome yet; `begins` is false where the frame that stands for all of them is gone."""

    __slots__ = ("begins", "end", "n_live", "offset", "segment", "where")

    def __init__(
        self, segment: Segment, offset: int, end: int, where: dict[int, int], n_live: int, begins: bool = True
    ) -> None:
        self.begins = begins
        self.segment = segment
        self.offset = offset
        self.end = end
        self.where = where
        self.n_live = n_live

    @property
    def environment(self) -> str:
        """Who sealed the batch: part of its identity at destinations that know one."""
        return self.segment.header.environment
