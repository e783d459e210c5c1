// A small pool of threads that sleep between calls.
#pragma once

#include <stdint.h>

#include "locks.h"

namespace larq_dense {

#if !defined(LARQ_DENSE_THREADS)
// There is one thread: the caller does all tasks.
template <class Condition>
bool spin_until(const Condition& holds) {
  return holds();
}

class ThreadPool {
 public:
  static constexpr int kMaxThreads = 64;
  using Function = void (*)(void* argument, int64_t task, int worker);

  void resize(int) {}
  int threads() const { return 1; }
  bool begin() { return false; }
  void end() {}
  void run(int64_t tasks, Function function, void* argument) {
    for (int64_t task = 0; task < tasks; ++task) function(argument, task, 0);
  }
};
#else
int64_t nanoseconds();  // of a clock that only goes on

// Looks again and again, for some 30 microseconds, whether a condition holds: longer than the gap
// between two operators, too short to matter to others. The clock bounds it, since the length of a
// pause differs severalfold between processors.
template <class Condition>
bool spin_until(const Condition& holds) {
  constexpr int64_t kLongest = 30000;  // nanoseconds
  constexpr int kLooks = 8;            // before the next look at the clock
  const int64_t start = nanoseconds();
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (holds()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      asm volatile("isb" ::: "memory");
#endif
    }
  } while (nanoseconds() - start < kLongest);
  return false;
}

class ThreadPool {
 public:
  static constexpr int kMaxThreads = 64;

  // `task` is the number of the piece of work, `worker` that of the thread that does it, from 0.
  using Function = void (*)(void* argument, int64_t task, int worker);

  ThreadPool() = default;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() { stop(); }

  // Sets the number of threads, the caller's own among them. Where a thread cannot be had, those
  // that were had do the work.
  void resize(int threads);

  int threads() const { return threads_; }

  // Between begin and end, idle workers look for more work for a moment before they sleep. Only
  // one caller at a time is served by the workers; another (the same delegate in two
  // interpreters) does its work alone. Returns whether the caller got them.
  bool begin();
  void end();

  // Runs all tasks and returns when they are done.
  void run(int64_t tasks, Function function, void* argument);

#if defined(__wasm__)
  // JavaScript starts the threads: each calls this, which never returns.
  void lend();
#endif

 private:
#if !defined(__wasm__)
  static void* entry(void* argument);
#endif
  void work(int worker);
  bool takes_part(int worker) const;
  void do_tasks(int worker);
  bool has_work(uint64_t seen) const;
  void start(int threads);
  void stop();
  void forget_parent();

#if defined(__wasm__)
  int lent_ = 0;
#else
  struct Start {
    ThreadPool* pool;
    int worker;
  };

  pthread_t handles_[kMaxThreads];
  Start starts_[kMaxThreads];
#endif
  int threads_ = 1;
  int owner_process_ = 0;  // after fork() the child has no workers

  Mutex mutex_;
  Condition wake_, done_;
  // The job's number in the high bits, whether it still admits workers, and how many it admitted.
  uint64_t state_ = 0;
  int64_t next_task_ = 0;
  uint32_t finished_ = 0;
  int sleepers_ = 0;
  bool caller_waits_ = false;
  bool busy_ = false;
  bool in_call_ = false;
  bool stopping_ = false;

  int64_t tasks_ = 0;
  Function function_ = nullptr;
  void* argument_ = nullptr;
};
#endif

}  // namespace larq_dense
