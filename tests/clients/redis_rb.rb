# Ruby's redis against a fleet whose master is killed while it writes. Ports of the sentinels as arguments.
#
# Prints `writing PORT` when the first write is acknowledged and `switched PORT N` when N was written
# at another master. The write loop has no end of its own but the deadline, which fails it.

require "redis"

PATIENCE_S = 60
$stdout.sync = true

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

SENTINELS = ARGV.map { |port| { host: "127.0.0.1", port: Integer(port) } }

def client(role)
  Redis.new(url: "redis://mymaster", sentinels: SENTINELS, role: role, timeout: 1, reconnect_attempts: 1)
end

master = client(:master)
replica = client(:slave)
deadline = now + PATIENCE_S
first = nil
last = "nothing failed yet"
(1..).each do |n|
  abort "not through the failover in #{PATIENCE_S} s; last: #{last}" if now > deadline
  begin
    # A transaction: the question goes to the server that took the write.
    written, info = master.multi do |transaction|
      transaction.set("client:key", n.to_s)
      transaction.info("server")
    end
    raise Redis::CommandError, "SET answered #{written}" unless written == "OK"
    port = Integer(info["tcp_port"])
    if first.nil?
      first = port
      puts "writing #{port}"
    elsif port != first
      until replica.get("client:key") == n.to_s
        abort "no replica has the write in #{PATIENCE_S} s" if now > deadline
        sleep 0.02
      end
      puts "switched #{port} #{n}"
      exit
    end
  rescue Redis::BaseError => error
    last = "#{error.class}: #{error.message}"
  end
  sleep 0.02
end
