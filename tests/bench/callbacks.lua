-- Callbacks as Routee posts them, about 700 bytes each, for wrk:
-- `wrk -s callbacks.lua URL -- MARK TEXTS [CAMPAIGNS]`.
--
-- Three statuses a message, messages interleaved, several campaigns. Of every 20 messages one is
-- reported out of order; every 20th request repeats an earlier one. All of a request follows from its number,
-- so nothing is kept and nothing is random. MARK begins every id, as a UUID's first two parts do: each
-- run has its own. TEXTS says which messages have a personal text, of the same length as the common one:
-- none of them (`same`), all (`personal`), or those of every other campaign (`half`). With
-- CAMPAIGNS the ids of campaigns begin with that instead, so that several runs are about the same ones.

local statuses = { "SENT", "DELIVERED", "SEEN" }
local seconds = { "02", "04", "06" }
local in_order, out_of_order = { 1, 2, 3 }, { 3, 1, 2 }
local campaigns, apart, back = 8, 64, 97

local template = table.concat({
  '{"trackingId":"%s-4ca%d-b817-%012d","campaignTrackingId":"%s-campaign-%d",',
  '"to":"+3069%08d","from":"Routeetest","groups":[],"country":"GR","status":{"name":"%s","reason":',
  '{"detailedStatus":"%s","description":"The message was delivered to its recipient."},',
  '"updatedDate":"2026-07-05T10:28:%s.996Z"},"body":{"text":"%s",',
  '"imageURL":null,"viberAction":{"caption":"Go","targetUrl":"https://www.routee.net/"}},"ttl":300,',
  '"label":"labelName","inboundUrl":"https://your-server.com/inbound","applicationName":"default",',
  '"price":0.035,"direction":"Outbound","originatingService":"Viber",',
  '"createdAt":"2026-07-05T10:28:00.566Z"}',
})

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  mark, sent, distinct = args[1], 0, 0
  texts = args[2]
  ids_of_campaigns = args[3] or mark
  tried = number > 0 -- wrk asks the first thread for one request that it does not send
  headers = { ["Content-Type"] = "application/json" }
end

-- The message and the status of callback number `at`, of those that are no repetition.
local function story(at)
  local step, message = at % 3, math.floor(at / 3)
  message = message - step * apart
  if message < 0 then
    message = at + 100000000 / 2 -- no other message has these numbers
  end
  local order = message % 20 == 7 and out_of_order or in_order
  return message, order[step + 1]
end

local function text_of(message)
  local is_personal = texts == "personal" or texts == "half" and message % campaigns % 2 == 1
  return is_personal and string.format("This is a test for %010d!", message) or "This is a test, please ignore!"
end

function request()
  local at
  if sent % 20 == 19 and distinct > back then
    at = distinct - back
  else
    at = distinct
    distinct = tried and distinct + 1 or distinct
  end
  if tried then
    sent = sent + 1
  end
  tried = true
  local message, status = story(at)
  local body = string.format(
    template, mark, number, message, ids_of_campaigns, message % campaigns, message,
    statuses[status], statuses[status], seconds[status], text_of(message))
  return wrk.format("POST", nil, headers, body)
end

function done(summary, latency)
  local total, different = 0, 0
  for _, thread in ipairs(threads) do
    total = total + thread:get("sent")
    different = different + thread:get("distinct")
  end
  local errors = summary.errors
  local function ms(share)
    return latency:percentile(share) / 1000
  end
  io.write(string.format(
    '\n{"answered":%d,"refused":%d,"lost":%d,"sent":%d,"distinct":%d,"microseconds":%d,'
      .. '"p50_ms":%.3f,"p99_ms":%.3f,"p999_ms":%.3f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    total, different, summary.duration, ms(50), ms(99), ms(99.9)))
end
