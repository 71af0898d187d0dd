<?php
// phpredis against a fleet whose master is killed while it writes. Ports of the sentinels as arguments.
//
// Prints `writing PORT` when the first write is acknowledged and `switched PORT N` when N was written
// at another master. phpredis leaves it to its user to ask the sentinels again.
declare(strict_types=1);

const PATIENCE_S = 60;
const GROUP = 'mymaster';

// The first sentinel that answers names the master, as the client's documentation shows it.
function master(array $ports): Redis
{
    $last = null;
    foreach ($ports as $port) {
        try {
            $sentinel = version_compare(phpversion('redis'), '6.0.0', '>=')
                ? new RedisSentinel(['host' => '127.0.0.1', 'port' => $port, 'connectTimeout' => 1, 'readTimeout' => 1])
                : new RedisSentinel('127.0.0.1', $port, 1, null, 0, 1);
            $address = $sentinel->getMasterAddrByName(GROUP);
            if (!is_array($address)) {
                throw new RedisException("sentinel $port names no master");
            }
            $redis = new Redis();
            $redis->connect($address[0], (int) $address[1], 1.0, null, 0, 1.0);
            return $redis;
        } catch (RedisException $error) {
            $last = $error;
        }
    }
    throw $last;
}

function check(bool $true, string $what): void
{
    if (!$true) {
        fwrite(STDERR, "$what\n");
        exit(1);
    }
}

$ports = array_map('intval', array_slice($argv, 1));
$asked = version_compare(phpversion('redis'), '6.0.0', '>=')
    ? new RedisSentinel(['host' => '127.0.0.1', 'port' => $ports[0]])
    : new RedisSentinel('127.0.0.1', $ports[0]);
check($asked->ping() === true, 'the sentinel does not answer PING');
check($asked->ckquorum(GROUP) === true, 'CKQUORUM is not OK');
check(count($asked->slaves(GROUP)) === 2, 'not two replicas: ' . json_encode($asked->slaves(GROUP)));
check(count($asked->sentinels(GROUP)) === 2, 'not two other sentinels: ' . json_encode($asked->sentinels(GROUP)));
check($asked->master(GROUP)['name'] === GROUP, 'SENTINEL MASTER names another group');

$deadline = hrtime(true) + PATIENCE_S * 1000000000;
$first = null;
$redis = null;
$last = 'nothing failed yet';
for ($n = 1; ; $n++) {
    check(hrtime(true) < $deadline, 'not through the failover in ' . PATIENCE_S . " s; last: $last");
    try {
        $redis = $redis ?? master($ports);
        // A transaction: the question goes to the server that took the write.
        $answers = $redis->multi()->set('client:key', (string) $n)->info('server')->exec();
        if (!is_array($answers) || $answers[0] !== true) {
            throw new RedisException('not written: ' . ($redis->getLastError() ?? json_encode($answers)));
        }
        $port = (int) $answers[1]['tcp_port'];
        if ($first === null) {
            $first = $port;
            echo "writing $port\n";
        } elseif ($port !== $first) {
            echo "switched $port $n\n";
            exit(0);
        }
    } catch (RedisException $error) {
        $last = $error->getMessage();
        $redis = null;
    }
    usleep(20000);
}
