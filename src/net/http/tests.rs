//! The real service over loopback; and a fleet to look at, served by hand.

use super::*;
use crate::observe::sample;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for the eye: serves the sample fleet until it is stopped and prints where"]
async fn serve_the_sample() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    let (sender, status) = watch::channel(Arc::new(sample::well()));
    tokio::spawn(async move {
        let mut round = 0_u64;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            round += 1;
            let mut status =
                if (round / 40).is_multiple_of(2) { sample::well() } else { sample::failing_over() };
            status.groups[0].master.offset = Some(48_213_377 + round * 1031);
            sender.send_replace(Arc::new(status));
        }
    });
    let user = access::User {
        name: "ann".into(),
        secret: crate::config::Secret::new("secret".into()),
        right: crate::config::http_users::HttpRight::Act,
    };
    let (asks, mut inbox) = mpsc::channel::<Ask>(ASKS_MAX);
    tokio::spawn(async move {
        while let Some(ask) = inbox.recv().await {
            println!("{} asks: {}", ask.who, ask.words.join(" "));
            let _ = ask.answer.send(Ok("OK".into()));
        }
    });
    let door = Arc::new(Door::new(vec![user], Default::default()));
    serve(listener, status, door, asks, None, std::future::pending()).await;
}

use crate::model::status::Status;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Served {
    address: SocketAddr,
    status: watch::Sender<Arc<Status>>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
    asks: mpsc::Receiver<Ask>,
}

async fn served() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    served_with(listener, address, Door::new(Vec::new(), Default::default()))
}

fn served_with(listener: TcpListener, address: SocketAddr, door: Door) -> Served {
    let (status, receiver) = watch::channel(Arc::new(sample::well()));
    let stop = CancellationToken::new();
    let door = Arc::new(door);
    let (sender, asks) = mpsc::channel(ASKS_MAX);
    let ended = tokio::spawn(serve(listener, receiver, door, sender, None, stop.clone().cancelled_owned()));
    Served { address, status, stop, ended, asks }
}

impl Served {
    /// The whole answer to one request, headers in lower case.
    async fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
        let request = format!("{line} HTTP/1.1\r\nHost: vedette\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        read.await.expect("an answer in time").unwrap();
        let answer = String::from_utf8(answer).unwrap();
        (answer[9..12].parse().unwrap(), answer)
    }
}

#[tokio::test]
async fn every_door_opens_and_every_answer_is_guarded() {
    let served = served().await;
    for (request, code, text) in [
        ("GET /", 200, "<h1>All is well</h1>"),
        ("GET /status.json", 200, "\"cluster_id\":\"c-5b1d42e7\""),
        ("GET /api/v1/status", 200, "\"raft_term\":12"),
        ("GET /api/incidents", 200, "\"id\":\"mymaster-1917\""),
        ("GET /api/incidents?group=nobody", 404, "No group of this name"),
        ("GET /api/incidents?group=sessions", 200, "[]"),
        ("GET /api/incidents/mymaster-1402", 200, "\"cause\":\"manual\""),
        ("GET /api/incidents/mymaster-4", 404, "No incident of this id"),
        ("GET /metrics", 200, "process_resident_memory_bytes"),
        ("GET /healthz", 200, "Sentinel 1 is running."),
        ("GET /readyz", 200, "sentinel 1 leads"),
        ("GET /master/mymaster", 200, "\"address\":\"10.0.0.1:6379\""),
        ("GET /master/mymaster?address=10.0.0.1%3A6379", 200, "\"ok\":true"),
        ("OPTIONS /master/mymaster?address=10.0.0.1:6379", 200, "\"ok\":true"),
        ("OPTIONS /master/mymaster?address=10.0.0.2:6379", 503, "is not the master"),
        (
            "GET /master/mymaster\nX-Haproxy-Server-State: UP 2/3; address=10.0.0.2; port=6379; name=b/s\r\n",
            503,
            "10.0.0.2:6379 is not the master",
        ),
        ("GET /replica/mymaster?address=10.0.0.2:6379&lag=1mb", 200, "in order"),
        ("GET /master/nobody", 404, "No group of this name"),
        ("GET /nothing", 404, "There is nothing here."),
        ("POST /master/mymaster", 405, "this side only shows"),
        ("DELETE /", 405, "this side only shows"),
        ("OPTIONS /", 204, "allow: GET, HEAD, OPTIONS"),
        ("GET /events?view=x-ray", 400, "'view' is"),
        ("GET /\nContent-Length: 5\r\n", 413, "A body is not expected"),
    ] {
        let (got, answer) = served.ask(request).await;
        assert_eq!(got, code, "{request}: {answer}");
        assert!(answer.contains(text), "{request}: {answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{request}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{request}");
    }
    let (code, answer) = served.ask("HEAD /master/mymaster?address=10.0.0.2:6379").await;
    assert_eq!(code, 503);
    assert!(answer.ends_with("\r\n\r\n"), "a head and nothing else: {answer}");
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let served = served().await;
    let long = format!("GET /{}", "x".repeat(20 * 1024));
    assert!((400..500).contains(&served.ask(&long).await.0));
    let many: String = (0..80).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(served.ask(&format!("GET /\n{many}")).await.0, 431);
}

