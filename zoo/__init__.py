"""The zoo: published entries, each a folder with recipe, card, metrics and weights.

Listing and describing entries needs no TensorFlow; it is imported when one is loaded.
"""

from larq_dense.zoo.description import info
from larq_dense.zoo.entries import Entry, find, find_trained
from larq_dense.zoo.entries import names as list_entries
from larq_dense.zoo.loading import load

__all__ = ["Entry", "find", "find_trained", "info", "list_entries", "load"]
