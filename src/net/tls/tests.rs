//! Both ends over a real socket, with the mistakes that people make.

use super::*;
use crate::model::TlsFault;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: Vec<u8>,
}

impl Ca {
    fn new() -> Ca {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem().into_bytes();
        Ca { issuer: Issuer::new(parameters, key), pem }
    }

    /// A certificate for this name, ending in this year, and its key.
    fn issue(&self, name: &str, end: i32) -> (Vec<u8>, Vec<u8>) {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(end, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }
}

fn server(pair: &(Vec<u8>, Vec<u8>), ca: &Ca, clients: ClientAuth) -> ServerPems {
    let (certificate, key) = pair.clone();
    ServerPems { certificate, key, ca: Some(ca.pem.clone()), clients, alpn: None }
}

fn client(ca: &Ca, identity: Option<(Vec<u8>, Vec<u8>)>) -> ClientPems {
    ClientPems { ca: ca.pem.clone(), identity, versions: Versions::All }
}

/// What each side found: an echo of four bytes, or why not.
async fn meet(acceptor: &Acceptor, connector: &Connector) -> (Result<(), String>, Result<(), TlsFault>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.map_err(|error| error.to_string())?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.map_err(|error| error.to_string())?;
        stream.write_all(&word).await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())
    };
    let dialling = async {
        let fault = |error: std::io::Error| fault_of(&error).unwrap_or(TlsFault::Broken);
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect(stream, "127.0.0.1").await.map_err(|error| match error {
            TlsError::Fault(fault) => fault,
            TlsError::Io(error) => panic!("{error}"),
        })?;
        stream.write_all(b"ping").await.map_err(fault)?;
        stream.flush().await.map_err(fault)?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.map_err(fault)?;
        assert_eq!(&word, b"ping");
        assert!(stream.is_tls());
        Ok(())
    };
    tokio::join!(accepting, dialling)
}

#[tokio::test]
async fn each_mistake_has_its_name() {
    let (ours, theirs) = (Ca::new(), Ca::new());
    let good = ours.issue("127.0.0.1", 2090);
    let dialler = |pems: &ClientPems| Connector::new(pems, None).unwrap();
    let plain = dialler(&client(&ours, None));
    for (pair, expected) in [
        (good.clone(), Ok(())),
        (theirs.issue("127.0.0.1", 2090), Err(TlsFault::UnknownCa)),
        (ours.issue("127.0.0.1", 2002), Err(TlsFault::Expired)),
        (ours.issue("127.0.0.2", 2090), Err(TlsFault::WrongName)),
    ] {
        let acceptor = Acceptor::new(&server(&pair, &ours, ClientAuth::Off)).unwrap();
        assert_eq!(meet(&acceptor, &plain).await.1, expected);
    }
    let named = ours.issue("data.example", 2090);
    let acceptor = Acceptor::new(&server(&named, &ours, ClientAuth::Off)).unwrap();
    let connector = Connector::new(&client(&ours, None), Some("data.example".into())).unwrap();
    assert_eq!(meet(&acceptor, &connector).await.1, Ok(()), "tls-server-name");

    let strict = Acceptor::new(&server(&good, &ours, ClientAuth::Required)).unwrap();
    assert_eq!(meet(&strict, &plain).await.1, Err(TlsFault::WantsCertificate));
    let stranger = dialler(&client(&ours, Some(theirs.issue("me", 2090))));
    assert_eq!(meet(&strict, &stranger).await.1, Err(TlsFault::OursRefused));
    let member = dialler(&client(&ours, Some(ours.issue("me", 2090))));
    assert_eq!(meet(&strict, &member).await.1, Ok(()));
    let lenient = Acceptor::new(&server(&good, &ours, ClientAuth::Optional)).unwrap();
    assert_eq!(meet(&lenient, &plain).await.1, Ok(()));
}

#[tokio::test]
async fn what_does_not_speak_tls_is_named_and_new_material_counts_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ca = Ca::new();
    let connector = Connector::new(&client(&ca, None), None).unwrap();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"-ERR Protocol error\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 512]).await;
    };
    let dialling = async {
        let stream = TcpStream::connect(address).await.unwrap();
        connector.connect(stream, "127.0.0.1").await
    };
    let (dialled, ()) = tokio::join!(dialling, answering);
    assert!(matches!(dialled, Err(TlsError::Fault(TlsFault::NotTls))), "{dialled:?}");

    let old = ca.issue("127.0.0.1", 2002);
    let acceptor = Acceptor::new(&server(&old, &ca, ClientAuth::Off)).unwrap();
    assert_eq!(meet(&acceptor, &connector).await.1, Err(TlsFault::Expired));
    let broken = ServerPems { key: b"no key".to_vec(), ..server(&old, &ca, ClientAuth::Off) };
    assert_eq!(acceptor.replace(&broken), Err(MaterialError::NoKey));
    acceptor.replace(&server(&ca.issue("127.0.0.1", 2090), &ca, ClientAuth::Off)).unwrap();
    assert_eq!(meet(&acceptor, &connector).await.1, Ok(()));
}

#[test]
fn material_that_cannot_work_is_refused_with_its_reason() {
    let ca = Ca::new();
    let (certificate, key) = ca.issue("a", 2090);
    let good = server(&(certificate, key), &ca, ClientAuth::Required);
    let refused = |pems: ServerPems| Acceptor::new(&pems).map(drop).unwrap_err();
    assert_eq!(
        refused(ServerPems { certificate: b"x".to_vec(), ..good.clone() }),
        MaterialError::NoCertificate
    );
    assert_eq!(refused(ServerPems { ca: None, ..good.clone() }), MaterialError::ClientsWithoutCa);
    assert_eq!(refused(ServerPems { ca: Some(b"x".to_vec()), ..good.clone() }), MaterialError::NoCa);
    let other = ca.issue("a", 2090).1;
    assert_eq!(refused(ServerPems { key: other, ..good }), MaterialError::Mismatch);
    assert!(Connector::new(&client(&ca, None), Some("not a name".into())).is_err());
}
