// A stand-in for Android's C library to link against: names without code. Each comes with the API
// level that 64-bit Android has it since, as AOSP's bionic/libc/libc.map.txt says (what it marks
// with no level or an older one has been there since 21, the first level with 64 bits).
#define SINCE(level, name) \
  void name(void) {        \
    _Static_assert((level) <= __ANDROID_API__, #name " is too new"); \
  }

SINCE(21, clock_gettime)
SINCE(21, free)
SINCE(21, getauxval)
SINCE(21, getenv)
SINCE(21, getpid)
SINCE(21, malloc)
SINCE(21, memcmp)
SINCE(21, memcpy)
SINCE(21, memmove)
SINCE(21, memset)
SINCE(21, posix_memalign)
SINCE(21, pthread_cond_broadcast)
SINCE(21, pthread_cond_init)
SINCE(21, pthread_cond_signal)
SINCE(21, pthread_cond_wait)
SINCE(21, pthread_create)
SINCE(21, pthread_join)
SINCE(21, pthread_mutex_init)
SINCE(21, pthread_mutex_lock)
SINCE(21, pthread_mutex_unlock)
SINCE(21, pthread_sigmask)
SINCE(21, realloc)
SINCE(21, sched_yield)
SINCE(21, sigfillset)
SINCE(21, snprintf)
SINCE(21, strcmp)
SINCE(21, strlen)
SINCE(21, strstr)
SINCE(21, strtol)
