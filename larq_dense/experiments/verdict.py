"""What a check on the method's mechanism may say."""

from typing import Literal

Verdict = Literal["supported", "refuted", "unclear"]
