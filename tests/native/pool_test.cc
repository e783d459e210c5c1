// The thread pool: every task runs once, pools rest between calls, resizing and forking are safe.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include "../../native/src/thread_pool.h"

using larq_dense::ThreadPool;

namespace {

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  printf("FAILED %s\n", what);
}

struct Job {
  std::vector<int> counts;
  std::vector<int> workers;
};

void count(void* argument, int64_t task, int worker) {
  Job* job = static_cast<Job*>(argument);
  ++job->counts[static_cast<size_t>(task)];
  job->workers[static_cast<size_t>(task)] = worker;
}

void run_once(ThreadPool* pool, int64_t tasks) {
  Job job = {std::vector<int>(static_cast<size_t>(tasks)),
             std::vector<int>(static_cast<size_t>(tasks))};
  if (!pool->begin()) return;
  pool->run(tasks, count, &job);
  for (int64_t i = 0; i < tasks; ++i) {
    check(job.counts[static_cast<size_t>(i)] == 1, "a task ran other than once");
    check(job.workers[static_cast<size_t>(i)] < pool->threads(), "a worker's number");
  }
  pool->end();
}

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

int main() {
  ThreadPool pool;
  check(!pool.begin(), "a pool of one thread has nobody to share with");
  for (int threads : {2, 4, 3, 1, 2}) {
    pool.resize(threads);
    check(pool.threads() == threads, "the number of threads");
    for (int i = 0; i < 300; ++i) run_once(&pool, i % 17);
  }

  // Two callers: one is served, the other is told to work alone.
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 300; ++k) run_once(&pool, 9);
    });
  }
  for (std::thread& caller : callers) caller.join();

  // Between calls the workers sleep.
  timespec rest = {0, 200000000};
  nanosleep(&rest, nullptr);
  const double before = seconds(CLOCK_PROCESS_CPUTIME_ID);
  nanosleep(&rest, nullptr);
  check(seconds(CLOCK_PROCESS_CPUTIME_ID) - before < 0.02, "the pool is busy between calls");

#if !defined(__SANITIZE_THREAD__)
  // After a fork the child has no workers and must not wait for them.
  const pid_t child = fork();
  if (child == 0) {
    const bool shared = pool.begin();
    pool.resize(2);
    run_once(&pool, 5);
    _exit(shared || failures != 0 ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the pool after a fork");
#endif
  printf("pool: done\n");
  return failures == 0 ? 0 : 1;
}
