// A stand-in for the compiler's own library, which the NDK links into each result.
#pragma GCC visibility push(hidden)

void __emutls_get_address(void) {}  // thread_local, which loaders before API 29 do not know

#pragma GCC visibility pop
