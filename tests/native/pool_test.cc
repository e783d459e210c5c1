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

void rest(int milliseconds) {
  const timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  nanosleep(&time, nullptr);
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

// Returns whether the workers were to be had.
bool run_once(ThreadPool* pool, int64_t tasks) {
  Job job = {std::vector<int>(static_cast<size_t>(tasks)),
             std::vector<int>(static_cast<size_t>(tasks))};
  if (!pool->begin()) return false;
  pool->run(tasks, count, &job);
  for (int64_t i = 0; i < tasks; ++i) {
    check(job.counts[static_cast<size_t>(i)] == 1, "a task ran other than once");
    check(job.workers[static_cast<size_t>(i)] < pool->threads(), "a worker's number");
  }
  pool->end();
  return true;
}

struct Waiting {
  int workers_seen[8];
};

// Waits for another worker to come; for minutes, for a busy machine may let one wait long.
void wait_for_company(void* argument, int64_t, int worker) {
  Waiting* waiting = static_cast<Waiting*>(argument);
  __atomic_store_n(&waiting->workers_seen[worker], 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < 200000; ++i) {
    int seen = 0;
    for (int& each : waiting->workers_seen) seen += __atomic_load_n(&each, __ATOMIC_SEQ_CST);
    if (seen > 1) return;
    rest(1);
  }
}

bool work_is_shared(ThreadPool* pool) {
  Waiting waiting = {};
  if (!pool->begin()) return false;
  pool->run(2, wait_for_company, &waiting);
  pool->end();
  int seen = 0;
  for (int each : waiting.workers_seen) seen += each;
  return seen == 2;
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
    for (int i = 0; i < 300; ++i) {
      check(run_once(&pool, i % 17) == (threads > 1), "a lone caller gets the workers");
    }
    check(threads == 1 || work_is_shared(&pool), "a worker other than the caller does a task");
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
  rest(200);
  const double before = seconds(CLOCK_PROCESS_CPUTIME_ID);
  rest(200);
  check(seconds(CLOCK_PROCESS_CPUTIME_ID) - before < 0.02, "the pool is busy between calls");

#if !defined(__SANITIZE_THREAD__)
  // After a fork the child has no workers and must not wait for them, nor its own workers for
  // what the parent's waited for.
  const pid_t child = fork();
  if (child == 0) {
    const bool shared = pool.begin();
    pool.resize(2);
    alarm(600);  // a child that waits for ever ends after all
    for (int i = 0; i < 20; ++i) {
      check(run_once(&pool, 5), "the child gets its workers");
      rest(2);
    }
    check(work_is_shared(&pool), "the child's worker does a task");
    _exit(shared || failures != 0 ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the pool after a fork");
#endif
  printf("pool: done\n");
  return failures == 0 ? 0 : 1;
}
