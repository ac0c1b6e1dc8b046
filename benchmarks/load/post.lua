-- wrk ... -s post.lua URL -- BODY_FILE : posts the file as JSON; of a .jsonl file its lines, in turn
function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  requests = {}
  if args[1]:match("%.jsonl$") then
    for line in io.lines(args[1]) do
      requests[#requests + 1] = wrk.format(nil, nil, nil, line)
    end
  else
    local file = assert(io.open(args[1], "rb"))
    requests[1] = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
  end
  at = 0
end

function request()
  at = at % #requests + 1
  return requests[at]
end
