"""Why a request is not answered with a result."""

from larq_dense.common.errors import LarqDenseError


class Refusal(LarqDenseError):
    """A request that gets a sentence instead of a result.

    Attributes:
        status: The status code of HTTP.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
