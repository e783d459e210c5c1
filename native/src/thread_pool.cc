#include "thread_pool.h"

#if defined(LARQ_DENSE_THREADS)
#include <time.h>
#if !defined(__wasm__)
#include <signal.h>
#include <unistd.h>
#endif

#include "float_mode.h"

namespace larq_dense {
namespace {

constexpr uint64_t kOpen = uint64_t{1} << 16;
constexpr uint64_t kAdmitted = kOpen - 1;
constexpr int kJobShift = 17;

template <class T>
T load(const T& value) {
  return __atomic_load_n(&value, __ATOMIC_SEQ_CST);
}
template <class T>
void store(T& value, T wanted) {
  __atomic_store_n(&value, wanted, __ATOMIC_SEQ_CST);
}

#if defined(__wasm__)
int process() { return 0; }
#else
int process() { return getpid(); }

// While one of these lives, new threads are born deaf to signals, which belong to the program's own
// threads (Python's interrupt, for one). Windows has none.
class BlockSignals {
#if !defined(_WIN32)
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
#endif
};
#endif

}  // namespace

int64_t nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

void ThreadPool::resize(int threads) {
  if (threads < 1) threads = 1;
  if (threads > kMaxThreads) threads = kMaxThreads;
  // Two interpreters may share a delegate: the threads change only while nobody uses them.
  if (__atomic_exchange_n(&busy_, true, __ATOMIC_SEQ_CST)) return;
  if (threads != threads_ || (threads > 1 && owner_process_ != process())) start(threads);
  store(busy_, false);
}

#if defined(__wasm__)
void ThreadPool::start(int threads) {
  const int there = 1 + load(lent_);
  store(threads_, threads < there ? threads : there);
}

void ThreadPool::stop() {}

void ThreadPool::lend() { work(1 + __atomic_fetch_add(&lent_, 1, __ATOMIC_SEQ_CST)); }

// One that came after the last resize waits for the next.
bool ThreadPool::takes_part(int worker) const { return worker < load(threads_); }
#else
void ThreadPool::start(int threads) {
  stop();
  if (owner_process_ != process()) forget_parent();
  store(stopping_, false);
  owner_process_ = process();
  [[maybe_unused]] const BlockSignals blocked;
  threads_ = 1;
  while (threads_ < threads) {
    starts_[threads_] = {this, threads_};
    if (pthread_create(&handles_[threads_], nullptr, entry, &starts_[threads_]) != 0) break;
    ++threads_;
  }
}

void ThreadPool::stop() {
  if (threads_ > 1 && owner_process_ == process()) {
    mutex_.lock();
    store(stopping_, true);
    wake_.wake_all();
    mutex_.unlock();
    for (int i = 1; i < threads_; ++i) pthread_join(handles_[i], nullptr);
  }
  threads_ = 1;
}

// What a fork copies may be locked, or wait for threads that only the parent has.
void ThreadPool::forget_parent() {
  mutex_.reset();
  wake_.reset();
  done_.reset();
  store(sleepers_, 0);
  store(caller_waits_, false);
}

void* ThreadPool::entry(void* argument) {
  const Start* start = static_cast<Start*>(argument);
  const DefaultFloatMode mode;
  start->pool->work(start->worker);
  return nullptr;
}

bool ThreadPool::takes_part(int) const { return true; }
#endif

bool ThreadPool::has_work(uint64_t seen) const {
  const uint64_t state = load(state_);
  return (state & kOpen) != 0 && (state >> kJobShift) != seen;
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  const auto is_wanted = [&] { return takes_part(worker) && has_work(seen); };
  for (;;) {
    spin_until([&] { return is_wanted() || !load(in_call_); });
    if (!is_wanted()) {
      mutex_.lock();
      store(sleepers_, sleepers_ + 1);
      while (!is_wanted() && !load(stopping_)) wake_.wait(&mutex_);
      store(sleepers_, sleepers_ - 1);
      mutex_.unlock();
      if (load(stopping_)) return;
    }
    uint64_t state = load(state_);
    // A worker that comes late finds the job closed and touches nothing of it.
    while (takes_part(worker) && (state & kOpen) != 0 && (state >> kJobShift) != seen) {
      if (__atomic_compare_exchange_n(&state_, &state, state + 1, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST)) {
        seen = state >> kJobShift;
        do_tasks(worker);
        __atomic_fetch_add(&finished_, 1, __ATOMIC_SEQ_CST);
        if (load(caller_waits_)) {
          mutex_.lock();
          done_.wake_one();
          mutex_.unlock();
        }
        break;
      }
    }
  }
}

void ThreadPool::do_tasks(int worker) {
  for (;;) {
    const int64_t task = __atomic_fetch_add(&next_task_, 1, __ATOMIC_RELAXED);
    if (task >= tasks_) return;
    function_(argument_, task, worker);
  }
}

bool ThreadPool::begin() {
  if (__atomic_exchange_n(&busy_, true, __ATOMIC_SEQ_CST)) return false;
  if (threads_ == 1 || owner_process_ != process()) {
    store(busy_, false);
    return false;
  }
  store(in_call_, true);
  return true;
}

void ThreadPool::end() {
  store(in_call_, false);
  store(busy_, false);
}

void ThreadPool::run(int64_t tasks, Function function, void* argument) {
  tasks_ = tasks;
  function_ = function;
  argument_ = argument;
  store(next_task_, int64_t{0});
  store(finished_, 0u);
  const uint64_t job = (load(state_) >> kJobShift) + 1;
  store(state_, (job << kJobShift) | kOpen);
  if (load(sleepers_) > 0) {
    mutex_.lock();
    wake_.wake_all();
    mutex_.unlock();
  }
  do_tasks(0);
  const uint64_t closed = __atomic_fetch_and(&state_, ~kOpen, __ATOMIC_SEQ_CST);
  const uint32_t admitted = static_cast<uint32_t>(closed & kAdmitted);
  if (spin_until([&] { return load(finished_) == admitted; })) return;
  mutex_.lock();
  store(caller_waits_, true);
  while (load(finished_) != admitted) done_.wait(&mutex_);
  store(caller_waits_, false);
  mutex_.unlock();
}

}  // namespace larq_dense
#endif
