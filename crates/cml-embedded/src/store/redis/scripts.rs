//! What Redis does in one step.

/// Key: the tenant's generation. Arguments: a generation if it has none, its life in milliseconds, the
/// beginning of the keys of values, their ends. Answer: the generation, the values.
pub(super) const GET: &str = "
local generation = redis.call('GET', KEYS[1])
if generation then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  generation = ARGV[1]
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[2])
end
local keys = {}
for i = 4, #ARGV do keys[i - 3] = ARGV[3] .. generation .. ':' .. ARGV[i] end
return {generation, redis.call('MGET', unpack(keys))}";

/// Key: the tenant's generation. Arguments: the generation that must be the present one, the life of the
/// values in milliseconds, the beginning of their keys, then an end of a key and its value in turn.
pub(super) const PUT: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 4, #ARGV, 2 do
  redis.call('SET', ARGV[3] .. ARGV[1] .. ':' .. ARGV[i], ARGV[i + 1], 'PX', ARGV[2])
end
return 1";

/// Key: a counter. Argument: its window in milliseconds. Answer: its value, milliseconds left.
pub(super) const COUNT: &str = "
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return {count, left}";

/// Key: the tenant's marks. Arguments: their life in milliseconds, the marks.
pub(super) const MARK: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1";

/// Key: the tenant's marks. Answer: those that did not end.
pub(super) const MARKS: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')";
