"""How much of a corpus may be unreadable before reading stops."""

from selfsup.corpus.document import Document, Record
from selfsup.errors import UserError

DEFAULT_MAX_BAD_FRACTION = 0.01

# The bad fraction is judged from here on, and at the end: a file may begin badly.
_JUDGED_FROM = 1000


def check_max_bad_fraction(fraction: float) -> None:
    """Raise a ``UserError`` unless it is a fraction."""
    if not 0 <= fraction <= 1:
        raise UserError(f"--max-bad-fraction {fraction}: must be between 0 and 1")


class BadRecordTally:
    """Counts records and stops where too many are bad.

    The fraction is judged at the end, and after each bad record once there were 1,000 records.
    """

    def __init__(
        self,
        max_fraction: float,
        *,
        records: int = 0,
        bad: int = 0,
        first_bad: str = "",
        what: str = "records",
    ) -> None:
        """Args:
        max_fraction: the part of them that may be bad.
        records: how many were counted before.
        bad: how many of those were bad.
        first_bad: the first of the bad ones, in words.
        what: the word for them.
        """
        check_max_bad_fraction(max_fraction)
        self._max_fraction = max_fraction
        self.records = records
        self.bad = bad
        self.first_bad = first_bad
        self._what = what

    def count(self, record: Record) -> None:
        """Count one record.

        Raises:
            UserError: too many were bad; it names the first.
        """
        if isinstance(record, Document):
            self.count_good(record.records)
            return
        self.records += 1
        self.bad += 1
        self.first_bad = self.first_bad or str(record)
        if self.records >= _JUDGED_FROM:
            self.judge_all()

    def count_good(self, records: int) -> None:
        """Count records that could be read."""
        self.records += records

    def judge_all(self) -> None:
        """Judge what was counted so far.

        Raises:
            UserError: too many were bad; it names the first.
        """
        if self.bad > self._max_fraction * self.records:
            raise UserError(
                f"{self.first_bad} — and with it {self.bad} of {self.records} {self._what} cannot "
                f"be read: mend them or raise --max-bad-fraction ({self._max_fraction})"
            )
