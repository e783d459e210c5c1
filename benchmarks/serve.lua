-- wrk's side of benchmarks/serve.py: posts the picture that $PICTURE names and counts the answers.
wrk.method = "POST"
wrk.body = io.open(os.getenv("PICTURE"), "rb"):read("*a")

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  done_200, busy_503, others = 0, 0, 0
end

function response(status)
  if status == 200 then
    done_200 = done_200 + 1
  elseif status == 503 then
    busy_503 = busy_503 + 1
  else
    others = others + 1
  end
end

function done(summary, latency)
  local sums = { done_200 = 0, busy_503 = 0, others = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(sums) do
      sums[name] = sums[name] + thread:get(name)
    end
  end
  local errors = summary.errors
  print(string.format(
    '{"seconds": %f, "done_200": %d, "busy_503": %d, "others": %d, "broken": %d, ' ..
    '"p50_ms": %f, "p99_ms": %f}',
    summary.duration / 1e6, sums.done_200, sums.busy_503, sums.others,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