#[tokio::test]
async fn a_page_hears_of_every_change_and_the_end() {
    let served = served().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: vedette\r\n\r\n").await.unwrap();
    let mut heard = String::new();
    let mut hear = async |text: &str| {
        let read = async {
            while !heard.contains(text) {
                let mut bytes = vec![0; 64 * 1024];
                let count = stream.read(&mut bytes).await.unwrap();
                assert!(count > 0, "ended before {text}: {heard}");
                heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        tokio::time::timeout(Duration::from_secs(10), read).await.unwrap_or_else(|_| panic!("no {text}"));
    };
    hear("content-type: text/event-stream").await;
    hear("event: status\ndata: {\"version\"").await;
    served.status.send_replace(Arc::new(sample::failing_over()));
    hear("\"phase\":\"wait_promotion\"").await;
    served.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), served.ended);
    ended.await.expect("the end comes soon").unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
    closed.await.expect("the stream is closed").unwrap();
}

#[tokio::test]
async fn a_sentinel_that_stands_still_stops_vouching() {
    let served = served().await;
    assert_eq!(served.ask("GET /readyz").await.0, 200);
    let silent = async {
        while served.ask("GET /master/mymaster").await.0 == 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), silent).await.expect("it falls silent");
    assert_eq!(served.ask("GET /healthz").await.0, 200);
    served.status.send_replace(Arc::new(sample::well()));
    let back = async {
        while served.ask("GET /master/mymaster").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("and speaks again");
}

