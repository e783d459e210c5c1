"""The XNOR runtime in C++, and how it is built."""
