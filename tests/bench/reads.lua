-- Asks the requests of a file in turn, over and over: `wrk -s reads.lua URL -- FILE [NAME VALUE]…`.
--
-- A line is a method, a path and a body, with tabs between them. NAME and VALUE are headers.

function init(args)
  local headers = {}
  for at = 2, #args, 2 do
    headers[args[at]] = args[at + 1]
  end
  requests, asked = {}, 0
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+)\t(%S+)\t(.*)$")
    table.insert(requests, wrk.format(method, path, headers, body ~= "" and body or nil))
  end
end

function request()
  asked = asked + 1
  return requests[asked % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"refused":%d,"lost":%d,"bytes":%d,"microseconds":%d,"p99_ms":%.3f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.bytes, summary.duration, latency:percentile(99) / 1000))
end
