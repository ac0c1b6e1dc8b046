-- wrk ... -s post.lua URL -- BODY_FILE : posts the file as JSON
function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = file:read("*a")
  file:close()
  request_bytes = wrk.format()
end

function request()
  return request_bytes
end
