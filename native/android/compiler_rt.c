// A stand-in for the compiler's own library, which the NDK links into each result.
#pragma GCC visibility push(hidden)

void __emutls_get_address(void) {}  // thread_local, which loaders before API 29 do not know
#if defined(__x86_64__)
void __cpu_indicator_init(void) {}
unsigned __cpu_model[4];
unsigned __cpu_features2;
#endif

#pragma GCC visibility pop
