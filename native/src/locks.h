// What the thread pool sleeps by: POSIX's mutexes and conditions, or the same by WebAssembly's waits
// where memory is shared. Elsewhere there is one thread, and LARQ_DENSE_THREADS is not defined.
#pragma once

#include <stdint.h>

#if defined(_WIN32) || defined(__unix__) || defined(__APPLE__)
#define LARQ_DENSE_THREADS
#include <pthread.h>
#include <sched.h>

namespace larq_dense {

inline void yield_processor() { sched_yield(); }

class Mutex {
 public:
  void reset() { pthread_mutex_init(&mutex_, nullptr); }
  void lock() { pthread_mutex_lock(&mutex_); }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  friend class Condition;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

class Condition {
 public:
  void reset() { pthread_cond_init(&condition_, nullptr); }
  void wait(Mutex* mutex) { pthread_cond_wait(&condition_, &mutex->mutex_); }
  void wake_one() { pthread_cond_signal(&condition_); }
  void wake_all() { pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace larq_dense

#else

namespace larq_dense {

inline void yield_processor() {}  // WebAssembly has no such thing

}  // namespace larq_dense

#if defined(__wasm_atomics__)
#define LARQ_DENSE_THREADS

namespace larq_dense {

constexpr int64_t kForever = -1;

class Mutex {
 public:
  void reset() { state_ = kFree; }
  void lock() {
    int free = kFree;
    if (__atomic_compare_exchange_n(&state_, &free, kLocked, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
      return;
    }
    while (__atomic_exchange_n(&state_, kAwaited, __ATOMIC_SEQ_CST) != kFree) {
      __builtin_wasm_memory_atomic_wait32(&state_, kAwaited, kForever);
    }
  }
  void unlock() {
    if (__atomic_exchange_n(&state_, kFree, __ATOMIC_SEQ_CST) == kAwaited) {
      __builtin_wasm_memory_atomic_notify(&state_, 1);
    }
  }

 private:
  static constexpr int kFree = 0, kLocked = 1, kAwaited = 2;
  int state_ = kFree;
};

class Condition {
 public:
  void reset() { calls_ = 0; }
  void wait(Mutex* mutex) {
    const int seen = __atomic_load_n(&calls_, __ATOMIC_SEQ_CST);
    mutex->unlock();
    __builtin_wasm_memory_atomic_wait32(&calls_, seen, kForever);
    mutex->lock();
  }
  void wake_one() { wake(1); }
  void wake_all() { wake(~0u); }

 private:
  void wake(unsigned most) {
    __atomic_fetch_add(&calls_, 1, __ATOMIC_SEQ_CST);
    __builtin_wasm_memory_atomic_notify(&calls_, most);
  }
  int calls_ = 0;
};

}  // namespace larq_dense
#endif
#endif
