//! Protected mode, met from an address that is not loopback. A network of its own (`unshare --net`)
//! has one such address on its own loopback device, so nothing leaves the test.

use std::process::{Command, Stdio};

/// Starts the server, waits for it, says what a stranger and a local client hear, and its log.
const SCRIPT: &str = r#"
set -u
vedette=$1 dir=$2; shift 2
ip link set lo up && ip address add 10.1.2.3/32 dev lo || exit 3
"$vedette" server --port 6379 --bind 127.0.0.1 10.1.2.3 --dir "$dir" --save "" "$@" >"$dir/log" 2>&1 &
server=$!
trap 'kill -9 $server' EXIT
hear() { exec 3<>/dev/tcp/$1/6379 && printf "$2" >&3 && timeout 5 cat <&3; exec 3>&-; }
for try in $(seq 400); do
    [ -n "$(hear 127.0.0.1 'QUIT\r\n' 2>/dev/null)" ] && break
    sleep 0.05
done
echo "local: $(hear 127.0.0.1 'PING\r\nQUIT\r\n')"
# A stranger that is refused is told so unasked.
echo "stranger: $(hear 10.1.2.3 "$STRANGER")"
kill -TERM $server; wait $server
cat "$dir/log"
"#;

fn heard(stranger: &str, directives: &[&str]) -> String {
    let may = Command::new("unshare").args(["--map-root-user", "--net", "ip", "link"]).output();
    assert!(
        may.is_ok_and(|output| output.status.success()),
        "this test makes a network of its own: unshare (util-linux) and ip (iproute2) must be installed, and \
         'unshare --map-root-user --net ip link' permitted"
    );
    let dir = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "bash", "-c", SCRIPT, "script", env!("CARGO_BIN_EXE_vedette")])
        .arg(dir.path())
        .args(directives)
        .env("STRANGER", stranger)
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("local: "), "{output:?}");
    text
}

fn section<'a>(text: &'a str, who: &str) -> &'a str {
    text.split_once(who).map_or("", |(_, rest)| rest)
}

#[test]
fn without_a_password_a_stranger_is_refused_and_the_log_says_how_to_change_that() {
    let text = heard("", &[]);
    assert!(section(&text, "local: ").starts_with("+PONG"), "{text}");
    assert!(section(&text, "stranger: ").starts_with("-DENIED"), "{text}");
    assert!(text.contains("refused 10.1.2.3") && text.contains("requirepass"), "{text}");
}

#[test]
fn a_stranger_is_served_with_a_password_or_when_protected_mode_is_off() {
    let text = heard("PING\\r\\nQUIT\\r\\n", &["--protected-mode", "no"]);
    assert!(section(&text, "stranger: ").starts_with("+PONG"), "{text}");
    // Whoever may come in is still no sentinel.
    let text = heard("VEDETTE FENCE g 1\\r\\nQUIT\\r\\n", &["--protected-mode", "no"]);
    assert!(section(&text, "stranger: ").starts_with("-NOPERM"), "{text}");
    let auth = "PING\\r\\nAUTH secret\\r\\nPING\\r\\nQUIT\\r\\n";
    let text = heard(auth, &["--requirepass", "secret"]);
    let said = section(&text, "stranger: ");
    assert!(said.starts_with("-NOAUTH") && said.contains("+OK\r\n+PONG"), "{text}");
}