#[tokio::test]
async fn more_readers_than_places_are_told_to_come_back() {
    let served = served().await;
    let mut readers = Vec::new();
    for _ in 0..stream::STREAMS_MAX {
        let mut reader = TcpStream::connect(served.address).await.unwrap();
        reader.write_all(b"GET /events?view=page HTTP/1.1\r\nHost: vedette\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        reader.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        readers.push(reader);
    }
    let (code, answer) = served.ask("GET /events").await;
    assert_eq!(code, 503);
    assert!(answer.contains("retry-after: 10"));
    drop(readers);
    let freed = async {
        loop {
            let mut reader = TcpStream::connect(served.address).await.unwrap();
            reader.write_all(b"GET /events HTTP/1.1\r\nHost: vedette\r\n\r\n").await.unwrap();
            let mut head = [0; 12];
            reader.read_exact(&mut head).await.unwrap();
            if &head == b"HTTP/1.1 200" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), freed).await.expect("places are given back");
}

#[tokio::test]
async fn where_only_users_look_a_secret_is_asked_for_and_health_is_not() {
    use crate::config::Secret;
    use crate::config::http_users::{HttpRight, HttpView};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let user =
        access::User { name: "ann".into(), secret: Secret::new("s3cret".into()), right: HttpRight::View };
    let served = served_with(listener, address, Door::new(vec![user], HttpView::Users));
    for path in ["/", "/status.json", "/api/v1/status", "/metrics", "/events"] {
        let (code, answer) = served.ask(&format!("GET {path}")).await;
        assert_eq!(code, 401, "{path}");
        assert!(answer.contains("www-authenticate: Basic"), "{answer}");
    }
    assert_eq!(served.ask("GET /healthz").await.0, 200);
    assert_ne!(served.ask("GET /master/mymaster").await.0, 401);
    let (code, _) = served.ask("GET /metrics\nAuthorization: Bearer s3cret\r\n").await;
    assert_eq!(code, 200);
    let (code, _) = served.ask("GET /metrics\nAuthorization: Bearer wrong\r\n").await;
    assert_eq!(code, 401);
}

fn ann() -> Door {
    let user = access::User {
        name: "ann".into(),
        secret: crate::config::Secret::new("s3cret-a".into()),
        right: crate::config::http_users::HttpRight::Act,
    };
    Door::new(vec![user], Default::default())
}

#[tokio::test]
async fn an_action_needs_a_user_and_from_a_browser_the_page_that_offers_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut served = served_with(listener, address, ann());
    let mut inbox = std::mem::replace(&mut served.asks, mpsc::channel(1).1);
    let answers = tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Some(ask) = inbox.recv().await {
            heard.push(format!("{}: {}", ask.who, ask.words.join(" ")));
            let answer = if heard.len() == 1 { Ok("OK".into()) } else { Err("NOGOODSLAVE nobody".into()) };
            ask.answer.send(answer).unwrap();
        }
        heard
    });
    let (_, page) = served.ask("GET /").await;
    assert!(page.contains("<body class=\"acts\">"), "the page offers what may be done");
    let token = page.split("name=\"vedette-token\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(token.len(), 48);
    let act = "POST /api/v1/groups/mymaster/switchover";
    let login = "Authorization: Bearer s3cret-a\r\n";
    for (request, code) in [
        (act.to_owned(), 401),
        (format!("{act}\nAuthorization: Bearer guess\r\n"), 401),
        (format!("GET /api/v1/groups/mymaster/switchover\n{login}"), 405),
        (format!("{act}\n{login}Origin: http://evil\r\n"), 403),
        (format!("{act}\n{login}Origin: http://vedette\r\n"), 403),
        (format!("{act}\n{login}Sec-Fetch-Site: same-origin\r\n"), 403),
        (format!("{act}\n{login}Origin: http://vedette\r\nX-Vedette-Token: {}\r\n", "0".repeat(48)), 403),
        (format!("{act}\n{login}Content-Length: 2\r\n"), 413),
        (format!("{act}?to=nowhere\n{login}"), 400),
        (format!("POST /api/v1/groups/mymaster/dance\n{login}"), 404),
        (format!("{act}\n{login}Origin: http://vedette\r\nX-Vedette-Token: {token}\r\n"), 200),
        (format!("{act}?to=10.0.0.2:6379\n{login}"), 409),
    ] {
        let (got, answer) = served.ask(&request).await;
        assert_eq!(got, code, "{request}: {answer}");
    }
    served.stop.cancel();
    served.ended.await.unwrap();
    let heard = answers.await.unwrap();
    assert_eq!(
        heard,
        ["ann: SENTINEL FAILOVER mymaster", "ann: SENTINEL FAILOVER mymaster TO 10.0.0.2 6379"]
    );
}

#[tokio::test]
async fn without_a_user_who_may_act_the_page_only_shows() {
    let served = served().await;
    assert!(served.ask("GET /").await.1.contains("<body>"));
    let (code, answer) = served.ask("POST /api/v1/groups/mymaster/switchover").await;
    assert_eq!((code, answer.contains("http-users")), (403, true), "{answer}");
}
