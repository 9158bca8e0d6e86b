-- What scripts get in place of the parts of the standard library that files, the clock, addresses or the order of a
-- hash table would decide. Gets the functions of the host; everything here is local or a global on purpose.
local host = ...
local raw_next, raw_type, raw_tostring, raw_set = next, type, tostring, rawset
local raw_format, raw_setmetatable, raw_getmetatable = string.format, setmetatable, getmetatable
local floor, insert = math.floor, table.insert
local rank = { boolean = 1, number = 2, string = 3 }

local function before(a, b)
  local ta, tb = raw_type(a), raw_type(b)
  if ta ~= tb then return rank[ta] < rank[tb] end
  if ta == "boolean" then return not a and b end
  return a < b
end

-- Stable, and without the pivot that the original takes from the clock.
local function sort(list, less)
  local n = #list
  if less == nil then less = function(a, b) return a < b end end
  local from, to, width = {}, {}, 1
  for i = 1, n do from[i] = list[i] end
  while width < n do
    local at = 1
    while at <= n do
      local left, middle = at, at + width
      local right, last = middle, at + 2 * width
      if middle > n + 1 then middle, right = n + 1, n + 1 end
      if last > n + 1 then last = n + 1 end
      for k = at, last - 1 do
        if left < middle and (right >= last or not less(from[right], from[left])) then
          to[k] = from[left]
          left = left + 1
        else
          to[k] = from[right]
          right = right + 1
        end
      end
      at = at + 2 * width
    end
    from, to = to, from
    width = width * 2
  end
  for i = 1, n do list[i] = from[i] end
end
table.sort = sort

local function keys_of(t)
  local keys, n, sorted = {}, 0, true
  for k in raw_next, t do
    if not rank[raw_type(k)] then
      error("a table with a " .. raw_type(k) .. " as key has no order that every replica shares; use a text or a number", 3)
    end
    n = n + 1
    keys[n] = k
    if n > 1 and sorted and not before(keys[n - 1], k) then sorted = false end
  end
  if not sorted then sort(keys, before) end
  return keys, n
end

function next(t, k)
  local best, value
  for key, v in raw_next, t do
    if not rank[raw_type(key)] then keys_of(t) end
    if (k == nil or before(k, key)) and (best == nil or before(key, best)) then best, value = key, v end
  end
  return best, value
end

function pairs(t)
  local meta = raw_getmetatable(t)
  if raw_type(meta) == "table" and meta.__pairs then return meta.__pairs(t) end
  local keys, n = keys_of(t)
  local i = 0
  return function()
    while i < n do
      i = i + 1
      local v = t[keys[i]]
      if v ~= nil then return keys[i], v end
    end
  end, t, nil
end

function tostring(v)
  local t = raw_type(v)
  if t == "table" or t == "function" or t == "thread" or t == "userdata" then
    local meta = raw_getmetatable(v)
    if raw_type(meta) == "table" and meta.__tostring then return meta.__tostring(v) end
    return t
  end
  return raw_tostring(v)
end
local tostring = tostring

function string.format(form, ...)
  if form:gsub("%%%%", ""):find("%%[%-0-9]*p") then error("string.format: %p prints an address", 2) end
  local args = table.pack(...)
  for i = 1, args.n do
    local t = raw_type(args[i])
    if t == "table" or t == "function" or t == "thread" then args[i] = tostring(args[i]) end
  end
  return raw_format(form, table.unpack(args, 1, args.n))
end

function setmetatable(t, meta)
  if raw_type(meta) == "table" and (rawget(meta, "__gc") or rawget(meta, "__mode")) then
    error("setmetatable: when rubbish is collected differs between replicas; __gc and __mode are not there", 2)
  end
  return raw_setmetatable(t, meta)
end
raw_getmetatable("").__metatable = false

function print(...)
  local args = table.pack(...)
  for i = 1, args.n do args[i] = tostring(args[i]) end
  host.log(table.concat(args, "\t", 1, args.n))
end

local function real() return ((host.draw() >> 11) * (2.0 ^ -53)) end
function math.random(m, n)
  if m == nil then return real() end
  if n == nil then m, n = 1, m end
  m, n = math.tointeger(m) or error("math.random: not a whole number", 2), math.tointeger(n) or error("math.random: not a whole number", 2)
  if m == 1 and n == 0 then return host.draw() end
  if m > n then error("math.random: the interval is empty", 2) end
  local span = n - m
  if span < 0 or span >= 2 ^ 53 then return m + ((host.draw() >> 1) % (span + 1)) end
  return m + floor(real() * (span + 1))
end
function math.randomseed(seed) if seed ~= nil then host.seed(floor(seed)) end end

os = {}
function os.time(t)
  if t == nil then return host.micros() // 1000000 end
  return host.time(t.year, t.month, t.day, t.hour or 12, t.min or 0, t.sec or 0)
end
function os.clock() return host.micros() / 1000000 end
function os.difftime(a, b) return a - (b or 0) + 0.0 end
function os.getenv() return nil end
function os.date(form, time)
  form = form or "%c"
  time = floor(time or os.time())
  if form:sub(1, 1) == "!" then form = form:sub(2) end
  if form:sub(1, 2) ~= "*t" then return host.date(form, time) end
  local year, month, day, hour, min, sec, wday, yday = host.parts(time)
  return { year = year, month = month, day = day, hour = hour, min = min, sec = sec, wday = wday, yday = yday, isdst = false }
end

-- Only what every replica sees alike: the line that runs.
debug = {}
function debug.getinfo(level)
  local line = raw_type(level) == "number" and host.line(level + 1) or -1
  return { currentline = line, short_src = "code", source = "=code", what = "Lua" }
end

function esp_logMessage(...) print(...) end
function esp_toString(v) if raw_type(v) == "table" then return host.write(v) end return tostring(v) end
function esp_parseJson(text) return host.json(text) end
function esp_parseDate(text, form) return host.parse_date(text, form) end
function esp_getGuids(n) return host.guids(n) end
function esp_getSystemMicro() return host.micros() end
function esp_sleep() end

local properties, current = {}, {}
function esp_getProperty(name)
  local own = properties[name]
  if own ~= nil then return own end
  return host.property(name)
end
function esp_setProperty(name, value) properties[name] = value ~= nil and tostring(value) or nil end
function esp_parseJsonFrom(field)
  local text = current[1] and current[1][field]
  if text == nil then return nil end
  return host.json(text)
end

local loaders, loaded = {}, {}
function require(name)
  if loaded[name] == nil then
    local loader = loaders[name] or error("there is no module `" .. tostring(name) .. "` in the project", 2)
    loaded[name] = true
    local made = loader(name)
    if made ~= nil then loaded[name] = made end
  end
  return loaded[name]
end

collectgarbage = nil
load, loadfile, dofile, loadstring, warn = nil, nil, nil, nil, nil
string.dump = nil
return { properties = properties, current = current, loaders = loaders, loaded = loaded }
