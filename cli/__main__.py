"""`python -m larq_dense.cli`."""

from larq_dense.cli import main

main(prog_name="larq-dense")
