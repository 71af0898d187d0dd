//! Against real TLS receivers on loopback: one that is in order, and each mistake by its name.

use super::tests::{event, from, soon, start, webhook};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), parameters.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(parameters, key), file }
    }
}

/// Ends in this year; signed by nobody else without an authority.
fn acceptor(name: &str, end: i32, by: Option<&Authority>) -> TlsAcceptor {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(end, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(authority) => parameters.signed_by(&key, &authority.issuer).unwrap(),
        None => parameters.self_signed(&key).unwrap(),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Says 200 to whoever gets through the handshake; what it read goes to the test.
async fn receiver(acceptor: TlsAcceptor) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, got) = (acceptor.clone(), got.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut text = Vec::new();
                let mut chunk = [0; 4096];
                // A generic body ends with the only closing brace of depth zero: good enough here.
                while !text.ends_with(b"}") {
                    match stream.read(&mut chunk).await {
                        Ok(count) if count > 0 => text.extend_from_slice(&chunk[..count]),
                        _ => return,
                    }
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.flush().await;
                let _ = got.send(String::from_utf8_lossy(&text).into_owned());
            });
        }
    });
    (port, requests)
}

fn private(port: u16, authority: &Authority) -> WebhookConfig {
    let mut config = webhook("ops", &format!("https://localhost:{port}/hook?key=hunter2"));
    config.ca_file = Some(authority.file.path().to_owned());
    config
}

#[tokio::test]
async fn a_certificate_of_a_private_authority_is_trusted_where_that_is_named() {
    let authority = Authority::new("ours");
    let (port, mut requests) = receiver(acceptor("localhost", 2090, Some(&authority))).await;
    let (sender, mut progress) = start(&[private(port, &authority)]);
    sender.own("ops", from(1));
    sender.event(event(1));
    let request = soon(requests.recv()).await;
    assert!(request.starts_with("POST /hook?key=hunter2 HTTP/1.1\r\n") && request.contains("+switch-master"));
    assert_eq!(soon(progress.recv()).await.up_to, 1);
}

#[tokio::test]
async fn each_broken_certificate_is_refused_and_named_without_the_secrets_of_the_url() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (acceptor, reason) in [
        (acceptor("localhost", 2002, Some(&ours)), "has expired"),
        (acceptor("other.example", 2090, Some(&ours)), "is for another name"),
        (acceptor("localhost", 2090, None), "an authority that is not trusted here"),
        (acceptor("localhost", 2090, Some(&theirs)), "an authority that is not trusted here"),
    ] {
        let (port, mut requests) = receiver(acceptor).await;
        let (sender, _progress) = start(&[private(port, &ours)]);
        sender.own("ops", from(1));
        sender.event(event(1));
        let mut status = sender.status();
        let told = soon(async {
            status.wait_for(|all| all.first().is_some_and(|hook| hook.last_error.is_some())).await.ok()
        });
        let told = told.await[0].last_error.clone().unwrap();
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(requests.try_recv().is_err(), "nothing was said to it");
    }
}

#[tokio::test]
async fn without_a_named_authority_only_the_systems_are_trusted() {
    let authority = Authority::new("ours");
    let (port, _requests) = receiver(acceptor("localhost", 2090, Some(&authority))).await;
    let mut config = private(port, &authority);
    config.ca_file = None;
    let (sender, _progress) = start(&[config]);
    sender.own("ops", from(1));
    sender.event(event(1));
    let mut status = sender.status();
    let told = soon(async {
        status.wait_for(|all| all.first().is_some_and(|hook| hook.last_error.is_some())).await.ok()
    });
    let told = told.await[0].last_error.clone().unwrap();
    assert!(told.contains("certificate"), "{told}");
}
